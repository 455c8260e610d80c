"""The program's processes in the simulated world: how they start, end, and are started again.

Made by `world.py`. What runs in each is `program.py`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from reconciler.controlplane import ControlPlane, Informers
from reconciler.core.chance import seeded
from reconciler.core.errors import ReconcilerError
from reconciler.store.protocol import StoreUnavailable
from tests.sim.loop import Process

if TYPE_CHECKING:
    from tests.sim.world import World

Main = Callable[[int, int, Process], Coroutine[Any, Any, None]]
"""A node's number, how many processes were started so far, and the process: what it runs."""

_RESTART = 1.0
"""Seconds after which a supervisor starts a process again that ended by itself."""


class Processes:
    """Those that run, by the number of their node; `plane` is the daemon's while it serves.

    `informers` are those of each process, once it has any.
    """

    def __init__(self, world: World, main: Main) -> None:
        self._world, self._main = world, main
        self.running: dict[int, Process] = {}
        self.plane: ControlPlane | None = None
        self.informers: dict[int, Informers] = {}
        self.stopping: asyncio.Event | None = None
        self.started = 0.0
        self._down: set[int] = set()
        self._starts = 0

    def start(self, number: int) -> None:
        """Start the process of a node: the daemon on the first, an agent on the others."""
        if number in self.running or number in self._down:
            return
        world = self._world
        self._starts += 1
        self.started = world.laws.troubled = world.loop.time()
        process = Process(f"node{number}")
        self.running[number] = process
        world.trace.note(f"* node{number} starts")
        supervised = self._supervised(number, process, self._starts)
        world.loop.create_task(supervised, context=process.context)

    async def _supervised(self, number: int, process: Process, starts: int) -> None:
        """Run a process' main; when it ends by itself, have it started again."""
        world = self._world
        try:
            with seeded(world.random(f"process {starts}")):
                await self._main(number, starts, process)
        except ReconcilerError as error:
            if not isinstance(error.__cause__ or error, StoreUnavailable):
                world.stop_broken(f"the program does not fail: {error!r}")
            world.trace.note(f"* node{number} cannot start: {error}")
        except BaseExceptionGroup as group:
            _, unknown = group.split(ReconcilerError)
            if unknown is not None:
                world.stop_broken(f"the program does not fail: {_leaf(unknown)!r}")
            world.trace.note(f"* node{number} ended: {_leaf(group)!r}")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a fault of the program
            world.stop_broken(f"the program does not fail: {error!r}")
        world.loop.call_later(0, self._ended, number, process, context=world.context)

    def _ended(self, number: int, process: Process) -> None:
        if self.running.get(number) is process:
            self.kill(number)
            self._later(_RESTART, self.start, number)

    def kill(self, number: int) -> None:
        """End a process as kill -9 does."""
        process = self.running.pop(number, None)
        if process is None:
            return
        world = self._world
        self.informers.pop(number, None)
        world.loop.kill(process)
        world.hosts[number].engine.connections.clear()
        if number == 0:
            self.plane, self.stopping = None, None
            world.wire.cut()

    def crash(self, number: int, away: float = _RESTART) -> None:
        """Kill a process now; start it again after `away` seconds."""
        if number in self.running:
            self._world.trouble(f"node{number} is killed")
            self.kill(number)
            self._later(away, self.start, number)

    def crash_process(self, process: Process) -> None:
        for number, running in list(self.running.items()):
            if running is process:
                self.crash(number)

    def stop(self, away: float) -> None:
        """Stop the daemon in order, as SIGTERM does."""
        if self.stopping is not None:
            self._world.trouble("node0 is stopped")
            self.running[0].context.copy().run(self.stopping.set)
            self._down.add(0)
            self._later(away, self._up_again, 0)

    def reboot(self, number: int, away: float) -> None:
        """A host goes down, and comes up after `away` seconds."""
        self._world.trouble(f"node{number} reboots")
        self._down.add(number)
        self.kill(number)
        self._world.hosts[number].reboot()
        self._later(away, self._up_again, number)

    def _up_again(self, number: int) -> None:
        self._down.discard(number)
        self.start(number)

    def _later(self, seconds: float, callback: Callable[..., None], *arguments: Any) -> None:
        world = self._world
        world.loop.call_later(seconds, callback, *arguments, context=world.context)


def _leaf(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group
