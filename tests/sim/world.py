"""The simulated world: hosts, a disk, a Git remote, a network, and the processes on them."""

from __future__ import annotations

import asyncio
from contextvars import Context, copy_context
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from reconciler.kubelet.runtime import ContainerSpec, Happened
from tests.sim import program, repository
from tests.sim.api import Wire
from tests.sim.disk import Disk
from tests.sim.engine import Host
from tests.sim.faults import Fault, Faults
from tests.sim.history import Arm, History
from tests.sim.laws import Laws
from tests.sim.loop import SimLoop
from tests.sim.manifests import GOOD
from tests.sim.misfortunes import names
from tests.sim.processes import Processes
from tests.sim.trace import Trace, WallClock

_BEATING = ("Node", "Lease.coordination.k8s.io", "Event")
"""Kinds that are written at rest, too: nodes' hearts beat, and what was done is told."""


class World:
    """One history's world. `folder` is for the files that pods have, and for nothing else.

    `met` has the names of the kinds of misfortune that were felt.
    """

    def __init__(self, history: History, loop: SimLoop, folder: Path, *, keep_trace: bool) -> None:
        self.history, self.loop, self.folder = history, loop, folder
        self.clock = WallClock(loop)
        self.trace = Trace(loop, kept=keep_trace)
        self.context: Context = copy_context()
        self.broken = ""
        self.faults = Faults(self._fault_taken)
        self.laws = Laws(loop.time, self.stop_broken)
        self.remote = repository.Remote()
        self.processes = Processes(self, partial(program.run, self))
        self.disk = Disk(self.take0, lambda: self.processes.crash(0), self._written)
        self.wire = Wire()
        self.hosts = [self._host(number) for number in range(history.nodes)]
        self.laws.hosts = self.hosts
        self.laws.keep = history.keep
        self.laws.related = self.remote.related
        self.laws.sound = self.remote.sound
        self.effects = 0
        self.met: set[str] = set()
        self.lossy = False
        self.quiet_from = 0.0
        self._events = self.random("events")

    def random(self, name: str) -> Random:
        """Return a generator of its own for `name`, so that others' draws do not disturb it."""
        return Random(f"{self.history.seed} {name}")

    def stop_broken(self, what: str) -> None:
        """A law is broken: the history ends after this step."""
        if not self.broken:
            self.broken = what
            self.trace.note(f"BROKEN {what}")
            self.loop.stop()

    def trouble(self, text: str) -> None:
        """Something of the world disturbs the program."""
        self.laws.disturbed()
        self.trace.note(f"* {text}")

    def take(self, point: str, node: int) -> Fault | None:
        return self.faults.take(point, node)

    def take0(self, point: str) -> Fault | None:
        return self.faults.take(point, 0)

    def _fault_taken(self, fault: Fault, point: str) -> None:
        self.met.update(names(Arm(fault)))
        if fault.effect == "lose":
            self.lossy = self.laws.lossy = True
        if fault.effect == "hang":  # what is done that late, the next listing finds
            self.lossy, self.quiet_from = True, self.loop.time() + fault.seconds + 1
        self.trouble(f"fault {point} {fault.effect} node{fault.node}")

    # What has effects

    def _host(self, number: int) -> Host:
        host = Host(
            number,
            self.clock,
            ("redis:7", *GOOD),
            lambda what, state: self._happened(number, what, state),
            lambda address, link: self.laws.attached(self.hosts[number], address, link),
        )
        host.engine.deliver = lambda queue, event: self._deliver(number, queue, event)
        return host

    def _happened(self, number: int, what: str, state: Any) -> None:
        self.trace.note(f"host{number} {what} {state.name}")
        self.effects += 1
        self.laws.happened(self.hosts[number], what, state)

    def _written(self, event: Any, expected: int | None) -> None:
        key = event.record.key
        self.trace.note(f"store {event.record.revision} {event.change} {'/'.join(key)}")
        if key.kind not in _BEATING:
            self.effects += 1
        self.laws.written(event, expected)
        self.laws.sealed(key, self.disk.rows[event.record.revision].record.value)

    def kernel_changed(self, text: str) -> None:
        """A node's rules are others."""
        self.effects += 1
        self.trace.note(text)

    def _deliver(self, number: int, queue: asyncio.Queue[Happened], event: Happened) -> None:
        """Carry an event of the engine to a connection: late, lost, twice as the faults say."""
        if self.hosts[number].engine.away:
            return
        fault = self.faults.take(f"event.{event.what}", number)
        effect = fault.effect if fault else ""
        if effect == "lose":
            return
        delay = self._events.expovariate(100) + (fault.seconds if fault and effect == "late" else 0)
        process = self.processes.running.get(number)
        if process is None:
            return
        for _ in range(2 if effect == "twice" else 1):
            self.loop.call_later(delay, queue.put_nowait, event, context=process.context.copy())

    # What comes and goes

    def engine_away(self, number: int, seconds: float) -> None:
        """The engine of a node does not answer for a while."""
        self.trouble(f"the engine of node{number} is away")
        self.hosts[number].engine.away = True
        self.loop.call_later(seconds, self._engine_back, number, context=self.context)

    def _engine_back(self, number: int) -> None:
        host = self.hosts[number]
        host.engine.away = False
        self.trouble(f"the engine of node{number} is back")
        process = self.processes.running.get(number)
        if process is not None:
            for queue in host.engine.connections:
                process.context.copy().run(queue.put_nowait, Happened("resync"))

    def network_away(self, number: int, seconds: float) -> None:
        """The agent of a node and the daemon do not reach each other for a while."""
        self.trouble(f"node{number} is cut off")
        self.wire.sever(number)
        self.loop.call_later(seconds, self.network_back, number, context=self.context)

    def network_back(self, number: int) -> None:
        """They reach each other again, and need not have been apart."""
        if self.wire.mend(number):
            self.trouble(f"node{number} is cut off no longer")

    async def furnish(self) -> None:
        """Put on each host a container that is nobody's business."""
        for host in self.hosts:
            made = await host.engine.create(ContainerSpec("theirs", "redis:7", network="host"))
            await host.engine.start(made)
