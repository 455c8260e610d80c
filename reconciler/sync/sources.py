"""The loops of all sources: one for each Source object, started, changed and ended as it says.

Composed by `following.py`. It writes the Source objects that the settings name, and takes its
finalizer off a deleted one when nothing of it is left. What a source declares is its loop's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from random import Random

import structlog

from reconciler.client.informer import Informer
from reconciler.client.protocol import Client, ConflictError, NotFound
from reconciler.core.errors import Retryable
from reconciler.core.queue import Backoff, Controller, Done, Outcome
from reconciler.model.gitops import Revision, Source, SourceSpec
from reconciler.model.meta import ObjectMeta
from reconciler.sync.bounds import ORIGIN_ANNOTATION, Bounds, bounds_of
from reconciler.sync.hostaccess import Access, access_of
from reconciler.sync.identity import source_of
from reconciler.sync.live import Live
from reconciler.sync.loop import Sync

FINALIZER = "reconciler.dev/inventory"
"""Keeps a deleted Source until all that came from it is gone."""

_MANAGER = "reconciler-sync"
_BACKOFF = Backoff(base=0.1, cap=60.0)
_WORKERS = 8
_AGAIN = 10.0


@dataclass(frozen=True, slots=True)
class Shape:
    """All that a loop is started with; another one needs another loop."""

    spec: SourceSpec
    bounds: Bounds
    access: Access
    ending: bool


Start = Callable[[str, Shape], Sync]
"""Makes the loop of the source of that name."""


@dataclass(slots=True)
class _Running:
    shape: Shape
    sync: Sync
    task: asyncio.Task[None]


class Sources:
    """Runs a loop a source; `declared` are the specs of those that the settings name.

    `on_ended` is called with the name of a source that is gone for good.
    """

    def __init__(
        self,
        client: Client,
        live: Live,
        informer: Informer[Source],
        start: Start,
        declared: Mapping[str, SourceSpec],
        *,
        on_ended: Callable[[str], None] = lambda _: None,
        random: Random | None = None,
    ) -> None:
        self._client = client
        self._live = live
        self._informer = informer
        self._start = start
        self._declared = declared
        self._on_ended = on_ended
        self._running: dict[str, _Running] = {}
        self.loops: dict[str, Sync] = {}
        """The loops that run now, by the name of their source; for others to read."""
        self._controller: Controller[str] = Controller(
            "sources", self._reconcile, workers=_WORKERS, backoff=_BACKOFF, random=random
        )
        self._log = structlog.get_logger(component="sync")

    async def run(self) -> None:
        """Keep the loops as the Source objects are, until cancelled."""
        await self._live.start()
        for name, spec in self._declared.items():
            await self._write(name, spec)
        self._informer.subscribe(self._changed)
        try:
            await self._controller.run()
        finally:
            await asyncio.gather(*(self._stop(name) for name in list(self._running)))

    def trigger(self) -> None:
        """Let every source look now and compare every object, because a person asks for it."""
        for sync in self.loops.values():
            sync.trigger()

    def look(self, names: Iterable[str]) -> None:
        """Let the sources of these names look, because they may have moved."""
        loops = self.loops
        for name in names:
            if name in loops:
                loops[name].look()

    def _changed(self, _: str, old: Source | None, new: Source | None) -> None:
        """Look at a source, and at those that may write what it lets them write."""
        source = new or old
        if source is None:
            return
        name = source.metadata.name
        self._controller.queue.add(name)
        if old is None or new is None or old.spec != new.spec:
            for other in self._informer.items():
                if source_of(other) == name:
                    self._controller.queue.add(other.metadata.name)

    async def _reconcile(self, name: str) -> Outcome:
        source = self._live.source(name)
        if source is None:
            await self._stop(name)
            return Done()
        deleted = bool(source.metadata.deletion_timestamp)
        if not deleted and FINALIZER not in source.metadata.finalizers:
            await self._hold(source)
            return Done()  # the change comes back
        shape = Shape(
            source.spec.replace(suspend=False),
            bounds_of(source, self._live.source),
            access_of(source, self._live.source),
            deleted or self._left(source),
        )
        running = self._running.get(name)
        if running is not None and running.shape == shape:
            if shape.ending and running.sync.ended.is_set():
                await self._stop(name)
                await self._forget(source)
            return Done()
        await self._stop(name)
        sync = self._start(name, shape)
        task = asyncio.create_task(self._follow(name, sync), name=f"source {name}")
        self._running[name], self.loops[name] = _Running(shape, sync, task), sync
        self._log.info("source.started", source=name, url=source.spec.location)
        return Done()

    def _left(self, source: Source) -> bool:
        """Return whether the settings named the source once, and no longer do."""
        said = source.metadata.annotations.get(ORIGIN_ANNOTATION)
        return bool(said) and source.metadata.name not in self._declared

    async def _follow(self, name: str, sync: Sync) -> None:
        """Run a loop; a fault in it costs its source a pause and the others nothing."""
        ended = asyncio.create_task(self._await_end(name, sync))
        try:
            await sync.run()
        except* Exception:  # noqa: BLE001 - one source's fault must not cost the others
            self._log.exception("source.crashed", source=name)
        finally:
            ended.cancel()
        self._running.pop(name, None)
        self.loops.pop(name, None)
        self._controller.queue.add_after(name, _AGAIN)

    async def _await_end(self, name: str, sync: Sync) -> None:
        await sync.ended.wait()
        self._controller.queue.add(name)

    async def _stop(self, name: str) -> None:
        running = self._running.pop(name, None)
        self.loops.pop(name, None)
        if running is None:
            return
        running.task.cancel()
        await asyncio.gather(running.task, return_exceptions=True)
        self._log.info("source.stopped", source=name)

    async def _write(self, name: str, spec: SourceSpec) -> None:
        """Make the Source object of a source that the settings name as they say."""
        notes = {ORIGIN_ANNOTATION: "settings"}
        try:
            live = await self._client.get(Source, name)
        except NotFound:
            meta = ObjectMeta(name=name, annotations=notes, finalizers=(FINALIZER,))
            await self._client.create(Source(metadata=meta, spec=spec), manager=_MANAGER)
            return
        kept = live.metadata
        wanted = live.replace(
            spec=spec.replace(suspend=live.spec.suspend),  # a person's word
            metadata=kept.replace(
                annotations={**kept.annotations, **notes},
                finalizers=tuple(dict.fromkeys((*kept.finalizers, FINALIZER)))
                if not kept.deletion_timestamp
                else kept.finalizers,
            ),
        )
        if wanted != live:
            await self._client.update(wanted, manager=_MANAGER)

    async def _hold(self, source: Source) -> None:
        """See to it that the source stays until its loop has cleaned up."""
        meta = source.metadata
        held = source.replace(metadata=meta.replace(finalizers=(*meta.finalizers, FINALIZER)))
        await self._update(held)

    async def _forget(self, source: Source) -> None:
        """Let a source go of which nothing is left, and its history with it."""
        name = source.metadata.name
        for revision in self._live.revisions(name):
            await self._delete(Revision, revision.metadata.name)
        await self._delete(Source, name)
        with suppress(NotFound):
            left = await self._client.get(Source, name)
            rest = tuple(each for each in left.metadata.finalizers if each != FINALIZER)
            await self._update(left.replace(metadata=left.metadata.replace(finalizers=rest)))
        self._on_ended(name)
        self._log.info("source.ended", source=name)

    async def _update(self, source: Source) -> None:
        try:
            await self._client.update(source, manager=_MANAGER)
        except NotFound:
            return
        except ConflictError as error:
            raise Retryable(error.message) from error

    async def _delete(self, kind: type[Source | Revision], name: str) -> None:
        try:
            await self._client.delete(kind, name)
        except NotFound:
            return
