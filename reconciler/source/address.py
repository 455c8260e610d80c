"""What a user may name as a repository, branch and sub-path. Pure.

Every string that reaches a `git` command line passes here first, so that none of them can be an
option, a foreign transport (`ext::`) or more than one line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from reconciler.core.errors import ReconcilerError
from reconciler.source.semver import BadRange, highest

_SCHEMES = ("https", "http", "ssh", "git", "file")
_SCP_LIKE = re.compile(r"^(?:[\w.-]+@)?[\w.-]+:(?!/?/)[^\s]+$")
_CREDENTIALS = re.compile(r"(://)[^/\s]*@")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_BAD_REF = re.compile(r"^[-/]|[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|^\.|\.lock(/|$)|[/.]$|^@$")


class AddressError(ReconcilerError):
    """A repository, branch or sub-path that is refused; the message says what would be accepted."""


@dataclass(frozen=True, slots=True)
class Address:
    """Which manifests of which repository: those below `sub_path` of `branch` (HEAD if empty).

    Instead of a branch one of `tag`, `commit` (a whole id) and `semver` (a range; the highest
    tag in it) may be named.
    `location` is a URL or a path of this host. Raises `AddressError` for what git must not get.
    """

    location: str
    branch: str = ""
    sub_path: str = ""
    tag: str = ""
    commit: str = ""
    semver: str = ""

    def __post_init__(self) -> None:
        if self.remote:
            check_url(self.location)
        check_branch(self.branch)
        check_branch(self.tag)
        check_choice(self.branch, self.tag, self.commit, self.semver)
        object.__setattr__(self, "sub_path", check_sub_path(self.sub_path))

    @property
    def remote(self) -> bool:
        """True for a repository to fetch, false for one that is read in place."""
        return is_remote(self.location)

    @property
    def shown(self) -> str:
        """The location as messages may show it."""
        return redact(self.location)

    @property
    def ref(self) -> str:
        """The branch as Git names it in full."""
        if self.commit:
            return self.commit
        if self.tag:
            return f"refs/tags/{self.tag}"
        return f"refs/heads/{self.branch}" if self.branch else "HEAD"

    @property
    def moving(self) -> bool:
        """Whether each state has to build on the one before; versions need not."""
        return not self.semver and not self.commit

    @property
    def branch_shown(self) -> str:
        """The branch as messages name it."""
        for what in ("commit", "tag", "branch"):
            if name := getattr(self, what):
                return f"{what} {name}"
        return f"a tag in {self.semver!r}" if self.semver else "HEAD"


def is_remote(location: str) -> bool:
    """Return whether `location` names a repository to fetch and not a path of this host."""
    scheme, separator, _ = location.partition("://")
    if separator:
        return scheme.lower() in _SCHEMES
    return not location.startswith(("/", ".")) and bool(_SCP_LIKE.match(location))


def check_url(url: str) -> str:
    """Return `url` if git may be given it; raises `AddressError`."""
    if url.startswith("-") or _CONTROL.search(url) or "::" in url.partition("://")[0]:
        raise AddressError(f"repository {redact(url)!r}: not an address that Git may be given")
    if not is_remote(url):
        accepted = ", ".join(f"{scheme}://" for scheme in _SCHEMES)
        raise AddressError(
            f"repository {redact(url)!r}: expected {accepted}, user@host:path or a path"
        )
    host = urlsplit(url).hostname if "://" in url else url.partition(":")[0].rpartition("@")[2]
    if (host or "").startswith("-"):
        raise AddressError(f"repository {redact(url)!r}: the host starts with a hyphen")
    return url


def is_bad_ref(name: str) -> bool:
    """Return whether a branch or tag may not be called so."""
    return bool(_BAD_REF.search(name))


def check_branch(branch: str) -> str:
    """Return `branch` if it is a branch name by git-check-ref-format; empty means HEAD."""
    if branch and _BAD_REF.search(branch):
        raise AddressError(f"branch {branch!r} is no valid branch name")
    return branch


def check_choice(branch: str, tag: str, commit: str, semver: str) -> None:
    """Raise `AddressError` unless at most one of them is named, and is one."""
    if sum(map(bool, (branch, tag, commit, semver))) > 1:
        raise AddressError("name one of branch, tag, commit and semver")
    if commit and not _COMMIT.fullmatch(commit):
        raise AddressError(f"commit {commit!r} is no whole commit id")
    if semver:
        try:
            highest((), semver)
        except BadRange as error:
            raise AddressError(str(error)) from error


def check_sub_path(sub_path: str) -> str:
    """Return the sub-path in its plain form ("" for the root); it may not leave the tree."""
    if "\n" in sub_path or "\0" in sub_path:
        raise AddressError(f"path {sub_path!r} has a character that no path here may have")
    parts = [part for part in PurePosixPath(sub_path).parts if part not in ("/", ".")]
    if ".." in parts:
        raise AddressError(f"path {sub_path!r} leaves the source's tree")
    return "/".join(parts)


def redact(text: str) -> str:
    """Return an address without its user, password and query, for messages and logs (law 9)."""
    return _CREDENTIALS.sub(r"\1", text).partition("?")[0] if "://" in text else text
