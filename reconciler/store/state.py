"""What every store face shares: visible objects, what is in flight, history and watchers.

Used by `memory.py` and `sqlite.py` alone; all calls come from the event loop's thread. A
transaction is prepared (expectations decided against visible objects plus those in flight),
then published once it is durable, or abandoned.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass

from reconciler.model.meta import ObjectKey
from reconciler.store.history import History, HistoryLimit, Stream
from reconciler.store.protocol import (
    Change,
    Compacted,
    Conflict,
    Event,
    Operation,
    Record,
    Remove,
)
from reconciler.store.table import Table


@dataclass(frozen=True, slots=True, eq=False)
class Transaction:
    """Decided changes that take effect together."""

    events: tuple[Event, ...]

    @property
    def records(self) -> tuple[Record, ...]:
        """The records in the order of the operations."""
        return tuple(event.record for event in self.events)


class State:
    """The memory of a store."""

    def __init__(self, limit: HistoryLimit, *, compacted: int = 0) -> None:
        self.revision = compacted
        self.table = Table()
        self.history = History(limit, compacted)
        self._allocated = compacted
        self._flying: dict[ObjectKey, Event] = {}
        self._pulses: dict[tuple[str, str], Pulse] = {}

    def restore(self, events: Iterable[Event]) -> None:
        """Take over what a journal held, in the order of revisions, before the first use."""
        live: dict[ObjectKey, Record] = {}
        for event in events:
            record = event.record
            if event.change is Change.DELETED:
                live.pop(record.key, None)
            else:
                live[record.key] = record
            self.revision = record.revision
            if record.revision > self.history.compacted:
                self.history.append(event)
        self.table.fill(live.values())
        self._allocated = self.revision

    def prepare(self, operations: Sequence[Operation]) -> Transaction:
        """Decide the operations and give each its revision; raises `Conflict`, changing nothing."""
        bases = [self._base(operation) for operation in operations]
        if len({operation.key for operation in operations}) != len(operations):
            raise ValueError("a transaction names each key once")
        events = tuple(
            _event(operation, base, revision)
            for revision, (operation, base) in enumerate(
                zip(operations, bases, strict=True), self._allocated + 1
            )
        )
        self._allocated += len(events)
        for event in events:
            self._flying[event.record.key] = event
        return Transaction(events)

    def publish(self, transaction: Transaction) -> list[Event]:
        """Make a durable transaction visible; return the events that left the history."""
        pulses: set[tuple[str, str]] = set()
        for event in transaction.events:
            key = event.record.key
            if self._flying.get(key) is event:
                del self._flying[key]
            self._place(event)
            self.history.append(event)
            pulses.update(((key.kind, ""), (key.kind, key.namespace)))
        for place in pulses:
            if pulse := self._pulses.get(place):
                pulse.beat()
        return self.history.trim()

    def in_flight(self, key: ObjectKey) -> bool:
        """Return whether a write of `key` is decided and not visible yet."""
        return key in self._flying

    def abandon(self) -> None:
        """Forget every transaction in flight: none of them happened."""
        self._flying.clear()

    async def watch(self, kind: str, namespace: str, since: int) -> AsyncIterator[Event]:
        """Yield changes of `kind` after `since`; see `Store.watch`."""
        feed = self.feed(kind, namespace, since)
        while True:
            for event in feed.read():
                yield event
            await feed.wait()

    def feed(self, kind: str, namespace: str, since: int) -> StateFeed:
        """Return the changes of `kind` after `since`, to be read in batches; see `Store.feed`."""
        if since < self.history.compacted or since > self._allocated:
            raise Compacted(since, self.history.compacted)
        pulse = self._pulses.setdefault((kind, namespace), Pulse())
        return StateFeed(self, self.history.stream(kind), namespace, since, pulse)

    def _base(self, operation: Operation) -> Record | None:
        """Return the record that `operation` replaces, or raise `Conflict`."""
        flying = self._flying.get(operation.key)
        if flying is None:
            base = self.table.get(operation.key)
        else:
            base = None if flying.change is Change.DELETED else flying.record
        found = base.revision if base else 0
        if found != operation.expect or (not found and isinstance(operation, Remove)):
            raise Conflict(operation.key, operation.expect, found)
        return base

    def _place(self, event: Event) -> None:
        self.revision = event.record.revision
        if event.change is Change.DELETED:
            self.table.remove(event.record.key)
        else:
            self.table.put(event.record)


class Pulse:
    """Tells those who wait for changes of one kind, in one namespace or all, that some came."""

    __slots__ = ("_event", "_followers")

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._followers: list[Callable[[], None]] = []

    def beat(self) -> None:
        """Wake who waits, call who follows."""
        self._event.set()
        self._event.clear()
        for told in self._followers:
            told()

    async def wait(self) -> None:
        """Return at the next beat."""
        await self._event.wait()

    def follow(self, told: Callable[[], None]) -> Callable[[], None]:
        """Call `told` at each beat, until what is returned is called."""
        self._followers.append(told)
        return lambda: self._followers.remove(told)


class StateFeed:
    """A reader's place in the shared stream of a kind; see `Feed`."""

    __slots__ = ("_namespace", "_position", "_pulse", "_state", "_stream", "revision")

    def __init__(
        self, state: State, stream: Stream, namespace: str, since: int, pulse: Pulse
    ) -> None:
        self.revision = since
        self._state = state
        self._stream = stream
        self._namespace = namespace
        self._position = stream.after(since)
        self._pulse = pulse

    def read(self) -> Sequence[Event]:
        """Return the events that came since the last call; raises `Compacted`."""
        stream, namespace = self._stream, self._namespace
        if self._position < stream.start:
            raise Compacted(self.revision, self._state.history.compacted)
        events = stream.read(self._position)
        self._position = stream.end
        self.revision = max(self.revision, self._state.revision)
        if not namespace:
            return events
        return [event for event in events if event.record.key.namespace == namespace]

    async def wait(self) -> None:
        """Return when there may be something to read."""
        if self._position == self._stream.end:
            await self._pulse.wait()

    def follow(self, told: Callable[[], None]) -> Callable[[], None]:
        """See `Feed.follow`."""
        return self._pulse.follow(told)


def _event(operation: Operation, base: Record | None, revision: int) -> Event:
    record = Record(operation.key, revision, operation.encode(revision))
    if operation.made is not None:
        operation.made(record)
    if isinstance(operation, Remove):
        return Event(Change.DELETED, record, base)
    return Event(Change.MODIFIED if base else Change.ADDED, record, base)
