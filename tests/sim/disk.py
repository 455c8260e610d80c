"""The disk under the store, on virtual time: the real store and committer on a journal in memory.

What `append` took is durable, whatever becomes of the process before it hears of that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from reconciler.store.history import HistoryLimit
from reconciler.store.journal import Forgotten
from reconciler.store.protocol import Change, Event, Record, StoreFull, StoreUnavailable
from reconciler.store.sqlite import SqliteStore
from reconciler.store.writer import Committer, Finish, Log, Write
from tests.sim.faults import Fault

Taker = Callable[[str], Fault | None]


class Disk:
    """What survives: the rows, by revision. `written` is told of each durable change, in order."""

    def __init__(self, take: Taker, crash: Callable[[], None], written: Callable[[Event], None]):
        self.rows: dict[int, Event] = {}
        self.compacted = 0
        self.full = False
        self._take, self._crash, self._written = take, crash, written

    def append(self, events: Sequence[Event], forgotten: Forgotten | None) -> None:
        fault = self._take("store.write")
        effect = fault.effect if fault else ""
        if effect == "crash-before":
            self._crash()
            return
        if self.full or effect == "full":
            raise StoreFull("the disk refused the write: database or disk is full")
        for event in events:
            self.rows[event.record.revision] = event
            self._written(event)
        for revision in forgotten.revisions if forgotten else ():
            self.rows.pop(revision, None)
        if forgotten:
            self.compacted = forgotten.compacted
        if effect == "crash-after":
            self._crash()


class Journal:
    """One opening of the disk; broken after an error of which nobody knows what it left."""

    def __init__(self, disk: Disk, take: Taker) -> None:
        self._disk, self._take = disk, take
        self._broken = False

    def compacted(self) -> int:
        return self._disk.compacted

    def load(self) -> Iterable[Event]:
        live: dict[int, Record] = {}
        for revision in sorted(self._disk.rows):
            row = self._disk.rows[revision]
            record = Record(row.record.key, revision, row.record.value)
            previous = live.pop(row.previous.revision, None) if row.previous else None
            if row.change is not Change.DELETED:
                live[revision] = record
            yield Event(row.change, record, previous)

    def reseal(self) -> None:
        """Nothing is encrypted on this disk."""

    def append(self, events: Sequence[Event], forgotten: Forgotten | None) -> None:
        fault = self._take("store.device")
        if fault is not None:
            self._broken = True
        if self._broken:
            raise StoreUnavailable("the store cannot be written: disk I/O error")
        self._disk.append(events, forgotten)

    def close(self) -> None:
        return


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


def open_disk(disk: Disk, take: Taker, delay: Callable[[], float]) -> SqliteStore:
    """Open the store on the disk, as a start of the daemon does."""

    def writer(log: Log, loop: asyncio.AbstractEventLoop, finish: Finish) -> Any:
        return VirtualWriter(delay, log, loop, finish)

    return SqliteStore(Journal(disk, take), HistoryLimit(), writer=writer)
