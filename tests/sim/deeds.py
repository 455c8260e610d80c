"""Makes each step of a history happen. Called by `driver.py`."""

from __future__ import annotations

from datetime import timedelta
from functools import singledispatchmethod

from tests.sim import hands, manifests
from tests.sim.engine import UNHEARD
from tests.sim.history import (
    Arm,
    ClockJump,
    Commit,
    Crash,
    DiskFull,
    EngineAway,
    GitAway,
    Hand,
    Kill,
    NetAway,
    NewKey,
    Reboot,
    Stop,
    What,
)
from tests.sim.manifests import Tree
from tests.sim.misfortunes import names
from tests.sim.world import World


class Deeds:
    """What was pushed so far, and how to do each deed. `tree` is the head's."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.tree = Tree()
        self.rewritten = False

    def push(self, tree: Tree, parent: str | None = None) -> None:
        """Commit on top of `parent`, or on the head."""
        world = self._world
        self.tree = tree
        declared = {
            (m["kind"], m["metadata"].get("namespace", ""), m["metadata"]["name"])
            for m in manifests.manifests(tree)
        }
        known = world.laws.always_declared
        world.laws.always_declared = declared if known is None else known & declared
        made = world.remote.push(manifests.files(tree), parent)
        world.trace.note(f"* commit {made.id[:12]} {tree}")

    def perform(self, what: What) -> None:
        """Do it now."""
        if not isinstance(what, Arm):  # that is met by the call which takes it
            self._world.met.update(names(what))
        self._perform(what)

    @singledispatchmethod
    def _perform(self, what: What) -> None:
        raise TypeError(f"nobody knows how to do {what}")

    @_perform.register
    def _(self, what: Commit) -> None:
        remote = self._world.remote
        if what.rewrite and remote.head:
            self.rewritten = True
            self.push(what.tree, remote.commits[remote.head].parent)
        else:
            self.push(what.tree)

    @_perform.register
    def _(self, what: Crash) -> None:
        world = self._world
        world.loop.after_steps(what.steps, lambda: world.processes.crash(what.node, what.away))

    @_perform.register
    def _(self, what: Stop) -> None:
        self._world.processes.stop(what.away)

    @_perform.register
    def _(self, what: Reboot) -> None:
        self._world.processes.reboot(what.node, what.away)

    @_perform.register
    def _(self, what: EngineAway) -> None:
        self._world.engine_away(what.node, what.seconds)

    @_perform.register
    def _(self, what: NetAway) -> None:
        self._world.network_away(what.node, what.seconds)

    @_perform.register
    def _(self, _: NewKey) -> None:
        keys = self._world.disk.keys
        keys.insert(0, f"k{int(keys[0][1:]) + 1}")
        self._world.trouble(f"the store's keys are {keys}")

    @_perform.register
    def _(self, what: GitAway) -> None:
        world = self._world
        world.trouble("git is away")
        world.remote.away = True
        world.loop.call_later(what.seconds, setattr, world.remote, "away", False)

    @_perform.register
    def _(self, what: DiskFull) -> None:
        world = self._world
        world.trouble("the disk is full")
        world.disk.full = True
        world.loop.call_later(what.seconds, setattr, world.disk, "full", False)

    @_perform.register
    def _(self, what: ClockJump) -> None:
        self._world.trouble(f"the clock jumps {what.seconds} s")
        self._world.clock.jumped += timedelta(seconds=what.seconds)

    @_perform.register
    def _(self, what: Kill) -> None:
        world = self._world
        engine = world.hosts[what.node].engine
        ours = [c for c in engine.containers() if c.running and c.pod.uid]
        if ours:
            victim = ours[what.pick % len(ours)]
            world.trouble(f"{victim.state.name}: {what.how}")
            world.lossy |= what.how in UNHEARD
            engine.perish(victim.id, what.how)

    @_perform.register
    def _(self, what: Hand) -> None:
        world = self._world
        world.trouble(f"by hand: {what.what}")
        world.loop.create_task(hands.act(world, what.what, what.pick), context=world.context)

    @_perform.register
    def _(self, what: Arm) -> None:
        self._world.faults.arm(what.fault)
