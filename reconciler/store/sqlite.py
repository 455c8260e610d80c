"""The embedded store: SQLite (WAL, synchronous FULL), one writer thread, reads from memory.

Opened by the composition root; the registry is the only caller of its methods, all on one event
loop. The command line reads a running daemon's store through `open_readonly`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from reconciler.model.meta import ObjectKey
from reconciler.store.history import HistoryLimit
from reconciler.store.journal import Journal, open_journal, open_journal_readonly
from reconciler.store.protocol import (
    Change,
    Conflict,
    Event,
    Feed,
    Operation,
    Record,
    StoreBroken,
    StoreUnavailable,
)
from reconciler.store.sealing import KeyRing
from reconciler.store.state import State
from reconciler.store.table import Table
from reconciler.store.writer import Finish, Log, Write, Writer

_FORGET_BATCH = 256  # events that leave the history together, to spare small deletes


class History(Log, Protocol):
    """What a store is read from at its start and written to; `Journal` is the real one."""

    def compacted(self) -> int:
        """Return the newest revision whose event is no longer kept."""
        ...

    def load(self) -> Iterable[Event]:
        """Return all the changes, in order."""
        ...

    def reseal(self) -> None:
        """Encrypt anew what `load` found that is not encrypted as it should be."""
        ...


class Durability(Protocol):
    """What makes writes durable beside the event loop; `Writer` is the real one."""

    def submit(self, write: Write) -> None:
        """Queue `write`; never blocks."""
        ...

    async def close(self) -> None:
        """Write what waits, then release the log."""
        ...


WriterOf = Callable[[Log, asyncio.AbstractEventLoop, Finish], Durability]


class SqliteStore:
    """A `Store` in one file. Build it by `open_store`, inside the event loop that uses it."""

    def __init__(self, journal: History, limit: HistoryLimit, *, writer: WriterOf = Writer) -> None:
        self._state = State(limit, compacted=journal.compacted())
        self._state.restore(journal.load())
        journal.reseal()
        self._dropped: list[Event] = self._state.history.trim()
        self._loop = asyncio.get_running_loop()
        self._epoch = 1
        self._turn: list[Write] = []
        self._broken: asyncio.Future[None] = self._loop.create_future()
        self._writer: Durability | None = writer(journal, self._loop, self._finish)

    @property
    def revision(self) -> int:
        """The revision of the newest visible write."""
        return self._state.revision

    def get(self, key: ObjectKey) -> Record | None:
        """Return the newest visible record at `key`."""
        return self._state.table.get(key)

    def list(self, kind: str, namespace: str = "") -> Sequence[Record]:
        """Return the records of `kind` ordered by (namespace, name)."""
        return self._state.table.list(kind, namespace)

    async def commit(self, operations: Sequence[Operation]) -> Sequence[Record]:
        """Make all operations durable, then visible, or none.

        Raises `Conflict` once the write that was faster is visible, `StoreFull` or
        `StoreUnavailable` when the disk refuses. A caller that is cancelled meanwhile cannot know
        which of the two happened.
        """
        if self._writer is None:
            raise StoreUnavailable("the store is closed")
        try:
            transaction = self._state.prepare(operations)
        except Conflict as conflict:
            if self._state.in_flight(conflict.key):
                await self.commit(())  # what was run into is to be read by whoever hears of it
            raise
        durable = self._loop.create_future()
        self._submit(Write(transaction, self._take_dropped(), self._epoch, durable))
        await durable
        return transaction.records

    def watch(self, kind: str, namespace: str = "", *, since: int) -> AsyncIterator[Event]:
        """Yield every change of `kind` after revision `since`; raises `Compacted`."""
        return self._state.watch(kind, namespace, since)

    def feed(self, kind: str, namespace: str = "", *, since: int) -> Feed:
        """Return the changes after `since`, to be read in batches; raises `Compacted`."""
        return self._state.feed(kind, namespace, since)

    async def run(self) -> None:
        """Go on until the disk fails; then raise `StoreBroken`: a new start has to open it."""
        await asyncio.shield(self._broken)

    def compact(self) -> None:
        """Drop the history up to now: watchers that lag must list again."""
        self._dropped += self._state.history.compact()

    async def close(self) -> None:
        """Finish pending commits and release the file. A second call does nothing."""
        self._hand_over()
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.close()

    def _submit(self, write: Write) -> None:
        """Hand the write over with those of the same turn of the loop: they make one group."""
        if not self._turn:
            self._loop.call_soon(self._hand_over)
        self._turn.append(write)

    def _hand_over(self) -> None:
        turn, self._turn = self._turn, []
        if self._writer is not None:
            for write in turn:
                self._writer.submit(write)

    def _take_dropped(self) -> Sequence[Event]:
        if len(self._dropped) < _FORGET_BATCH:
            return ()
        dropped, self._dropped = self._dropped, []
        return dropped

    def _finish(self, group: Sequence[Write], error: StoreUnavailable | None) -> None:
        """Publish a durable group, or fail it. Runs on the loop, in order.

        Whoever wrote goes on before those who watch: the next group is on its way to the disk while
        they take in this one.
        """
        if isinstance(error, StoreBroken) and not self._broken.done():
            self._broken.set_exception(error)
            self._broken.exception()  # it is no fault that nobody waits for it
        for write in group:
            _answer(write.durable, error)
        for write in group:
            if error is None:
                self._dropped += self._state.publish(write.transaction)
            else:
                self._dropped = [*write.dropped, *self._dropped]
                self._fail_epoch(write.epoch)

    def _fail_epoch(self, epoch: int) -> None:
        """Forget what is in flight: it may build on a write that failed (the writer drops it)."""
        if epoch == self._epoch:
            self._epoch += 1
            self._state.abandon()


class ReadonlyStore:
    """What a store's file says, for the command line. Build it by `open_readonly`."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._table = Table()
        self.revision = 0
        self.refresh()

    def get(self, key: ObjectKey) -> Record | None:
        """Return the record at `key` as of the last refresh."""
        return self._table.get(key)

    def list(self, kind: str, namespace: str = "") -> Sequence[Record]:
        """Return the records of `kind` ordered by (namespace, name)."""
        return self._table.list(kind, namespace)

    def refresh(self) -> None:
        """Take in what was written since; raises `StoreUnavailable`."""
        with self._journal.snapshot():
            compacted = self._journal.compacted()
            if compacted > self.revision:
                self._table, self.revision = Table(), 0
            for event in self._journal.load(self.revision):
                self._take(event)
            self.revision = max(self.revision, compacted)

    def close(self) -> None:
        """Release the file."""
        self._journal.close()

    def _take(self, event: Event) -> None:
        self.revision = event.record.revision
        if event.change is not Change.DELETED:
            self._table.put(event.record)
        elif self._table.get(event.record.key):
            self._table.remove(event.record.key)


async def open_store(
    path: Path, limit: HistoryLimit | None = None, *, keys: KeyRing | None = None
) -> SqliteStore:
    """Open or make the store at `path`; raises `StoreUnavailable`.

    The caller makes sure that no other process has it open for writing. The first of `keys`
    encrypts what of it is secret, and anew what an older key encrypted, or none.
    """
    journal = open_journal(path, keys)
    try:
        return SqliteStore(journal, limit or HistoryLimit())
    except BaseException:
        journal.close()
        raise


def open_readonly(path: Path, *, keys: KeyRing | None = None) -> ReadonlyStore:
    """Read the store at `path`, which a daemon may be writing; raises `StoreUnavailable`."""
    return ReadonlyStore(open_journal_readonly(path, keys))


def _answer(durable: asyncio.Future[None], error: StoreUnavailable | None) -> None:
    if durable.done():
        return  # its caller was cancelled
    if error is None:
        durable.set_result(None)
    else:
        durable.set_exception(error)
