"""Who makes a request: Kubernetes' user.Info. Values only."""

from __future__ import annotations

from dataclasses import dataclass

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
NODES = "system:nodes"
MONITORING = "system:monitoring"
ACCOUNTS = "system:serviceaccounts"
"""The group of every ServiceAccount; with `:NAMESPACE` after it that of a namespace's."""
ACCOUNT_PREFIX = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class Identity:
    """A user, the groups that it is in, and what its credentials tell besides."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


ANONYMOUS = Identity("system:anonymous", (UNAUTHENTICATED,))


def authenticated(
    name: str,
    groups: tuple[str, ...] = (),
    uid: str = "",
    extra: tuple[tuple[str, tuple[str, ...]], ...] = (),
) -> Identity:
    """Return somebody who has proved who it is."""
    known = groups if AUTHENTICATED in groups else (*groups, AUTHENTICATED)
    return Identity(name, known, uid, extra)


def account_groups(namespace: str) -> tuple[str, ...]:
    """Return the groups of the ServiceAccounts of a namespace (serviceaccount.MakeGroupNames)."""
    return ACCOUNTS, f"{ACCOUNTS}:{namespace}"


ADMIN = authenticated("admin", (MASTERS,))
"""Who holds the administrator's token, or is root on this host."""
