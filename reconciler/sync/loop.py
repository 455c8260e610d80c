"""The loop of one source: snapshots in, live objects driven to the newest good one, for ever.

Composed by `app.py`. It holds the state between plans; what to do is `plan.py`'s, doing it
`execute.py`'s, telling it `verdict.py`'s. A revision is admitted whole or not at all (law 2); a
source that cannot be read changes nothing (law 4); a commit that arrives meanwhile wins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import structlog

from reconciler.client.informer import Informer
from reconciler.client.protocol import Client
from reconciler.core.clock import Clock
from reconciler.core.errors import Retryable
from reconciler.core.queue import Backoff, Controller, Done, Outcome, RequeueAfter
from reconciler.desired.objects import Desired, DesiredObject
from reconciler.model.gitops import Source as SourceObject
from reconciler.model.gitops import SourceSpec
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.source.snapshot import Snapshot, SourceError, SourceProblem
from reconciler.source.snapshot import Source as Watched
from reconciler.sync.actions import Await, Replace, Write
from reconciler.sync.drift import same_declaration
from reconciler.sync.execute import Executor
from reconciler.sync.identity import source_of
from reconciler.sync.inventory import Inventory
from reconciler.sync.journal import Journal
from reconciler.sync.memory import CleanMemory, Memory
from reconciler.sync.outcome import predict
from reconciler.sync.plan import Clean, Plan, Situation, plan, plan_keys
from reconciler.sync.target import Target
from reconciler.sync.verdict import Verdict

Load = Callable[[Snapshot], Awaitable[Desired]]
"""Reads and validates a snapshot whole; blocking work is done off the event loop."""

_REFUSED_AGAIN = 10.0
_REMEMBER_EVERY = 30.0
_MANY = 300
_BACKOFF = Backoff(base=0.05, cap=30.0)


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """How a source is followed.

    `name` is the Source object's, `spec` what that object says of it; `keep` revisions are
    remembered.
    """

    spec: SourceSpec
    name: str = "main"
    keep: int = 50


class Sync:
    """Keeps the objects that one source declares as it declares them.

    `informers` are those of every kind that may be declared; others run them.
    """

    def __init__(
        self,
        source: Watched,
        load: Load,
        client: Client,
        clock: Clock,
        informers: Iterable[Informer[Any]],
        *,
        options: SyncOptions,
        random: Random | None = None,
        memory: Memory | None = None,
    ) -> None:
        self.name = name = options.name
        self._source = source
        self._load = load
        self._clock = clock
        self._journal = Journal(client, clock, name, options.spec, keep=options.keep)
        self._verdict = Verdict(self._journal, clock)
        self._inventory = Inventory(name, informers, self._changed)
        self._executor = Executor(client, clock, name, self._inventory, self._written)
        self._controller: Controller[str] = Controller(
            "sync", self._reconcile, backoff=_BACKOFF, random=random
        )
        self._newest: Snapshot | None = None
        self._admitted: Snapshot | None = None
        self._candidate: Target | None = None
        self._target: Target | None = None
        self._clean: dict[ObjectKey, Clean] = {}
        self._memory = CleanMemory(memory)
        self._suspects: dict[ObjectKey, None] = {}
        self._awaiting: tuple[ObjectKey, ...] = ()
        self._all = False
        self._asked = False
        self._log = structlog.get_logger(component="sync", source=name)

    @property
    def source(self) -> SourceObject:
        """The Source object as it stands, whether written yet or not."""
        return self._journal.source

    async def run(self) -> None:
        """Follow the source until cancelled."""
        await self._inventory.start()
        self._clean = self._memory.recall(self._inventory.store)
        await self._journal.open()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow(), name="sync.follow")
                group.create_task(self._remember(), name="sync.remember")
                group.create_task(self._journal.run(), name="sync.journal")
                group.create_task(self._controller.run(), name="sync.reconcile")
        finally:
            self._memory.keep(self._clean, self._inventory.store)
            await self._source.close()

    def trigger(self) -> None:
        """Look at the source now and compare every object, because a person asks for it."""
        self._source.trigger()
        self._all = self._asked = True
        self._wake()

    async def _follow(self) -> None:
        async for seen in self._source.snapshots():
            match seen:
                case SourceProblem():
                    self._journal.problem(seen)
                    self._log.warning("source.held", reason=seen.reason, message=seen.message)
                case Snapshot():
                    self._newest = seen
                    self._journal.fetched(seen.revision)
                    self._log.info("revision.fetched", revision=seen.revision, author=seen.author)
                    self._wake()

    async def _remember(self) -> None:
        """Keep from time to time what is known to be equal, so that a crash costs little."""
        while True:
            await asyncio.sleep(_REMEMBER_EVERY)
            clean, store = dict(self._clean), self._inventory.store
            await asyncio.to_thread(self._memory.keep, clean, store)

    def _wake(self) -> None:
        self._controller.queue.add(self.name)

    async def _reconcile(self, _: str) -> Outcome:
        try:
            return await self._pass()
        finally:
            if self._asked:
                self._asked = False
                self._journal.synced()

    async def _pass(self) -> Outcome:
        if self._newest is not None and self._newest is not self._admitted:
            await self._admit(self._newest)
        if self._candidate is not None:
            await self._consider(self._candidate)
        if self._target is None:
            return RequeueAfter(_REFUSED_AGAIN) if self._candidate is not None else Done()
        return await self._converge(self._target)

    async def _admit(self, snapshot: Snapshot) -> None:
        """Read and validate a revision whole; a bad one is rejected and changes nothing."""
        record = self._verdict.begin(snapshot)
        try:
            desired = await self._load(snapshot)
        except SourceError as error:
            raise Retryable(error.message) from error
        self._admitted = snapshot
        self._candidate = None
        if desired.problems:
            self._verdict.unreadable(record, snapshot.revision, desired.problems)
        else:
            self._verdict.validated(record)
            self._candidate = Target(snapshot.revision, record, desired.objects)

    async def _consider(self, candidate: Target) -> None:
        """Make the candidate the target, and follow its plan, when it can be followed."""
        settled = self._target.desired if self._target is not None and not self._all else None
        suspects = (*self._suspects, *self._awaiting)
        planned = await self._plan(candidate, everything=True, keys=suspects, settled=settled)
        if planned.refusals:
            self._verdict.refused(candidate, planned.refusals)
            return
        candidate.judge(self._inventory.live, self._target)
        self._candidate, self._target, self._all = None, candidate, True
        self._verdict.planned(candidate, planned)
        await self._perform(candidate, planned, everything=True)

    async def _converge(self, target: Target) -> Outcome:
        """Bring back what may differ, and judge the revision."""
        if self._all or self._suspects:
            everything, suspects = self._all, self._suspects
            self._suspects = {}
            planned = await self._plan(target, everything=everything, keys=suspects)
            await self._perform(target, planned, everything=everything)
        if self._candidate is not None:
            return RequeueAfter(_REFUSED_AGAIN)
        if self._all or self._suspects or not self._still_newest():
            return Done()
        later = self._verdict.judge(target)
        return RequeueAfter(later) if later else Done()

    async def _perform(self, target: Target, planned: Plan, *, everything: bool) -> None:
        """Do what was planned; raises `Retryable` when not all of it could be done."""
        self._all = True
        if planned.refusals:
            raise self._verdict.blocked(target, planned.refusals)
        awaiting = tuple(a.key for a in planned.actions if isinstance(a, Await | Replace))
        self._awaiting = awaiting if everything else (*self._awaiting, *awaiting)
        failures = await self._executor.execute(planned, self._still_newest)
        if failures:
            raise self._verdict.failed(target, failures)
        if not self._still_newest():
            return
        self._all = False
        if not self._awaiting and not target.applied:
            self._verdict.applied(target)
            target.applied = True

    def _still_newest(self) -> bool:
        return self._newest is self._admitted

    async def _plan(
        self,
        target: Target,
        *,
        everything: bool,
        keys: Iterable[ObjectKey] = (),
        settled: Mapping[ObjectKey, DesiredObject] | None = None,
    ) -> Plan:
        """Plan on a thread when there is much to compare, so that the event loop stays free."""
        cold = everything and len(target.desired) > len(self._clean) + _MANY
        situation = Situation(
            source=self.name,
            desired=target.desired,
            live=dict(self._inventory.live) if cold else self._inventory.live,
            owned=dict(self._inventory.owned) if cold else self._inventory.owned,
            clean=self._clean,
            predict=predict,
            settled=settled,
        )
        if cold:
            planned = await asyncio.to_thread(plan, situation, tuple(keys))
        else:
            planned = plan(situation, keys) if everything else plan_keys(situation, keys)
        self._clean.update(planned.clean)
        return planned

    def _written(self, action: Write, obj: KubeObject) -> None:
        self._clean[action.key] = Clean(action.digest, obj.metadata.resource_version)
        if self._target is not None and action.key in self._target.desired:
            self._target.see(action.key, obj)

    def _changed(self, key: ObjectKey, old: KubeObject | None, new: KubeObject | None) -> None:
        """Hear of a change; only those that may matter to the target wake the loop."""
        target = self._target
        if target is None:
            return
        news = False
        if new is None and self._awaiting:
            self._suspects.update(dict.fromkeys(self._awaiting))
            self._awaiting, news = (), True
        if key in target.desired:
            news |= target.see(key, new)
            news |= self._suspect(key, old, new)
        elif new is not None and source_of(new) == self.name:
            self._suspects[key] = None
            news = True
        if news:
            self._wake()

    def _suspect(self, key: ObjectKey, old: KubeObject | None, new: KubeObject | None) -> bool:
        """Mark a declared object for planning unless the change cannot concern its declaration."""
        known = self._clean.get(key)
        if new is not None and known is not None:
            version = new.metadata.resource_version
            if known.resource_version == version:
                return False
            before = old if old is not None else new
            if known.resource_version == before.metadata.resource_version and same_declaration(
                before, new
            ):
                self._clean[key] = Clean(known.digest, version)
                return False
        self._suspects[key] = None
        return True
