"""The disk under the store, on virtual time: the real store and committer on a journal in memory.

What `append` took is durable, whatever becomes of the process before it hears of that. Values lie
on the disk as the real journal writes them: secret ones sealed, under the newest of the keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from reconciler.store.history import HistoryLimit
from reconciler.store.journal import Forgotten
from reconciler.store.protocol import (
    Change,
    Event,
    Operation,
    Record,
    StoreBroken,
    StoreFull,
    StoreUnavailable,
)
from reconciler.store.sealing import KeyRing
from reconciler.store.sqlite import SqliteStore
from reconciler.store.writer import Committer, Finish, Log, Write
from tests.sim.faults import Fault

Taker = Callable[[str], Fault | None]


Written = Callable[[Event, int | None], None]
"""A durable change, and the revision that its writer had read; None when nobody said."""


class Disk:
    """What survives: the rows, by revision, and the file of keys.

    `written` is told of each durable change, in order.
    """

    def __init__(self, take: Taker, crash: Callable[[], None], written: Written) -> None:
        self.rows: dict[int, Event] = {}
        self.expected: dict[int, int] = {}
        self.compacted = 0
        self.full = False
        self.keys = ["k1"]
        self._take, self._crash, self._written = take, crash, written

    def append(self, events: Sequence[Event], forgotten: Forgotten | None, keys: KeyRing) -> None:
        """Make changes durable; a device that fails may have done so or not."""
        fault = self._take("store.write")
        effect = fault.effect if fault else ""
        if effect == "crash-before":
            self._crash()
            return
        if effect == "device-before":
            raise StoreBroken("the store cannot be written: disk I/O error")
        if self.full or effect == "full":
            raise StoreFull("the disk refused the write: database or disk is full")
        for event in events:
            key, revision, value = event.record.key, event.record.revision, event.record.value
            sealed = Record(key, revision, keys.seal(key, revision, value))
            row = Event(event.change, sealed, event.previous)
            self.rows[revision] = row
            self._written(event, self.expected.pop(revision, None))
        for revision in forgotten.revisions if forgotten else ():
            self.rows.pop(revision, None)
        if forgotten:
            self.compacted = forgotten.compacted
        if effect == "crash-after":
            self._crash()
        if effect == "device-after":
            raise StoreBroken("the store cannot be written: disk I/O error")

    def seal_anew(self, keys: KeyRing) -> None:
        """Encrypt under the first key what is not.

        Afterwards the older keys are taken out of the file, as a person does.
        """
        if self._take("store.reseal") is not None:
            self._crash()
            raise asyncio.CancelledError  # it is one transaction, and nobody lives to go on
        for revision, row in list(self.rows.items()):
            key, value = row.record.key, row.record.value
            if keys.is_stale(key.kind, value):
                fresh = keys.seal(key, revision, keys.open(key, revision, value))
                self.rows[revision] = replace(row, record=Record(key, revision, fresh))
        del self.keys[1:]

    def ring(self) -> KeyRing:
        """Return the keys as a start of the daemon reads them."""
        return KeyRing({name: sha256(name.encode()).digest() for name in self.keys}, Path("keys"))


class Journal:
    """One opening of the disk; broken after an error of which nobody knows what it left."""

    def __init__(self, disk: Disk) -> None:
        self._disk, self._keys = disk, disk.ring()
        self._broken = False

    def compacted(self) -> int:
        return self._disk.compacted

    def load(self) -> Iterable[Event]:
        live: dict[int, Record] = {}
        for revision in sorted(self._disk.rows):
            row = self._disk.rows[revision]
            key = row.record.key
            record = Record(key, revision, self._keys.open(key, revision, row.record.value))
            previous = live.pop(row.previous.revision, None) if row.previous else None
            if row.change is not Change.DELETED:
                live[revision] = record
            yield Event(row.change, record, previous)

    def reseal(self) -> None:
        self._disk.seal_anew(self._keys)

    def append(self, events: Sequence[Event], forgotten: Forgotten | None) -> None:
        if self._broken:
            raise StoreBroken("the store failed earlier; it must be opened again")
        try:
            self._disk.append(events, forgotten, self._keys)
        except StoreBroken:
            self._broken = True
            raise

    def close(self) -> None:
        return


class WatchedStore(SqliteStore):
    """The store, where each write says on the disk which revision it replaces."""

    def __init__(self, disk: Disk, **options: Any) -> None:
        super().__init__(Journal(disk), HistoryLimit(), **options)
        self._disk = disk

    async def commit(self, operations: Sequence[Operation]) -> Sequence[Record]:
        return await super().commit([self._noted(operation) for operation in operations])

    def _noted(self, operation: Operation) -> Operation:
        made = operation.made

        def note(record: Record) -> None:
            self._disk.expected[record.revision] = operation.expect
            if made is not None:
                made(record)

        return type(operation)(operation.key, operation.encode, operation.expect, note)


class VirtualWriter:
    """Groups writes as the thread of the real writer does, on timers of the loop."""

    def __init__(
        self, delay: Callable[[], float], log: Log, loop: asyncio.AbstractEventLoop, finish: Finish
    ) -> None:
        self._delay, self._log, self._loop, self._finish = delay, log, loop, finish
        self._committer = Committer(log, self._report)
        self._waiting: list[Write] = []
        self._busy = False
        self._told = 0.0

    def submit(self, write: Write) -> None:
        self._waiting.append(write)
        self._begin()

    async def close(self) -> None:
        while self._waiting or self._busy:  # noqa: ASYNC110 - time is virtual
            await asyncio.sleep(self._delay())
        self._log.close()

    def _begin(self) -> None:
        if self._waiting and not self._busy:
            self._busy = True
            self._loop.call_later(self._delay(), self._write)

    def _write(self) -> None:
        group, self._waiting = self._waiting, []
        self._committer.write(group)
        self._busy = False
        self._begin()

    def _report(self, group: Sequence[Write], error: StoreUnavailable | None) -> None:
        # In order, as the real one tells them.
        self._told = max(self._loop.time() + self._delay(), self._told + 1e-6)
        self._loop.call_at(self._told, self._finish, group, error)


def open_disk(disk: Disk, delay: Callable[[], float]) -> SqliteStore:
    """Open the store on the disk, as a start of the daemon does."""

    def writer(log: Log, loop: asyncio.AbstractEventLoop, finish: Finish) -> Any:
        return VirtualWriter(delay, log, loop, finish)

    return WatchedStore(disk, writer=writer)
