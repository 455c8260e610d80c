"""Who a request comes from: bearer token, client certificate, or root on the Unix socket.

Called by the REST face. A wrong token is refused; no credentials at all make an anonymous caller.
"""

from __future__ import annotations

import hmac
import socket
import struct
from asyncio import Transport
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.apiserver.security.accounts import AccountTokens, Refused
from reconciler.apiserver.security.identity import ADMIN, ANONYMOUS, Identity
from reconciler.apiserver.security.identity import authenticated as known

_SCHEME = "bearer "


class WrongCredentials(Exception):
    """The credentials given are nobody's; the message says what is wrong with them."""


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Knows the administrator's token, and those of ServiceAccounts where there are any."""

    admin_token: str
    accounts: AccountTokens | None = None

    def user(self, headers: Mapping[str, str], peer: Identity | None) -> Identity:
        """Return who asks; raises `WrongCredentials`."""
        authorization = headers.get("authorization", "")
        if not authorization:
            return peer or ANONYMOUS
        if not authorization.lower().startswith(_SCHEME):
            raise WrongCredentials("invalid authorization header")
        return self.review(authorization[len(_SCHEME) :].strip(), ())[0]

    def review(self, token: str, audiences: Sequence[str]) -> tuple[Identity, tuple[str, ...]]:
        """Return whose a token is, and for which of `audiences`; raises `WrongCredentials`."""
        if hmac.compare_digest(token.encode(), self.admin_token.encode()):
            return ADMIN, tuple(audiences)
        try:
            found = self.accounts.believe(token, audiences) if self.accounts is not None else None
        except Refused as error:
            raise WrongCredentials(f"[invalid bearer token, {error}]") from error
        if found is None:
            raise WrongCredentials("invalid bearer token")
        return found


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
