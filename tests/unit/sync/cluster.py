"""A cluster in memory for tests of the loop: the real registry, client, informers and loader.

`Feed` stands where a Git repository or a directory is: the test says what it shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from random import Random
from typing import Any

import orjson

from reconciler.apiserver.registry.registry import Registry
from reconciler.client.events import ComponentRecorder
from reconciler.client.informer import Informer
from reconciler.client.local import LocalClient
from reconciler.core.clock import Clock
from reconciler.core.ids import Ids
from reconciler.desired.asked import Asked, Spot
from reconciler.desired.load import Loader
from reconciler.desired.objects import Desired, DesiredObject
from reconciler.model.gitops import Revision, Source, SourceSpec
from reconciler.model.imagepull import ImagePull
from reconciler.model.meta import KubeObject, ObjectKey, ObjectMeta
from reconciler.model.streaming import NodeStreams
from reconciler.source.snapshot import FileRef, Snapshot, SourceProblem
from reconciler.store.memory import MemoryStore
from reconciler.store.protocol import Store
from reconciler.sync.allocation import ServiceRanges
from reconciler.sync.live import Live, followed_kinds
from reconciler.sync.loop import Sync
from reconciler.sync.memory import Memory
from reconciler.sync.steering import Care, SyncOptions

FATES = ("Healthy", "Rejected", "Failed", "Progressing", "Held", "RolledBack")
TRUSTING = Care(prune_threshold=100)
_TAKEN = 0.05
"""Seconds of virtual time in which sync has taken in what is shown."""

START = datetime(2026, 1, 1, tzinfo=UTC)


class Tree:
    """Files in memory, as the contents of a snapshot."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def read(self, files: Sequence[FileRef]) -> Iterator[bytes]:
        return (self._files[ref.path] for ref in files)


def snapshot(*manifests: Mapping[str, Any] | bytes) -> Snapshot:
    """Return a revision with a file for each manifest (bytes are taken as they are)."""
    files = {
        f"{number:05}.yaml": each if isinstance(each, bytes) else orjson.dumps(each)
        for number, each in enumerate(manifests)
    }
    refs = {
        path: FileRef(path, sha256(data).hexdigest(), len(data)) for path, data in files.items()
    }
    name = sha256(repr(sorted(files.items())).encode()).hexdigest()[:40]
    return Snapshot(name, "A <a@example.com>", START, "words", refs, Tree(files))


class Feed:
    """A source that shows what a test puts in."""

    def __init__(self) -> None:
        self._shown: asyncio.Queue[Snapshot | SourceProblem] = asyncio.Queue()
        self.triggers = 0
        self.looks = 0
        self.kept: list[str] = []
        self.past: dict[str, Snapshot] = {}

    def show(self, *manifests: Mapping[str, Any] | bytes) -> Snapshot:
        shown = snapshot(*manifests)
        self.put(shown)
        return shown

    def put(self, shown: Snapshot) -> None:
        self.past[shown.revision] = shown
        self._shown.put_nowait(shown)

    def fail(self, message: str) -> None:
        self._shown.put_nowait(SourceProblem("Unreachable", message, START))

    async def snapshots(self) -> AsyncIterator[Snapshot | SourceProblem]:
        while True:
            yield await self._shown.get()

    def trigger(self) -> None:
        self.triggers += 1

    def look(self) -> None:
        self.looks += 1

    async def at(self, revision: str) -> Snapshot | None:
        return self.past.get(revision)

    def keep(self, revision: str) -> None:
        self.kept.append(revision)

    async def close(self) -> None:
        return


class Cluster:
    """One daemon's API without controllers: what nobody touches stays as sync wrote it."""

    def __init__(
        self,
        clock: Clock,
        store: Store | None = None,
        memory: Memory | None = None,
        care: Care = TRUSTING,
    ) -> None:
        self.clock = clock
        self.care = care
        self.store = store or MemoryStore()
        self.registry = Registry(self.store, clock, Ids(Random(1)))
        self.client = LocalClient(self.registry)
        self.feed = Feed()
        self.sync: Sync | None = None
        self.memory = memory
        self.recorder: ComponentRecorder | None = None
        self.streams: NodeStreams | None = None
        self.ranges: ServiceRanges | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Cluster]:
        """Run sync and its informers, as after a start of the daemon."""
        await self.registry.start()
        past = self.feed.past
        self.feed = Feed()
        self.feed.past = past
        wanted = (*followed_kinds(), Revision, ImagePull)
        informers = [Informer(self.client, kind) for kind in wanted]
        loader = Loader()
        await self._source_object()

        async def load(shown: Snapshot) -> Desired:
            return loader.load(shown)

        async def locate(revision: str, wanted: DesiredObject, field: str) -> Spot:
            return Asked(partial(loader.text, revision)).spot(wanted, field)

        self.sync = Sync(
            self.feed,
            load,
            self.client,
            self.clock,
            Live(informers),
            options=SyncOptions(
                SourceSpec(path="/tree"),
                care=self.care,
                recorder=self.recorder,
                locate=locate,
                streams=self.streams,
                ranges=self.ranges,
            ),
            random=Random(2),
            memory=self.memory,
        )
        tasks = [asyncio.create_task(each.run()) for each in [*informers, self.sync]]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _source_object(self) -> None:
        """Make the Source object, as who runs the loops does."""
        if not self.registry.list(Source):
            source = Source(metadata=ObjectMeta(name="main"), spec=SourceSpec(path="/tree"))
            await self.client.create(source)

    async def apply(self, *manifests: Mapping[str, Any] | bytes) -> Revision:
        """Show a revision; return its object once its fate is known."""
        shown = self.feed.show(*manifests)
        # The same tree may have been shown before: its old record says nothing of this time.
        await asyncio.sleep(_TAKEN)
        return await self.revision(shown.revision, *FATES)

    async def revision(self, name: str, *phases: str) -> Revision:
        """Return the newest Revision object of the revision `name` when in one of `phases`."""

        def found() -> Revision | None:
            mine = [r for r in self.registry.list(Revision) if r.spec.revision == name]
            newest = max(mine, key=lambda r: r.spec.sequence, default=None)
            return newest if newest is not None and newest.status.phase in phases else None

        return await until(found)

    async def source(self, *phases: str) -> Source:
        """Return the Source object once it is in one of `phases`."""

        def found() -> Source | None:
            (source,) = self.registry.list(Source) or [None]
            return source if source is not None and source.status.phase in phases else None

        return await until(found)

    def objects(self) -> dict[ObjectKey, KubeObject]:
        """Return all live objects of the kinds that a source may declare."""
        kinds = (kind for kind in followed_kinds() if kind is not Source)
        return {obj.key: obj for kind in kinds for obj in self.registry.list(kind)}

    def content(self) -> dict[ObjectKey, dict[str, Any]]:
        """Return what the live objects say, without what differs from one life to the next."""
        return {key: _timeless(obj.to_dict()) for key, obj in self.objects().items()}

    async def settled(self) -> None:
        """Wait until nothing more is written."""
        seen = -1
        while seen != self.store.revision:
            seen = self.store.revision
            await asyncio.sleep(1.0)


async def until(condition: Callable[[], Any], seconds: float = 100.0) -> Any:
    """Return the condition's first true value; on a virtual loop waiting costs nothing."""
    async with asyncio.timeout(seconds):
        while not (value := condition()):  # noqa: ASYNC110 - any condition; time is virtual
            await asyncio.sleep(0.01)
        return value


def _timeless(body: dict[str, Any]) -> dict[str, Any]:
    meta = body["metadata"]
    for name in ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"):
        meta.pop(name, None)
    body.pop("status", None)
    return body


Scenario = Callable[[Cluster], Awaitable[None]]


def runner(
    loop: asyncio.AbstractEventLoop, clock: Clock, care: Care = TRUSTING
) -> Callable[[Scenario], None]:
    """Return what runs a scenario on a fresh cluster with sync at work."""

    def run(scenario: Scenario) -> None:
        async def body() -> None:
            cluster = Cluster(clock, care=care)
            async with cluster.running():
                await scenario(cluster)

        loop.run_until_complete(body())

    return run
