"""What a store does. `sqlite.py` is the embedded default; the registry is its only caller.

A store knows keys and bytes, not kinds. Every write gets the next revision of one counter, which
becomes the object's resourceVersion. Reads come from memory and never block. A transaction is
all or nothing; a write carries the revision that it read (law 7).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from reconciler.core.errors import ReconcilerError
from reconciler.model.meta import ObjectKey


class Conflict(ReconcilerError):
    """The object is not at the revision that the writer read.

    `found` is its present revision, 0 when it does not exist.
    """

    def __init__(self, key: ObjectKey, expected: int, found: int) -> None:
        super().__init__(f"{key}: expected revision {expected}, found {found}")
        self.key = key
        self.expected = expected
        self.found = found


class Compacted(ReconcilerError):
    """The history no longer reaches back to the revision asked for: list again."""

    def __init__(self, revision: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {revision} ({oldest})")
        self.revision = revision
        self.oldest = oldest


class StoreUnavailable(ReconcilerError):
    """The store cannot be read or written; nothing of the transaction happened."""


class StoreFull(StoreUnavailable):
    """The disk refused the write; nothing of the transaction happened."""


class StoreBroken(StoreUnavailable):
    """Nobody knows what is on the disk any more: the store has to be opened again."""


class Record:
    """One object at one revision: encoded bytes, and a place for the registry's decoded form."""

    __slots__ = ("decoded", "key", "revision", "value")

    def __init__(self, key: ObjectKey, revision: int, value: bytes) -> None:
        self.key = key
        self.revision = revision
        self.value = value
        self.decoded: Any = None


@dataclass(frozen=True, slots=True)
class Put:
    """Write `encode(revision)` at `key`. `expect` is the revision it replaces, 0 for a new key.

    `made` is told of the record before anybody else can see it.
    """

    key: ObjectKey
    encode: Callable[[int], bytes]
    expect: int
    made: Callable[[Record], None] | None = None


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove `key`, which must be at revision `expect`.

    `encode` makes the object's last state at the removal's own revision, for watchers; `made` as
    in `Put`.
    """

    key: ObjectKey
    encode: Callable[[int], bytes]
    expect: int
    made: Callable[[Record], None] | None = None


Operation = Put | Remove


class Change(StrEnum):
    """What happened to an object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Event:
    """One change. `previous` is the record before it, None for ADDED."""

    change: Change
    record: Record
    previous: Record | None


class Feed(Protocol):
    """A watcher's place in the history: events in batches, so that many cost little more than one.

    `revision` is that up to which everything has been read.
    """

    revision: int

    def read(self) -> Sequence[Event]:
        """Return the events since the last call, in order; raises `Compacted`."""
        ...

    async def wait(self) -> None:
        """Return when there may be something to read; may be cancelled without loss."""
        ...

    def follow(self, told: Callable[[], None]) -> Callable[[], None]:
        """Call `told` whenever there may be something to read, until what is returned is called.

        It is called in the midst of a write: it may plan to read, and no more.
        """
        ...


class Store(Protocol):
    """A revisioned map from `ObjectKey` to bytes."""

    @property
    def revision(self) -> int:
        """The revision of the newest visible write."""
        ...

    def get(self, key: ObjectKey) -> Record | None:
        """Return the newest visible record at `key`."""
        ...

    def list(self, kind: str, namespace: str = "") -> Sequence[Record]:
        """Return the records of `kind` ordered by (namespace, name); all namespaces when empty."""
        ...

    async def commit(self, operations: Sequence[Operation]) -> Sequence[Record]:
        """Make all operations durable and visible, or none; return their records in order.

        Each operation takes a revision of its own, in order. No operations at all wait for those
        in flight to become visible. Raises `Conflict` when an expectation fails, once what was
        found can be read; `StoreFull` or `StoreUnavailable` when the disk refuses.
        """
        ...

    def watch(self, kind: str, namespace: str = "", *, since: int) -> AsyncIterator[Event]:
        """Yield every change of `kind` after revision `since`, once and in order.

        Raises `Compacted` when `since` is older than the history or the reader is too slow.
        """
        ...

    def feed(self, kind: str, namespace: str = "", *, since: int) -> Feed:
        """Return the changes of `kind` after `since` as `watch` yields them, in batches.

        Raises `Compacted` when `since` is older than the history.
        """
        ...

    async def close(self) -> None:
        """Finish pending commits and release the files."""
        ...
