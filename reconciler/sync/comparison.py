"""Plans of one source, with the memory that makes the next one cheap.

Held by the loop. It knows what was found equal at which resourceVersion, and which objects are left
as people made them until when. It reads the inventory and writes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from reconciler.core.clock import Clock
from reconciler.desired.objects import DesiredObject
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.sync.actions import Write
from reconciler.sync.drift import same_declaration
from reconciler.sync.inventory import Inventory
from reconciler.sync.memory import CleanMemory, Memory
from reconciler.sync.outcome import predict
from reconciler.sync.plan import Clean, Plan, Situation, Tolerated, plan, plan_keys
from reconciler.sync.rests import Rests
from reconciler.sync.steering import SyncOptions
from reconciler.sync.target import Target

_MANY = 300
_REMEMBER_EVERY = 30.0


class Comparison:
    """Compares a target with the inventory; `on_tolerated` hears of differences that stay."""

    def __init__(
        self,
        options: SyncOptions,
        clock: Clock,
        inventory: Inventory,
        on_tolerated: Callable[[Tolerated], None],
        *,
        memory: Memory | None = None,
    ) -> None:
        self._source = options.name
        self._prunes = options.spec.prune is not False
        self._ending = options.ending
        self._clock = clock
        self._inventory = inventory
        self._on_tolerated = on_tolerated
        self._clean: dict[ObjectKey, Clean] = {}
        self._memory = CleanMemory(memory)
        self._keep = options.care.prune_keep
        self._rests = Rests(clock, self._keep)
        self._ranges = options.ranges
        self._due: dict[ObjectKey, float] = {}
        self._learned = asyncio.Event()

    def recall(self) -> None:
        """Take over what an earlier run knew of this store."""
        self._clean = self._memory.recall(self._inventory.store)

    def keep(self) -> None:
        """Keep what is known to be equal for a later run."""
        self._memory.keep(self._clean, self._inventory.store)

    async def run(self) -> None:
        """Keep some time after it was learned what is known to be equal: a crash costs little.

        A source of which nothing is learned costs nothing, were there a thousand.
        """
        while True:
            await self._learned.wait()
            await asyncio.sleep(_REMEMBER_EVERY)
            self._learned.clear()
            clean, store = dict(self._clean), self._inventory.store
            await asyncio.to_thread(self._memory.keep, clean, store)

    async def plan(
        self,
        target: Target,
        *,
        everything: bool,
        keys: Iterable[ObjectKey] = (),
        settled: Mapping[ObjectKey, DesiredObject] | None = None,
        followed: bool = True,
    ) -> Plan:
        """Plan on a thread when there is much to compare, so that the event loop stays free.

        Of a target that is not `followed` yet, services are asked whether they can have what they
        name: a revision that runs is kept as far as possible, one that is to come must fit.
        """
        cold = everything and len(target.desired) > len(self._clean) + _MANY
        situation = self.situation(target, settled, copied=cold)
        if not followed and not target.rollback:
            situation = replace(situation, ranges=self._ranges)
        if cold:
            planned = await asyncio.to_thread(plan, situation, tuple(keys))
        else:
            planned = plan(situation, keys) if everything else plan_keys(situation, keys)
        self._clean.update(planned.clean)
        if planned.clean:
            self._learned.set()
        for key, left in planned.resting.items():
            self._due[key] = self._clock.monotonic() + left
        for each in planned.tolerated:
            self._on_tolerated(each)
            if each.until is not None:
                left = (each.until - self._clock.now()).total_seconds()
                self._due[each.key] = self._clock.monotonic() + left
        return planned

    def situation(
        self,
        target: Target,
        settled: Mapping[ObjectKey, DesiredObject] | None = None,
        *,
        copied: bool = False,
    ) -> Situation:
        """Return all that a plan of `target` depends on, `copied` for another thread."""
        live, owned = self._inventory.live, self._inventory.owned
        return Situation(
            source=self._source,
            desired=target.desired,
            live=dict(live) if copied else live,
            owned=dict(owned) if copied else owned,
            clean=self._clean,
            predict=predict,
            settled=settled,
            now=self._clock.now(),
            rival=self._inventory.rival,
            heir=self._inventory.heir,
            awaited=() if self._ending else self._inventory.wanted,
            prunes=self._prunes,
            ending=self._ending,
            keep=self._keep_of(target),
            undoes=target.undoes,
            rest=self._rests.left,
        )

    def _keep_of(self, target: Target) -> float:
        at_once = self._ending or (target.rollback and target.undoes is None)
        return 0.0 if at_once else self._keep

    def written(self, action: Write, obj: KubeObject) -> None:
        """Remember that the object is now as declared."""
        self._clean[action.key] = Clean(action.digest, obj.metadata.resource_version)
        self._learned.set()

    def concerns(self, key: ObjectKey, old: KubeObject | None, new: KubeObject | None) -> bool:
        """Return whether a change of a declared object may concern its declaration."""
        known = self._clean.get(key)
        if new is None or known is None:
            return True
        version = new.metadata.resource_version
        if known.resource_version == version:
            return False
        before = old if old is not None else new
        if known.resource_version == before.metadata.resource_version and same_declaration(
            before, new
        ):
            self._clean[key] = Clean(known.digest, version)
            self._learned.set()
            return False
        return True

    def gone(self, key: ObjectKey) -> None:
        """Forget an object that is neither declared nor there any longer."""
        if self._clean.pop(key, None) is not None:
            self._learned.set()

    def expired(self) -> list[ObjectKey]:
        """Return the keys whose override or rest has ended, and forget what was known of them."""
        now = self._clock.monotonic()
        over = [key for key, until in self._due.items() if until <= now]
        for key in over:
            del self._due[key]
            self._clean.pop(key, None)
        return over

    def next_expiry(self) -> float | None:
        """Return in how many seconds the next override or rest ends, None when there is none."""
        if not self._due:
            return None
        return max(0.0, min(self._due.values()) - self._clock.monotonic()) + 0.01
