"""A Git remote in memory, and the mirror of it that a daemon keeps: the seam under `GitSource`.

A fetch fails while the remote is away, or ends half-way, when it has brought objects but no ref.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from pathlib import Path

from reconciler.source.access import Access
from reconciler.source.address import Address
from reconciler.source.gitobjects import Commit, TreeEntry
from reconciler.source.snapshot import SourceError
from tests.sim import manifests
from tests.sim.disk import Taker

_MESSAGE = "words\n\nreconciler.dev/approve: prune\n"
_START = datetime(2026, 1, 1, tzinfo=UTC)
URL = "https://git.example/state.git"


@dataclass(frozen=True, slots=True)
class SimCommit:
    """A commit: its files, and the commit that it builds on."""

    id: str
    parent: str
    files: Mapping[str, bytes]
    tree: str
    number: int


@dataclass
class Remote:
    """The repository that people push to; `fetched` is the ref of the daemon's mirror."""

    commits: dict[str, SimCommit] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    trees: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    head: str = ""
    fetched: str = ""
    away: bool = False

    def push(self, files: Mapping[str, bytes], parent: str | None = None) -> SimCommit:
        """Commit on top of `parent`, by default the head; the head is the new commit."""
        on = self.head if parent is None else parent
        tree = _hash(repr(sorted(files.items())))
        made = SimCommit(
            _hash(f"{on} {tree} {len(self.commits)}"), on, files, tree, len(self.commits)
        )
        self.commits[made.id] = made
        self.trees[tree] = files
        self.blobs |= {_hash(repr(data)): data for data in files.values()}
        self.head = made.id
        return made

    def sound(self, revision: str) -> bool:
        """Say whether every file of a commit can be read."""
        found = self.commits.get(revision)
        return found is None or manifests.BROKEN not in found.files

    def related(self, one: str, other: str) -> bool:
        """Say whether one of the two builds on the other."""
        return self.builds_on(one, other) or self.builds_on(other, one)

    def builds_on(self, new: str, old: str) -> bool:
        while new:
            if new == old:
                return True
            new = self.commits[new].parent
        return False


class SimRepository:
    """The mirror, as `GitRepository` is used by `branch.py`. It survives the daemon."""

    def __init__(self, remote: Remote, take: Taker, git_dir: Path) -> None:
        self.git_dir = git_dir
        self._remote, self._take = remote, take

    def fetch(self, _address: Address, *, known: str = "") -> None:
        fault = self._take("git.fetch")
        if self._remote.away or fault is not None:
            raise SourceError("Unreachable", "could not resolve host: git.example")
        self._remote.fetched = self._remote.head

    def commit(self, ref: str, _sub_path: str) -> Commit | None:
        found = self._remote.commits.get(ref if len(ref) == 40 else self._remote.fetched)
        if found is None:
            return None
        time = _START + timedelta(seconds=found.number)
        return Commit(found.id, found.tree, found.tree, "A <a@example.com>", time, _MESSAGE)

    def check_signature(self, _ref: str) -> None:
        return

    def is_ancestor(self, old: str, new: str) -> bool:
        return self._remote.builds_on(new, old)

    def tree(self, tree: str) -> list[TreeEntry]:
        return [_entry(path, data) for path, data in sorted(self._remote.trees[tree].items())]

    def changes(self, old: str, new: str) -> tuple[list[TreeEntry], list[str]]:
        before, after = self._remote.trees[old], self._remote.trees[new]
        changed = [p for p in sorted(after) if before.get(p) != after[p]]
        return [_entry(p, after[p]) for p in changed], sorted(before.keys() - after.keys())

    def blobs(self, ids: Sequence[str]) -> Iterable[bytes]:
        for blob in ids:
            if self._take("git.blob") is not None:
                raise SourceError("Unreadable", f"object {blob} is missing")
            yield self._remote.blobs[blob]

    def is_whole(self) -> bool:
        return True

    def tidy(self) -> None:
        return

    def kill(self) -> None:
        return


def opener(remote: Remote, take: Taker, git_dir: Path):
    """Return what `GitOptions.opener` wants."""

    def open_(_address: Address, _mirror: Path, _timeout: float, _access: Access) -> SimRepository:
        return SimRepository(remote, take, git_dir)

    return open_


def _entry(path: str, data: bytes) -> TreeEntry:
    return TreeEntry(path, "100644", _hash(repr(data)), len(data))


def _hash(text: str) -> str:
    return sha1(text.encode()).hexdigest()  # noqa: S324 - Git's own
