"""The bounded log of changes that watchers read. Used by `state.py` alone.

There is no queue per watcher: all watchers of a kind read one shared stream, each at a position
of its own. A thousand watchers hold a thousand integers; one that falls behind the bound finds
its position gone and is told so.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.store.protocol import Change, Event

_EVENT_OVERHEAD = 256  # bytes of Python objects an event holds besides the values


@dataclass(frozen=True, slots=True)
class HistoryLimit:
    """How much history is kept: at most `events` changes holding at most `size` bytes."""

    events: int = 10_000
    size: int = 8 * 1024 * 1024


class Stream:
    """The retained events of one kind; positions count from its first event ever."""

    __slots__ = ("_events", "start")

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self.start = 0

    @property
    def end(self) -> int:
        """The position after the newest event."""
        return self.start + len(self._events)

    def append(self, event: Event) -> None:
        """Add the newest event."""
        self._events.append(event)

    def drop_oldest(self) -> Event:
        """Forget the oldest event and return it."""
        self.start += 1
        return self._events.popleft()

    def after(self, revision: int) -> int:
        """Return the position of the first retained event newer than `revision`."""
        return self.start + bisect_right(self._events, revision, key=_revision)

    def read(self, position: int) -> Sequence[Event]:
        """Return the events from `position` on, which must still be retained."""
        events = self._events
        return [events[-back] for back in range(self.end - position, 0, -1)]


class History:
    """One stream a kind, trimmed together in the order of revisions."""

    def __init__(self, limit: HistoryLimit, compacted: int) -> None:
        self.compacted = compacted
        self._limit = limit
        self._streams: dict[str, Stream] = {}
        self._order: deque[Stream] = deque()
        self._size = 0

    def stream(self, kind: str) -> Stream:
        """Return the stream of `kind`, empty when nothing of it is retained."""
        stream = self._streams.get(kind)
        if stream is None:
            stream = self._streams[kind] = Stream()
        return stream

    def append(self, event: Event) -> None:
        """Retain `event`, the newest of all kinds."""
        stream = self.stream(event.record.key.kind)
        stream.append(event)
        self._order.append(stream)
        self._size += _weight(event)

    def trim(self) -> list[Event]:
        """Forget the oldest events beyond the limit; return them, oldest first."""
        dropped = []
        while len(self._order) > self._limit.events or self._size > self._limit.size:
            event = self._order.popleft().drop_oldest()
            self._size -= _weight(event)
            self.compacted = event.record.revision
            dropped.append(event)
        return dropped

    def compact(self) -> list[Event]:
        """Forget everything, as a compaction up to the newest revision does."""
        kept, self._limit = self._limit, HistoryLimit(events=0, size=0)
        dropped = self.trim()
        self._limit = kept
        return dropped


def _revision(event: Event) -> int:
    return event.record.revision


def _weight(event: Event) -> int:
    """Return the bytes that only the history keeps alive."""
    size = _EVENT_OVERHEAD
    if event.previous is not None:
        size += len(event.previous.value)
    if event.change is Change.DELETED:
        size += len(event.record.value)
    return size
