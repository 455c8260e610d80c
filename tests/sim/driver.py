"""Lets a history happen, then waits for rest: when faults stop, the declared state is reached."""

from __future__ import annotations

import asyncio
from itertools import islice

from tests.sim import goal, hands, manifests
from tests.sim.deeds import Deeds
from tests.sim.history import SPAN, Commit
from tests.sim.manifests import Manifest
from tests.sim.world import World

PATIENCE = 280.0
"""Virtual seconds after the last fault in which the declared state must be reached: less than the
shortest time after which the program looks at everything unasked."""

LONG_PATIENCE = 1500.0
"""The same where an event was lost: that costs the time until such a look."""

_AFTERWARDS = SPAN / 4
_SETTLED = 12.0
_QUIET = 45.0
_LOOK = 2.0
_ASK_AGAIN = 60.0
_TOLD = 6


class Driver:
    """The course of one history."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._deeds = Deeds(world)

    async def run(self) -> None:
        """Live through the history; whatever law breaks stops the loop."""
        world = self._world
        steps = world.history.happening()
        await world.furnish()
        if steps and isinstance(steps[0].what, Commit):
            self._deeds.perform(steps[0].what)
            steps = steps[1:]
        for number in range(len(world.hosts)):
            world.processes.start(number)
        own = asyncio.create_task(hands.make_own(world))
        for step in steps:
            await asyncio.sleep(max(0.0, step.at - world.loop.time()))
            self._deeds.perform(step.what)
        await asyncio.sleep(_AFTERWARDS)
        self._end_faults()
        await own
        declared = manifests.manifests(self._deeds.tree)
        await self._reach(declared)
        await self._stay(declared)

    def _end_faults(self) -> None:
        world, deeds = self._world, self._deeds
        world.faults.clear()
        world.loop.after_steps(0, None)
        world.disk.full = world.remote.away = False
        for number in range(len(world.hosts)):
            world.network_back(number)
        world.trace.note("* peace")
        if not deeds.tree.healthy or deeds.rewritten or goal.given_up(world):
            deeds.push(manifests.healed(deeds.tree))

    async def _reach(self, declared: list[Manifest]) -> None:
        """Wait for the declared state; do what a person has to who sees a revision held."""
        world, deeds = self._world, self._deeds
        await asyncio.sleep(max(0.0, world.quiet_from - world.loop.time()))
        began = asked = pushed = world.loop.time()
        while any(goal.missing(world, declared)):
            now = world.loop.time()
            if now - began > (LONG_PATIENCE if world.lossy else PATIENCE):
                world.stop_broken(f"the declared state is reached: {self._lacks(declared)}")
            if now - pushed > _ASK_AGAIN and goal.given_up(world):
                pushed = now
                deeds.push(manifests.healed(deeds.tree))
            if deeds.rewritten and now - asked > _ASK_AGAIN and world.processes.plane is not None:
                asked = now
                world.laws.asked = True
                world.processes.plane.trigger()
            await asyncio.sleep(_LOOK)

    async def _stay(self, declared: list[Manifest]) -> None:
        """See that nothing more happens, and that what was reached stays."""
        world = self._world
        while world.loop.time() - world.processes.started < _SETTLED:  # noqa: ASYNC110 - time is virtual
            await asyncio.sleep(_LOOK)
        await asyncio.sleep(_SETTLED)
        before = world.effects
        await asyncio.sleep(_QUIET)
        if world.effects != before:
            world.stop_broken(f"no churn: {world.effects - before} effects at rest")
        if lacks := self._lacks(declared):
            world.stop_broken(f"the declared state stays: {lacks}")

    def _lacks(self, declared: list[Manifest]) -> str:
        return "; ".join(islice(goal.missing(self._world, declared), _TOLD))
