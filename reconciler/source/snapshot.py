"""What a source yields: the files of one revision, or why there are none.

Made by the adapters (`git.py`, `directory.py`), read by `desired` and `sync`. Values only: nothing
here touches a disk. `FileRef.content` names the bytes, so equal names mean equal bytes, and a
reader that has seen them need not ask again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from reconciler.core.errors import ReconcilerError


class SourceError(ReconcilerError):
    """The source cannot be read now: hold what runs (law 4).

    `reason` is one CamelCase word for machines, `message` a sentence for people; neither holds
    a credential.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class FileRef:
    """One manifest file of a revision.

    `path` is relative to the source, with slashes; `content` is the hash of the bytes; `size` is
    in bytes. `refused` says why the file may not be read (a link that leaves the tree, a device);
    then the revision is rejected, and nothing asks for the bytes.
    """

    path: str
    content: str
    size: int
    refused: str = ""


class Contents(Protocol):
    """Where the bytes of a snapshot are; bound to the adapter that made it."""

    def read(self, files: Sequence[FileRef]) -> Iterator[bytes]:
        """Yield the bytes of each of `files`, in order; blocking: call it off the event loop.

        The bytes are those that `FileRef.content` names. Raises `SourceError` when they are gone.
        """
        ...


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The manifest files of a source at one revision.

    `revision` is the commit id, or for a directory a hash of all its files; `time` is the
    commit's, or when the directory was read. An empty `files` is an empty tree, which is not the
    same as a source that cannot be read. Equal files of two snapshots are the same `FileRef`.
    `tree` has every file of the whole source, whatever its name, when one of `files` is a
    kustomization, which may refer to any of them; `scope` is the folder that `files` are from.
    `past` says that it is an earlier state, of which only what is known by its content may be left.
    `inputs` marks what else the revision depends on: the state of variables, "" without any.
    `verified` says that a key which is trusted signed the revision; `seconds` is how long the fetch
    of it took.
    """

    revision: str
    author: str
    time: datetime
    message: str
    files: Mapping[str, FileRef]
    contents: Contents = field(compare=False, repr=False)
    tree: Mapping[str, FileRef] | None = None
    scope: str = ""
    verified: bool = False
    inputs: str = ""
    past: bool = False
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class SourceProblem:
    """The source cannot be read, for `message`, since `since`; the last good revision holds."""

    reason: str
    message: str
    since: datetime


class Source(Protocol):
    """A place that is watched for revisions."""

    def snapshots(self) -> AsyncIterator[Snapshot | SourceProblem]:
        """Yield the present state, then each new one; never ends by itself.

        Only the newest state counts: those that passed while the caller was busy are left out.
        A state equal to the last one is not yielded again, except after a problem.
        """
        ...

    def trigger(self) -> None:
        """Look now, as a person asks for it; also accepts a branch whose history was rewritten."""
        ...

    def look(self) -> None:
        """Look now, because something may have moved; a hint that is not to be believed."""
        ...

    async def at(self, revision: str) -> Snapshot | None:
        """Return the source as it was at an earlier `revision`, None when it cannot be had."""
        ...

    def keep(self, revision: str) -> None:
        """Remember `revision`, which turned out well, so that `at` has it after a restart."""
        ...

    async def close(self) -> None:
        """Stop watching and free threads; the generator ends."""
        ...
