"""A cluster in memory that follows several sources, each a `Feed` of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from reconciler.apiserver.registry.registry import Registry
from reconciler.client.informer import Informer
from reconciler.client.local import LocalClient
from reconciler.core.clock import Clock
from reconciler.core.ids import Ids
from reconciler.desired.load import Loader
from reconciler.desired.objects import Desired
from reconciler.model.gitops import API_VERSION, Revision, Source, SourceSpec
from reconciler.model.meta import ObjectKey
from reconciler.source.snapshot import Snapshot
from reconciler.source.still import nothing_left
from reconciler.store.memory import MemoryStore
from reconciler.sync.inputs import variables_of
from reconciler.sync.live import Live, followed_kinds
from reconciler.sync.loop import Sync
from reconciler.sync.sources import Shape, Sources
from reconciler.sync.steering import Care, SyncOptions
from tests.unit.sync.cluster import TRUSTING, Feed, until

A = ObjectKey("ConfigMap", "web", "a")
TWO = {name: SourceSpec(url=f"https://git.example.com/{name}") for name in ("one", "two")}


class Fleet:
    """One daemon's API without controllers; `feeds` stand where the repositories are."""

    def __init__(self, clock: Clock, declared: Mapping[str, SourceSpec] | None = None) -> None:
        self.clock = clock
        self.declared = declared or {}
        self.care: dict[str, Care] = {}
        self.store = MemoryStore()
        self.registry = Registry(self.store, clock, Ids(Random(1)))
        self.client = LocalClient(self.registry)
        self.feeds: dict[str, Feed] = {}
        self.started: list[str] = []

    def feed(self, name: str) -> Feed:
        return self.feeds.setdefault(name, Feed())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Fleet]:
        await self.registry.start()
        informers = {kind: Informer(self.client, kind) for kind in (*followed_kinds(), Revision)}
        self.live = Live(informers.values())
        self.sources = Sources(
            self.client, self.live, informers[Source], self._start, self.declared,
            random=Random(2),
        )  # fmt: skip
        parts = [*informers.values(), self.sources]
        tasks = [asyncio.create_task(each.run()) for each in parts]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, name: str, shape: Shape) -> Sync:
        self.started.append(name)
        loader = Loader(namespace=shape.spec.home)

        async def load(shown: Snapshot) -> Desired:
            return loader.load(shown, variables_of(shape.spec, self.live.objects))

        return Sync(
            nothing_left(self.clock) if shape.ending else self.feed(name),
            load,
            self.client,
            self.clock,
            self.live,
            options=SyncOptions(
                name=name, spec=shape.spec, bounds=shape.bounds, access=shape.access,
                ending=shape.ending,
                look=self.sources.look,
                care=self.care.get(name, TRUSTING),
            ),
            random=Random(3),
        )  # fmt: skip

    async def apply(self, source: str, *manifests: Any) -> Revision:
        """Show a revision of a source; return its object once its fate is known."""
        shown = self.feed(source).show(*manifests)
        await asyncio.sleep(0.05)
        return await self.revision(
            source, shown.revision, "Healthy", "Rejected", "Failed", "Held", "RolledBack"
        )

    async def revision(self, source: str, name: str, *phases: str) -> Revision:
        def found() -> Revision | None:
            mine = [
                r for r in self.registry.list(Revision)
                if r.spec.source == source and r.spec.revision == name
            ]  # fmt: skip
            newest = max(mine, key=lambda r: r.spec.sequence, default=None)
            return newest if newest is not None and newest.status.phase in phases else None

        return await until(found)

    def source(self, name: str) -> Source | None:
        found = (each for each in self.registry.list(Source) if each.metadata.name == name)
        return next(found, None)

    def uid(self, key: ObjectKey) -> str:
        """Return the uid of a live object, "" when there is none."""
        obj = self.live.objects.get(key)
        return obj.metadata.uid if obj is not None else ""


def source(name: str, **spec: Any) -> dict[str, Any]:
    """Return the manifest of a Source."""
    body = {"url": f"https://git.example.com/{name}", **spec}
    return {"apiVersion": API_VERSION, "kind": "Source", "metadata": {"name": name}, "spec": body}


Scenario = Callable[[Fleet], Awaitable[None]]


def runner(loop: asyncio.AbstractEventLoop, clock: Clock) -> Callable[..., Fleet]:
    """Return what runs a scenario on a fleet, of the sources `one` and `two` unless told others.

    It returns the fleet, for another scenario.
    """

    def run(
        scenario: Scenario,
        declared: Mapping[str, SourceSpec] = TWO,
        fleet: Fleet | None = None,
    ) -> Fleet:
        chosen = fleet or Fleet(clock, declared)

        async def body() -> None:
            async with chosen.running():
                await scenario(chosen)

        loop.run_until_complete(body())
        return chosen

    return run
