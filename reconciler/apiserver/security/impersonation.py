"""Acting as another: Kubernetes' Impersonate-* headers. Called by the REST face. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from reconciler.apiserver.security.attributes import Attributes, of_resource
from reconciler.apiserver.security.identity import (
    ACCOUNT_PREFIX,
    ANONYMOUS,
    Identity,
    account_groups,
    authenticated,
)

_AUTHENTICATION = "authentication.k8s.io"
_USER, _GROUP, _UID = "impersonate-user", "impersonate-group", "impersonate-uid"
_EXTRA = "impersonate-extra-"


class NoUser(ValueError):
    """Groups, an id or extras are given, and no user."""


@dataclass(frozen=True, slots=True)
class Impersonation:
    """Whom a request wants to act as."""

    user: str
    groups: tuple[str, ...]
    uid: str
    extra: tuple[tuple[str, tuple[str, ...]], ...]

    def needs(self) -> Iterator[Attributes]:
        """Yield what one must be allowed for it: the verb `impersonate` on each part."""
        account = _account(self.user)
        if account:
            space, name = account
            yield of_resource("impersonate", "serviceaccounts", namespace=space, name=name)
        else:
            yield of_resource("impersonate", "users", name=self.user)
        for group in self.groups:
            yield of_resource("impersonate", "groups", name=group)
        for key, values in self.extra:
            for value in values:
                yield of_resource(
                    "impersonate", "userextras", _AUTHENTICATION, name=value, subresource=key
                )
        if self.uid:
            yield of_resource("impersonate", "uids", _AUTHENTICATION, name=self.uid)

    def identity(self) -> Identity:
        """Return who the request is from then on."""
        if self.user == ANONYMOUS.name:
            return ANONYMOUS
        groups, account = self.groups, _account(self.user)
        if account and not groups:
            groups = account_groups(account[0])
        return authenticated(self.user, groups, self.uid, self.extra)


def wanted(headers: Mapping[str, str]) -> Impersonation | None:
    """Return whom the headers want to be, None for nobody else; raises `NoUser`."""
    user, uid = headers.get(_USER, ""), headers.get(_UID, "")
    groups = tuple(filter(None, (each.strip() for each in headers.get(_GROUP, "").split(","))))
    extra = tuple(
        (unquote(name.removeprefix(_EXTRA)), tuple(value.split(",")))
        for name, value in headers.items()
        if name.startswith(_EXTRA)
    )
    if user:
        return Impersonation(user, groups, uid, extra)
    if groups or uid or extra:
        raise NoUser
    return None


def _account(user: str) -> tuple[str, str] | None:
    """Return namespace and name of the ServiceAccount that a user is, if it is one."""
    space, _, name = user.removeprefix(ACCOUNT_PREFIX).partition(":")
    if not user.startswith(ACCOUNT_PREFIX) or not space or not name or ":" in name:
        return None
    return space, name
