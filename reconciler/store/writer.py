"""What makes transactions durable, in groups, on a thread of its own. Used by `sqlite.py`.

While one group is being synced to disk, the transactions that arrive wait and form the next: the
slower the disk, the larger the group, so the cost of a sync is shared. The thread touches the
journal and nothing else; results go back to the event loop in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from reconciler.store.journal import Forgotten, forget
from reconciler.store.protocol import Event, StoreUnavailable
from reconciler.store.state import Transaction

_GROUP_CHANGES = 512
_GROUP_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class Write:
    """A transaction on its way to disk, and the events that have left the history.

    When a write fails, every other of its `epoch` fails too: it may build on the failed one.
    `durable` belongs to the event loop; the thread only carries it.
    """

    transaction: Transaction
    dropped: Sequence[Event]
    epoch: int
    durable: asyncio.Future[None]


Finish = Callable[[Sequence[Write], StoreUnavailable | None], None]


class Log(Protocol):
    """Where groups are made durable; `journal.Journal` is the real one. Every method blocks."""

    def append(self, events: Sequence[Event], forgotten: Forgotten | None) -> None:
        """Make `events` durable, or nothing of it and raise `StoreUnavailable`."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...


class Committer:
    """Appends groups in order; after a failure, refuses what may build on the failed group."""

    def __init__(self, log: Log, report: Finish) -> None:
        self._log = log
        self._report = report
        self._error: StoreUnavailable | None = None
        self._failed_epoch = 0

    def write(self, group: Sequence[Write]) -> None:
        """Make the group durable, and report how that went."""
        if self._error is not None:
            late = [write for write in group if write.epoch <= self._failed_epoch]
            self._report(late, self._error)
            group = group[len(late) :]
        if group:
            self._error = self._append(group)
            self._failed_epoch = group[-1].epoch if self._error else 0
            self._report(group, self._error)

    def _append(self, group: Sequence[Write]) -> StoreUnavailable | None:
        events = [event for write in group for event in write.transaction.events]
        dropped = [event for write in group for event in write.dropped]
        try:
            self._log.append(events, forget(dropped))
        except StoreUnavailable as error:
            return error
        return None


class Writer:
    """Owns the journal from construction until `close` returns.

    `finish` is called on `loop` once per group, in order, with the error when it failed.
    """

    def __init__(self, journal: Log, loop: asyncio.AbstractEventLoop, finish: Finish) -> None:
        self._journal = journal
        self._loop = loop
        self._finish = finish
        self._waiting: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._committer = Committer(journal, self._report)
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, write: Write) -> None:
        """Queue `write`; never blocks."""
        self._waiting.put(write)

    async def close(self) -> None:
        """Write what waits, then release the journal."""
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        open_ended = True
        while open_ended:
            group, open_ended = self._collect()
            if group:
                self._committer.write(group)
        self._journal.close()

    def _collect(self) -> tuple[list[Write], bool]:
        """Block for one write and take along what waits; False when `close` was asked for."""
        group: list[Write] = []
        changes = size = 0
        item = self._waiting.get()
        while item is not None:
            group.append(item)
            changes += len(item.transaction.events)
            size += sum(len(event.record.value) for event in item.transaction.events)
            if changes >= _GROUP_CHANGES or size >= _GROUP_BYTES:
                return group, True
            try:
                item = self._waiting.get_nowait()
            except queue.Empty:
                return group, True
        return group, False

    def _report(self, group: Sequence[Write], error: StoreUnavailable | None) -> None:
        # A closed loop has nobody left who waits for the answer.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._finish, group, error)
