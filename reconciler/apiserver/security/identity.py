"""Who makes a request: Kubernetes' user.Info. Values only."""

from __future__ import annotations

from dataclasses import dataclass

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"


@dataclass(frozen=True, slots=True)
class Identity:
    """A user, and the groups that it is in."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""


ANONYMOUS = Identity("system:anonymous", (UNAUTHENTICATED,))


def authenticated(name: str, groups: tuple[str, ...] = (), uid: str = "") -> Identity:
    """Return somebody who has proved who it is."""
    return Identity(name, (*groups, AUTHENTICATED), uid)


ADMIN = authenticated("admin", (MASTERS,))
"""Who holds the administrator's token, or is root on this host."""
