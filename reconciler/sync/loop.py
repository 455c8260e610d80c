"""The loop of one source: snapshots in, live objects driven to the newest good one, for ever.

Composed by `following.py`. It holds the state between plans; what to do is `plan.py`'s, doing it
`execute.py`'s, telling it `verdict.py`'s. A revision is admitted whole or not at all (law 2); a
source that cannot be read changes nothing (law 4); a commit that arrives meanwhile wins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random

import structlog

from reconciler.client.protocol import Client
from reconciler.core.clock import Clock
from reconciler.core.errors import Retryable
from reconciler.core.queue import Backoff, Controller, Done, Outcome, RequeueAfter
from reconciler.desired.objects import Desired
from reconciler.model import kinds
from reconciler.model.gitops import Revision
from reconciler.model.gitops import Source as SourceObject
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.source.snapshot import Snapshot, SourceError, SourceProblem
from reconciler.source.snapshot import Source as Watched
from reconciler.sync.actions import Await, Replace, Write
from reconciler.sync.comparison import Comparison
from reconciler.sync.execute import Executor, Failure
from reconciler.sync.gates import Gates
from reconciler.sync.inputs import read_keys, secret_keys, state_of
from reconciler.sync.intake import Intake
from reconciler.sync.inventory import Inventory
from reconciler.sync.journal import Journal
from reconciler.sync.lastwords import LastWords
from reconciler.sync.live import Live, source_key
from reconciler.sync.memory import Memory
from reconciler.sync.narration import Narrator
from reconciler.sync.notice import notice
from reconciler.sync.plan import Plan
from reconciler.sync.pulls import PULL_KIND
from reconciler.sync.steering import SyncOptions, requested, rolls_back, said, suspended
from reconciler.sync.suspects import Suspects
from reconciler.sync.target import Target, begun
from reconciler.sync.verdict import Verdict
from reconciler.sync.waves import Order, split
from reconciler.sync.wayback import WayBack

Load = Callable[[Snapshot], Awaitable[Desired]]
"""Reads and validates a snapshot whole; blocking work is done off the event loop."""

_REFUSED_AGAIN = 10.0
_BACKOFF = Backoff(base=0.05, cap=30.0)
_REVISION = kinds.of(Revision).key_kind


class Sync:
    """Keeps the objects that one source declares as it declares them.

    Others keep `live` up. `ended` is set when a source that is deleted has nothing left.
    """

    def __init__(
        self,
        source: Watched,
        load: Load,
        client: Client,
        clock: Clock,
        live: Live,
        *,
        options: SyncOptions,
        random: Random | None = None,
        memory: Memory | None = None,
    ) -> None:
        self.name = name = options.name
        self._source = source
        self._load = load
        self._clock = clock
        self._options = options
        self.ended = asyncio.Event()
        self._live = live
        self._own_key = source_key(name)
        self._requested = ""
        self._reads = read_keys(options.spec)
        self._suspended = False
        self._journal = Journal(client, clock, name, options.spec, keep=options.keep)
        self._back = WayBack(source, self._journal, self._loaded)
        narrator, locate = Narrator(options.recorder, self._own_source), options.locate
        self._inventory = Inventory(name, live, self._changed)
        self._verdict = Verdict(self._journal, clock, narrator, self._inventory.live, locate)
        self._comparison = Comparison(
            options, clock, self._inventory, self._verdict.tolerated, memory=memory
        )
        self._gates = Gates(client, options, live, self._comparison, self._verdict, clock)
        self._last_words = LastWords(self._inventory.live, options.streams)
        self._suspects = Suspects(options, self._inventory, self._comparison)
        self._executor = Executor(client, clock, name, self._inventory, self._written, narrator)
        self._controller: Controller[str] = Controller(
            "sync", self._reconcile, backoff=_BACKOFF, random=random
        )
        self._intake = Intake(name, clock, self._verdict)
        self._candidate: Target | None = None
        self._target: Target | None = None
        self._all = False
        self._asked = 0
        self._log = structlog.get_logger(component="sync", source=name)

    @property
    def source(self) -> SourceObject:
        """The Source object as it stands, whether written yet or not."""
        return self._journal.source

    def declared(self, key: ObjectKey, live: KubeObject | None) -> str:
        """Return what who wrote an object, as it now is, is told of Git; "" when it has no say."""
        wanted = self._target.desired.get(key) if self._target is not None else None
        if wanted is None:
            return ""
        return notice(wanted, live, self._clock.now(), suspended=self._suspended)

    async def run(self) -> None:
        """Follow the source until cancelled."""
        await self._inventory.start()
        self._comparison.recall()
        self._journal.open(self._live.source(self.name), self._live.revisions(self.name))
        self._requested = requested(self._own_source())
        self._live.read_by(self.name, self._reads)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow(), name="sync.follow")
                group.create_task(self._comparison.run(), name="sync.remember")
                group.create_task(self._journal.run(), name="sync.journal")
                group.create_task(self._controller.run(), name="sync.reconcile")
        finally:
            self._inventory.stop()
            self._comparison.keep()
            await self._source.close()

    def look(self) -> None:
        """Look at the source now, because a webhook says that it may have moved."""
        self._source.look()

    def trigger(self) -> None:
        """Look at the source now and compare every object, because a person asks for it."""
        self._source.trigger()
        self._intake.retry()
        self._all = True
        self._asked += 1
        self._wake()

    async def _follow(self) -> None:
        async for seen in self._source.snapshots():
            match seen:
                case SourceProblem():
                    self._journal.problem(seen)
                    self._log.warning("source.held", reason=seen.reason, message=seen.message)
                case Snapshot():
                    self._intake.show(replace(seen, inputs=self._inputs()))
                    self._take_up()
                    self._journal.fetched(seen.revision)
                    self._log.info("revision.fetched", revision=seen.revision, author=seen.author)
                    self._wake()

    def _take_up(self) -> float:
        applied = self._journal.source.status.applied_revision
        return self._intake.take_up(self._own_source(), asked=self._asked > 0, applied=applied)

    def _inputs(self) -> str:
        return state_of(self._options.spec, self._inventory.live)

    def _own_source(self) -> SourceObject | None:
        return self._live.source(self.name)

    def _wake(self) -> None:
        self._controller.queue.add(self.name)

    async def _reconcile(self, _: str) -> Outcome:
        asked = self._asked  # who asks meanwhile is answered by the next pass
        try:
            return await self._pass()
        finally:
            if asked:
                self._asked -= asked
                self._journal.synced()

    async def _pass(self) -> Outcome:
        if self._is_suspended():
            return Done()
        if (word := requested(self._own_source())) != self._requested:
            self._requested = word
            self.trigger()
        self._verdict.contested(self._inventory.contested())
        pause = self._take_up()
        outcome = await self._follow_newest()
        if pause:
            self._take_up()  # that it waits is the last word on the source
        return RequeueAfter(pause) if pause and isinstance(outcome, Done) else outcome

    async def _follow_newest(self) -> Outcome:
        if (unseen := self._intake.unseen) is not None:
            await self._admit(unseen)
        if self._candidate is not None:
            self._candidate.asked |= self._asked > 0
            await self._consider(self._candidate)
        if self._target is None:
            return RequeueAfter(_REFUSED_AGAIN) if self._candidate is not None else Done()
        return await self._converge(self._target)

    async def _admit(self, snapshot: Snapshot) -> None:
        """Read and validate a revision whole; a bad one is rejected and changes nothing."""
        if tried := self._journal.quarantined(snapshot):
            await self._quarantine(snapshot, tried)
            return
        record = self._verdict.begin(snapshot)
        desired = await self._loaded(snapshot)
        self._intake.admit(snapshot, readable=not desired.problems)
        self._candidate = None
        self._verdict.rendered(record, desired.rendered)
        if desired.problems:
            self._verdict.unreadable(record, snapshot.revision, desired.problems)
            await self._keep_applied(snapshot.revision)
        else:
            self._verdict.validated(record)
            now, first = self._clock.now(), self._journal.begun(record)
            self._candidate = begun(snapshot, record, desired, now, first)

    async def _loaded(self, snapshot: Snapshot) -> Desired:
        try:
            return await self._load(snapshot)
        except SourceError as error:
            raise Retryable(error.message) from error

    async def _quarantine(self, snapshot: Snapshot, record: str) -> None:
        """Stay with the last good revision: the newest failed before, and was undone."""
        if self._target is None:
            self._candidate = await self._back.find(record, snapshot.revision, snapshot.inputs)
        self._intake.admit(snapshot, readable=True)
        self._verdict.quarantined(
            f"{snapshot.revision[:12]} failed before; a new commit is awaited"
        )
        self._log.warning("revision.quarantined", revision=snapshot.revision)

    def _is_suspended(self) -> bool:
        now = suspended(self._own_source())
        if now != self._suspended:
            self._suspended = now
            if now:
                self._verdict.suspended()
            else:
                self._verdict.resumed()
                self._all = True
            self._log.info("source.suspended" if now else "source.resumed")
        return now

    async def _consider(self, candidate: Target) -> None:
        """Make the candidate the target, and follow its plan, when it can be followed."""
        if wrong := self._gates.refusals(candidate):
            await self._verdict.refused(candidate, wrong)
            return
        self._declare()
        settled = self._target.desired if self._target is not None and not self._all else None
        planned = await self._comparison.plan(
            candidate, everything=True, keys=self._suspects.keys, settled=settled, followed=False
        )
        self._inventory.contest(planned.contested)
        if planned.refusals:
            await self._verdict.refused(candidate, planned.refusals)
        if planned.refusals or not await self._gates.passed(candidate, planned):
            await self._keep_applied(candidate.revision)
            return
        candidate.judge(self._inventory.live, self._target)
        self._candidate, self._target, self._all = None, candidate, True
        self._declare()
        self._verdict.followed(candidate)
        await self._perform(candidate, planned, everything=True)

    async def _keep_applied(self, rejected: str) -> None:
        """After a start, keep what ran before while the newest revision cannot be followed."""
        if self._target is None and (back := await self._back.applied(rejected)) is not None:
            back.judge(self._inventory.live, None)
            self._target, self._all = back, True
            self._declare()

    def _declare(self) -> None:
        """Let the other sources know what this one follows and wants."""
        followed = self._target.desired if self._target is not None else None
        wanted = self._candidate.desired if self._candidate is not None else followed or {}
        self._inventory.declare(followed, wanted)

    async def _converge(self, target: Target) -> Outcome:
        """Bring back what may differ, and judge the revision."""
        tick = self._suspects.tick(target, self._inventory.live, self._clock)
        if self._all or self._suspects.changed:
            everything, keys = self._all, self._suspects.take()
            planned = await self._comparison.plan(target, everything=everything, keys=keys)
            await self._perform(target, planned, everything=everything)
        if self._candidate is not None:
            return self._later(_REFUSED_AGAIN)
        if self._all or self._suspects.changed or not self._still_newest():
            return Done()
        begun = target.applied or self._suspects.waiting
        if begun and target.failed and await self._rolled_back(target):
            return RequeueAfter(0.01)
        fails = target.failed and self._journal.phase(target.record) not in ("Failed", "Healthy")
        lost = await self._last_words.of(self._last_words.behind(target)) if fails else ()
        later = self._verdict.judge(target, lost, self._back.gone)
        if target.applied and not target.unhealthy:
            self._back.keep(target)
        return self._later(later, tick)

    def _later(self, *soon: float) -> Outcome:
        """Come again for the next word, and when somebody's override ends."""
        if over := self._comparison.expired():
            self._suspects.changed.update(dict.fromkeys(over))
            return RequeueAfter(0.01)
        waits = [each for each in (*soon, self._comparison.next_expiry()) if each]
        return RequeueAfter(min(waits)) if waits else Done()

    async def _rolled_back(self, target: Target) -> bool:
        """Turn back to the last good revision when this one failed before it was ever Healthy."""
        if not rolls_back(self._own_source(), self._options.care):
            return False
        # Why, as it is now: a container that is tried again meanwhile looks well for a moment.
        failed, pods = dict(target.failed), self._last_words.behind(target)
        if (back := await self._back.undo(target)) is None:
            return False
        lost = await self._last_words.of(pods)
        self._verdict.rolled_back(target, failed, back.revision, lost)
        self._candidate = back
        return True

    async def _perform(self, target: Target, planned: Plan, *, everything: bool) -> None:
        """Do what was planned; raises `Retryable` when not all of it could be done."""
        self._all = True
        if planned.refusals:
            self._inventory.contest(planned.contested)
            raise self._verdict.blocked(target, planned.refusals)
        awaiting = tuple(a.key for a in planned.actions if isinstance(a, Await | Replace))
        self._suspects.await_deletion(awaiting, besides=not everything)
        failures = await self._execute(target, planned)
        if failures:
            error = self._verdict.failed(target, failures)
            if any(failure.lasting for failure in failures):
                await self._rolled_back(target)
            raise error
        if not self._still_newest():
            return
        self._all = False
        if not self._suspects.awaiting and not self._suspects.waiting and not target.applied:
            self._verdict.applied(target)
            target.applied = True
            if self._options.ending:
                self.ended.set()

    async def _execute(self, target: Target, planned: Plan) -> tuple[Failure, ...]:
        """Perform what may be done now, wave by wave; the rest waits for health."""
        actions, order = planned.actions, Order() if target.applied else target.order
        while True:
            now, later = split(order, actions, target.unhealthy)
            failures = await self._executor.execute(Plan(now), self._still_newest)
            self._suspects.waiting = tuple(action.key for action in later)
            stuck = any(isinstance(action, Await | Replace) for action in now)
            if failures or not later or not now or stuck or not self._still_newest():
                return failures
            actions = later

    def _still_newest(self) -> bool:
        return self._intake.current

    def _written(self, action: Write, obj: KubeObject) -> None:
        self._comparison.written(action, obj)
        if self._target is not None and action.key in self._target.desired:
            self._target.wrote(action, obj)

    def _changed(self, key: ObjectKey, old: KubeObject | None, new: KubeObject | None) -> None:
        """Hear of a change; only those that may matter to the target wake the loop."""
        if key in self._reads:
            self._read(key)
        if self._concerns_us(key, old, new):
            self._wake()
        elif old is new:  # another source lets go of the object, or no longer wants it
            self._suspects.changed[key] = None
            self._wake()
        elif self._target is not None and self._suspects.hear(self._target, key, old, new):
            self._wake()

    def _read(self, key: ObjectKey) -> None:
        """Hear of an object that the source reads: what lets it in, or what has variables."""
        if key in secret_keys(self._options.spec):
            self._source.look()
        inputs = self._inputs()
        if self._intake.newest is not None and self._intake.newest.inputs != inputs:
            self._intake.again(inputs)
            self._wake()

    def _concerns_us(self, key: ObjectKey, old: KubeObject | None, new: KubeObject | None) -> bool:
        """Whether a change is a word to the loop itself: of a person, or of a node with images."""
        if key.kind == PULL_KIND:
            return self._candidate is not None
        return key == self._own_key or (key.kind == _REVISION and said(old) != said(new))
