"""watch: the changes of a kind as a stream of events. Called by `api.py`.

All watchers read one shared history at a place of their own, and an event is encoded once for all
that ask for the same. One event is told at once; what follows closely is gathered, so that a burst
costs each watcher a few writes (`broadcast.py`). A watcher that is too slow finds its place gone
and is told 410.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from reconciler.apiserver.http import query, status, view
from reconciler.apiserver.http.accept import Wanted
from reconciler.apiserver.http.broadcast import Broadcast, Broadcasts
from reconciler.apiserver.http.frames import Channel, Frames
from reconciler.apiserver.http.message import Sink, Stream
from reconciler.apiserver.http.query import ListOptions
from reconciler.apiserver.http.reading import Chooser, chooser
from reconciler.apiserver.http.view import Form, View
from reconciler.apiserver.registry import errors
from reconciler.apiserver.registry.registry import Registry
from reconciler.core.clock import Clock
from reconciler.model.kinds import Resource
from reconciler.store.protocol import Change, Compacted, Event, Feed, Record

_BOOKMARK_SECONDS = 60.0
_SHORTEST, _LONGEST = 1800, 3600  # a watch without a timeout ends between these, as in Kubernetes
_INITIAL_BATCH = 500


@dataclass(frozen=True, slots=True)
class Scope:
    """What is watched, and in which form it is told."""

    resource: Resource
    namespace: str
    wanted: Wanted
    form: Form
    include: str


class Watches:
    """Makes the streams of all watchers of a server."""

    def __init__(self, registry: Registry, clock: Clock, random: Random) -> None:
        self._registry = registry
        self._clock = clock
        self._random = random
        self._frames = Frames()
        self._broadcasts = Broadcasts()

    def open(self, scope: Scope, options: ListOptions) -> Stream:
        """Return the stream of a watch; raises `StatusError` for what it cannot be asked."""
        choose = chooser(scope.resource, options.labels, options.fields)
        since = query.revision(options.version)
        if options.initial and since > self._registry.revision:
            raise query.future(since, self._registry.revision)
        seconds = options.timeout or self._random.randint(_SHORTEST, _LONGEST)
        shared = self._channel(scope, options), self._broadcast(scope)
        watch = _Watch(self._registry, *shared, scope, choose, options)
        # Where the watch starts is settled now, so that nothing is missed before the first read.
        start = since or self._registry.revision
        initial = () if since and not options.initial else self._initial(scope)

        async def produce(sink: Sink) -> None:
            await watch.run(sink, start, initial, seconds)

        return Stream(produce)

    def _channel(self, scope: Scope, options: ListOptions) -> Channel:
        asked = (scope.resource.key_kind, scope.wanted, scope.include)
        return self._frames.channel((*asked, options.labels, options.fields))

    def _broadcast(self, scope: Scope) -> Broadcast:
        return self._broadcasts.of(scope.resource.key_kind, scope.namespace)

    def _initial(self, scope: Scope) -> tuple[Record, ...]:
        return tuple(self._registry.records(scope.resource.model, scope.namespace))


class _Slow(Exception):
    """The client has not read what it was sent."""


class _Watch:
    """One watcher."""

    def __init__(
        self,
        registry: Registry,
        channel: Channel,
        broadcast: Broadcast,
        scope: Scope,
        choose: Chooser,
        options: ListOptions,
    ) -> None:
        self._registry = registry
        self._channel = channel
        self._broadcast = broadcast
        self._scope = scope
        self._choose = choose
        self._bookmarks = options.bookmarks
        self._initial_end = options.initial and options.bookmarks
        # The first row of a table tells the columns, and so is nobody else's.
        self._leads = scope.wanted.form == "table"

    async def run(
        self, sink: Sink, since: int, initial: tuple[Record, ...], seconds: float
    ) -> None:
        """Write events until the client goes, the time is over, or the history is."""
        for batch in _batches(initial):
            frames = b"".join(filter(None, map(self._existing, batch)))
            if frames:
                await sink.write(frames)
        if self._initial_end:
            await sink.write(self._bookmark(since, initial_end=True))
        try:
            await self._follow(sink, since, seconds)
        except Compacted as error:
            told = errors.expired(error.revision, error.oldest)
            await sink.write(_frame("ERROR", status.failure(told).body))

    async def _follow(self, sink: Sink, since: int, seconds: float) -> None:
        loop, feed = asyncio.get_running_loop(), self._feed(since)
        end = loop.time() + seconds
        while loop.time() < end:
            due = min(end, loop.time() + _BOOKMARK_SECONDS)
            with contextlib.suppress(TimeoutError):
                # One timer for a whole minute: a watcher is woken often, and must then cost little.
                async with asyncio.timeout_at(due):
                    await self._tell(sink, feed, since)
            if self._bookmarks:
                # What came with the last tick is told first: a bookmark promises that it was.
                last = self._news(feed, since)
                told = b"" if feed.revision < since else self._bookmark(feed.revision)
                await sink.write(last + told)

    def _feed(self, since: int) -> Feed:
        """Return the changes after `since`.

        A revision that is not there yet is waited for, as the API's concepts say of watches.
        """
        model, namespace = self._scope.resource.model, self._scope.namespace
        return self._registry.feed(model, namespace, since=min(since, self._registry.revision))

    def _news(self, feed: Feed, since: int) -> bytes:
        """Return what the watcher is told of the changes that came."""
        told = [self._event(each) for each in feed.read() if each.record.revision > since]
        return (told[0] or b"") if len(told) == 1 else b"".join(filter(None, told))

    async def _tell(self, sink: Sink, feed: Feed, since: int) -> None:
        """Write what happens, as it happens, until cancelled."""

        def push() -> bool:
            frames = self._news(feed, since)
            if frames and not sink.send(frames):
                raise _Slow
            return bool(frames)

        while True:
            while frames := self._news(feed, since):
                await sink.write(frames)
            with contextlib.suppress(_Slow):
                await self._broadcast.follow(feed, push)
            await sink.drain()

    def _existing(self, record: Record) -> bytes | None:
        item = view.of_record(self._registry, self._scope.resource.model, record)
        if not self._choose.takes_all and not self._choose.matches(item):
            return None
        return self._told("ADDED", item)

    def _event(self, event: Event) -> bytes | None:
        """Return what the watcher is told of a change, None for nothing."""
        if self._leads:
            return self._frame_of(event)
        revision = event.record.revision
        try:
            return self._channel[revision]
        except KeyError:
            return self._channel.keep(revision, self._frame_of(event))

    def _frame_of(self, event: Event) -> bytes | None:
        model = self._scope.resource.model
        item = view.of_record(self._registry, model, event.record)
        if self._choose.takes_all:
            return self._told(event.change.value, item)
        was = event.previous is not None and self._choose.matches(
            view.of_record(self._registry, model, event.previous)
        )
        is_now = event.change is not Change.DELETED and self._choose.matches(item)
        match was, is_now:
            case False, False:
                return None
            case False, True:
                return self._told("ADDED", item)
            case True, True:
                return self._told("MODIFIED", item)
            case _:
                return self._gone(event, item)

    def _gone(self, event: Event, item: View) -> bytes:
        """Tell that an object is no more among those watched, as it last was among them."""
        if event.change is Change.DELETED or event.previous is None:
            return self._told("DELETED", item)
        old = self._registry.decode(self._scope.resource.model, event.previous)
        meta = old.metadata.replace(resource_version=str(event.record.revision))
        return self._told("DELETED", view.of_object(old.replace(metadata=meta)))

    def _told(self, kind: str, item: View) -> bytes:
        first, self._leads = self._leads, False
        return _frame(kind, self._scope.form.event(item, first=first))

    def _bookmark(self, revision: int, *, initial_end: bool = False) -> bytes:
        empty = view.bookmark(self._scope.resource, revision, initial_end=initial_end)
        return _frame("BOOKMARK", self._scope.form.event(empty, first=False))


def _frame(kind: str, obj: bytes) -> bytes:
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), obj)


def _batches(records: tuple[Record, ...]) -> Iterator[tuple[Record, ...]]:
    for start in range(0, len(records), _INITIAL_BATCH):
        yield records[start : start + _INITIAL_BATCH]
