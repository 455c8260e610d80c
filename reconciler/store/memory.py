"""A store without a disk, for tests, dry runs and simulation: same state, nothing durable.

Called by composition roots only. It passes the same contract suite as `sqlite.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from reconciler.model.meta import ObjectKey
from reconciler.store.history import HistoryLimit
from reconciler.store.protocol import Event, Feed, Operation, Record
from reconciler.store.state import State


class MemoryStore:
    """A `Store` that forgets everything with its process; a commit is visible at once."""

    def __init__(self, limit: HistoryLimit | None = None) -> None:
        self._state = State(limit or HistoryLimit())

    @property
    def revision(self) -> int:
        """The revision of the newest write."""
        return self._state.revision

    def get(self, key: ObjectKey) -> Record | None:
        """Return the record at `key`."""
        return self._state.table.get(key)

    def list(self, kind: str, namespace: str = "") -> Sequence[Record]:
        """Return the records of `kind` ordered by (namespace, name)."""
        return self._state.table.list(kind, namespace)

    async def commit(self, operations: Sequence[Operation]) -> Sequence[Record]:
        """Make all operations visible, or none; raises `Conflict`."""
        transaction = self._state.prepare(operations)
        self._state.publish(transaction)
        return transaction.records

    def watch(self, kind: str, namespace: str = "", *, since: int) -> AsyncIterator[Event]:
        """Yield every change of `kind` after revision `since`; raises `Compacted`."""
        return self._state.watch(kind, namespace, since)

    def feed(self, kind: str, namespace: str = "", *, since: int) -> Feed:
        """Return the changes after `since`, to be read in batches; raises `Compacted`."""
        return self._state.feed(kind, namespace, since)

    def compact(self) -> None:
        """Drop the history up to now: watchers that lag must list again."""
        self._state.history.compact()

    async def close(self) -> None:
        """Nothing to release."""
