"""Who a request comes from: bearer token, client certificate, or root on the Unix socket.

Called by the REST face. A wrong token is refused; no credentials at all make an anonymous caller.
"""

from __future__ import annotations

import hmac
import socket
import struct
from asyncio import Transport
from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.apiserver.security.identity import ADMIN, ANONYMOUS, MASTERS, Identity
from reconciler.apiserver.security.identity import authenticated as known

_SCHEME = "bearer "
_USER, _GROUP, _UID = "impersonate-user", "impersonate-group", "impersonate-uid"


class WrongCredentials(Exception):
    """The credentials given are nobody's."""


class MayNotImpersonate(Exception):
    """Somebody who is no administrator wants to act as another."""

    def __init__(self, user: Identity, wanted: str) -> None:
        super().__init__(wanted)
        self.user = user
        self.wanted = wanted


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Knows the administrator's token."""

    admin_token: str

    def user(self, headers: Mapping[str, str], peer: Identity | None) -> Identity:
        """Return who asks; raises `WrongCredentials`, `MayNotImpersonate`."""
        user = self._holder(headers.get("authorization", ""), peer)
        wanted = headers.get(_USER)
        if not wanted:
            return user
        if MASTERS not in user.groups:
            raise MayNotImpersonate(user, wanted)
        groups = tuple(filter(None, headers.get(_GROUP, "").split(",")))
        if wanted.startswith("system:serviceaccount:"):
            groups = (*groups, "system:serviceaccounts")
        if wanted == ANONYMOUS.name:
            return ANONYMOUS
        return known(wanted, groups, headers.get(_UID, ""))

    def _holder(self, authorization: str, peer: Identity | None) -> Identity:
        if authorization:
            return self._of_token(authorization)
        return peer or ANONYMOUS

    def _of_token(self, authorization: str) -> Identity:
        if not authorization.lower().startswith(_SCHEME):
            raise WrongCredentials
        token = authorization[len(_SCHEME) :].strip().encode()
        if not hmac.compare_digest(token, self.admin_token.encode()):
            raise WrongCredentials
        return ADMIN


def of_certificate(transport: Transport) -> Identity | None:
    """Return whom a client certificate of our CA names: CN is the user, each O a group."""
    found = transport.get_extra_info("peercert")
    if not found:
        return None
    names = [pair for part in found.get("subject", ()) for pair in part]
    user = next((value for key, value in names if key == "commonName"), "")
    groups = tuple(value for key, value in names if key == "organizationName")
    return known(user, groups) if user else None


def of_unix_peer(transport: Transport) -> Identity | None:
    """Return the administrator for a process of root on this host."""
    connection: socket.socket | None = transport.get_extra_info("socket")
    if connection is None:
        return None
    size = struct.calcsize("3i")
    _, user, _ = struct.unpack(
        "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    )
    return ADMIN if user == 0 else None
