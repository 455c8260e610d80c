"""The users and groups that an image knows: its /etc/passwd and /etc/group. Pure.

Called by `securityspec.py` where a pod's groups depend on them, with the files that `starter.py`
read out of the image. Lines that are none are skipped, as the C library skips them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

PASSWD, GROUP = "/etc/passwd", "/etc/group"
_USER_FIELDS, _GROUP_FIELDS = 4, 4


@dataclass(frozen=True, slots=True)
class User:
    """A user of an image; `name` is empty when the image does not know it."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Group:
    """A group of an image and the names of its members."""

    name: str
    gid: int
    members: frozenset[str]


class UnknownAccount(ValueError):
    """An image has no user or group of that name."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """All of an image's."""

    users: tuple[User, ...] = ()
    groups: tuple[Group, ...] = ()

    def user(self, text: str) -> User:
        """Return the user of a name or number, the engine's way: an unknown number has group 0."""
        found = next((user for user in self.users if text in (user.name, str(user.uid))), None)
        if found is not None:
            return found
        if not text.isdecimal():
            raise UnknownAccount(f"unable to find user {text}: no matching entries in passwd file")
        return User("", int(text), 0)

    def gid(self, text: str) -> int:
        """Return the number of a group that is given by name or number."""
        found = next((group for group in self.groups if group.name == text), None)
        if found is not None:
            return found.gid
        if not text.isdecimal():
            raise UnknownAccount(f"unable to find group {text}: no matching entries in group file")
        return int(text)

    def memberships(self, user: User) -> tuple[int, ...]:
        """Return the groups that the image puts the user in, beside the primary one."""
        return tuple(group.gid for group in self.groups if user.name and user.name in group.members)


def parse_accounts(passwd: str, group: str) -> Accounts:
    """Read the two files."""
    return Accounts(tuple(_users(passwd)), tuple(_groups(group)))


def _users(text: str) -> Iterator[User]:
    for line in text.splitlines():
        fields = line.strip().split(":")
        if len(fields) >= _USER_FIELDS and fields[2].isdecimal() and fields[3].isdecimal():
            yield User(fields[0], int(fields[2]), int(fields[3]))


def _groups(text: str) -> Iterator[Group]:
    for line in text.splitlines():
        fields = line.strip().split(":")
        if len(fields) >= _GROUP_FIELDS and fields[2].isdecimal():
            members = frozenset(name for name in fields[3].split(",") if name)
            yield Group(fields[0], int(fields[2]), members)
