"""The simulated world: hosts, a disk, a Git remote, and the program's processes on them.

The processes are composed of the very parts that `app.py` runs: the control plane with the parts
of the first node in the daemon, the parts of each further node in an agent of its own.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Coroutine
from contextvars import Context, copy_context
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from reconciler import host as composition
from reconciler.app import ControlPlane, Informers, kubelet_informers
from reconciler.client.events import EventRecorder
from reconciler.core.chance import seeded
from reconciler.core.errors import ReconcilerError
from reconciler.core.ids import Ids
from reconciler.core.tasks import Part, supervise
from reconciler.kubelet.files import PodFiles
from reconciler.kubelet.hostfacts import HostFacts
from reconciler.kubelet.podspec import HostLimits
from reconciler.kubelet.runtime import ContainerSpec, Happened
from reconciler.settings import Settings
from reconciler.source.address import Address
from reconciler.source.branch import GitOptions, GitSource
from reconciler.store.protocol import StoreUnavailable
from reconciler.watched import Watched
from tests.sim import kernel, repository
from tests.sim.api import RemoteClient, WatchedClient, Wire
from tests.sim.disk import Disk, open_disk
from tests.sim.engine import EngineFace, Host, NetworkFace, ProcessFace
from tests.sim.faults import Fault, Faults
from tests.sim.history import History
from tests.sim.laws import Laws
from tests.sim.loop import PART, Process, SimLoop
from tests.sim.manifests import GOOD

_START = datetime(2026, 1, 1, tzinfo=UTC)
_RESTART = 1.0
"""Seconds after which a supervisor starts a process again that ended by itself."""


class WallClock:
    """The hosts' wall clock: it follows virtual time, and jumps."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self.jumped = timedelta()

    def now(self) -> datetime:
        return _START + self.jumped + timedelta(seconds=self._loop.time())

    def monotonic(self) -> float:
        return self._loop.time()


class Trace:
    """What happened, as a number that is equal for equal histories; as text when `kept`."""

    def __init__(self, loop: SimLoop, *, kept: bool) -> None:
        self._loop, self._kept = loop, kept
        self.lines: list[str] = []
        self.digest = 0

    def note(self, text: str) -> None:
        line = f"{self._loop.time():10.4f} {text}"
        self.digest = zlib.crc32(line.encode(), self.digest)
        if self._kept:
            self.lines.append(line)

    def aside(self, text: str) -> None:
        """Note what explains, and is part of no comparison."""
        if self._kept:
            self.lines.append(f"{self._loop.time():10.4f}   {text}")


class World:
    """One history's world. `folder` is for the files that pods have, and for nothing else."""

    def __init__(self, history: History, loop: SimLoop, folder: Path, *, keep_trace: bool) -> None:
        self.history, self.loop, self.folder = history, loop, folder
        self.clock = WallClock(loop)
        self.trace = Trace(loop, kept=keep_trace)
        self.context: Context = copy_context()
        self.broken = ""
        self.faults = Faults(self._fault_taken)
        self.laws = Laws(loop.time, self.stop_broken)
        self.remote = repository.Remote()
        self.disk = Disk(self._take0, lambda: self.crash(0), self._written)
        self.wire = Wire()
        self.hosts = [self._host(number) for number in range(history.nodes)]
        self.laws.hosts = self.hosts
        self.laws.related = self.remote.related
        self.laws.sound = self.remote.sound
        self.running: dict[int, Process] = {}
        self.down: set[int] = set()
        self.plane: ControlPlane | None = None
        self.effects = 0
        self.lossy = False
        self.started = 0.0
        self._stop: asyncio.Event | None = None
        self._starts = 0
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

    def _written(self, event: Any) -> None:
        key = event.record.key
        self.trace.note(f"store {event.record.revision} {event.change} {'/'.join(key)}")
        if key.kind not in ("Node", "Event"):
            self.effects += 1
        self.laws.written(event)

    def _fault_taken(self, fault: Fault, point: str) -> None:
        self.lossy |= fault.effect == "lose"
        self.trouble(f"fault {point} {fault.effect} node{fault.node}")

    def trouble(self, text: str) -> None:
        self.laws.troubled = self.loop.time()
        self.trace.note(f"* {text}")

    def take(self, point: str, node: int) -> Fault | None:
        return self.faults.take(point, node)

    def _take0(self, point: str) -> Fault | None:
        return self.faults.take(point, 0)

    def _deliver(self, number: int, queue: asyncio.Queue[Happened], event: Happened) -> None:
        """Carry an event of the engine to a connection: late, lost, twice as the faults say."""
        if self.hosts[number].engine.away:
            return
        fault = self.faults.take(f"event.{event.what}", number)
        effect = fault.effect if fault else ""
        if effect == "lose":
            return
        delay = self._events.expovariate(100) + (fault.seconds if fault and effect == "late" else 0)
        process = self.running.get(number)
        if process is None:
            return
        for _ in range(2 if effect == "twice" else 1):
            self.loop.call_later(delay, queue.put_nowait, event, context=process.context.copy())

    # Processes

    def start(self, number: int) -> None:
        """Start the process of a node: the daemon on the first, an agent on the others."""
        if number in self.running or number in self.down:
            return
        self._starts += 1
        self.started = self.loop.time()
        process = Process(f"node{number}")
        self.running[number] = process
        self.trace.note(f"* node{number} starts")
        body = self._daemon(process) if number == 0 else self._agent(number, process)
        self.loop.create_task(self._supervised(number, process, body), context=process.context)

    async def _supervised(
        self, number: int, process: Process, body: Coroutine[Any, Any, None]
    ) -> None:
        """Run a process' main; when it ends by itself, have it started again."""
        try:
            with seeded(self.random(f"process {self._starts}")):
                await body
        except StoreUnavailable as error:
            self.trace.note(f"* node{number} cannot start: {error}")
        except BaseExceptionGroup as group:
            _, unknown = group.split(ReconcilerError)
            if unknown is not None:
                self.stop_broken(f"the program does not fail: {_leaf(unknown)!r}")
            self.trace.note(f"* node{number} ended: {_leaf(group)!r}")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a fault of the program
            self.stop_broken(f"the program does not fail: {error!r}")
        self.loop.call_later(0, self._ended, number, process, context=self.context)

    def _ended(self, number: int, process: Process) -> None:
        if self.running.get(number) is process:
            self.kill(number)
            self.loop.call_later(_RESTART, self.start, number, context=self.context)

    def kill(self, number: int) -> None:
        """End a process as kill -9 does."""
        process = self.running.pop(number, None)
        if process is None:
            return
        self.loop.kill(process)
        self.hosts[number].engine.connections.clear()
        if number == 0:
            self.plane, self._stop = None, None
            self.wire.cut()

    def crash(self, number: int, away: float = _RESTART) -> None:
        """Kill a process now; start it again after `away` seconds."""
        if number in self.running:
            self.trouble(f"node{number} is killed")
            self.kill(number)
            self.loop.call_later(away, self.start, number, context=self.context)

    def crash_process(self, process: Process) -> None:
        for number, running in list(self.running.items()):
            if running is process:
                self.crash(number)

    def stop(self, away: float) -> None:
        """Stop the daemon in order, as SIGTERM does."""
        if self._stop is not None:
            self.trouble("node0 is stopped")
            self.running[0].context.copy().run(self._stop.set)
            self.down.add(0)
            self.loop.call_later(away, self._up_again, 0, context=self.context)

    def _up_again(self, number: int) -> None:
        self.down.discard(number)
        self.start(number)

    def reboot(self, number: int, away: float) -> None:
        """A host goes down, and comes up after `away` seconds."""
        self.trouble(f"node{number} reboots")
        self.down.add(number)
        self.kill(number)
        self.hosts[number].reboot()
        self.loop.call_later(away, self._up_again, number, context=self.context)

    def engine_away(self, number: int, seconds: float) -> None:
        self.trouble(f"the engine of node{number} is away")
        self.hosts[number].engine.away = True
        self.loop.call_later(seconds, self._engine_back, number, context=self.context)

    def _engine_back(self, number: int) -> None:
        host = self.hosts[number]
        host.engine.away = False
        process = self.running.get(number)
        if process is not None:
            for queue in host.engine.connections:
                process.context.copy().run(queue.put_nowait, Happened("resync"))

    # What a process is made of

    def _settings(self, number: int) -> Settings:
        folder = self.folder / f"node{number}"
        return Settings(
            source=repository.URL if number == 0 else None,
            branch="main",
            state_dir=folder / "state",
            run_dir=folder / "run",
            node_name=f"node{number}",
            pod_cidr=f"10.244.{number}.0/24",
            service_cidr="10.96.0.0/28",  # so few that one given twice is soon seen
            prune_threshold=100,
            prune_keep_seconds=0,
        )

    async def _daemon(self, process: Process) -> None:
        settings = self._settings(0)
        delay = self.random(f"disk {self._starts}")
        store = open_disk(self.disk, self._take0, lambda: delay.expovariate(2000))
        try:
            random = self.random(f"watch {self._starts}")
            mean = self.history.lag
            plane = ControlPlane(
                settings,
                store,
                self.clock,
                Ids(self.random(f"ids {self._starts}")),
                face=lambda registry: WatchedClient(
                    registry,
                    self.take,
                    lambda: random.expovariate(1 / mean) if mean else 0.0,
                    self.laws.deleting,
                    self.laws.watched,
                ),
                watched=lambda taken: Watched(self._source(taken)),
            )
            await plane.registry.start()
            parts = {
                **self._node_parts(
                    0, process, settings, plane.client, plane.informers, plane.events
                ),
                **plane.parts(),
            }
            self._stop = asyncio.Event()
            self.plane = plane
            self.wire.served = (process, plane.client)
            await supervise(_tagged(parts), self._stop)
        finally:
            await store.close()

    async def _agent(self, number: int, process: Process) -> None:
        settings = self._settings(number)
        client = RemoteClient(
            self.wire, number, process, self.random(f"wire {self._starts}"), self.take
        )
        informers = Informers(client)
        events = EventRecorder(client, self.clock, Ids(self.random(f"ids {self._starts}")))
        parts = self._node_parts(number, process, settings, client, informers, events)
        parts |= {"events": events.run, "informers": informers.run}
        await supervise(_tagged(parts), asyncio.Event())

    def _source(self, taken: str) -> GitSource:
        options = GitOptions(opener=repository.opener(self.remote, self._take0, self.folder))
        address = Address(repository.URL, "main")
        return GitSource(
            address,
            clock=self.clock,
            state_dir=self.folder,
            options=options,
            executor=_NOBODY,
            last_revision=taken,
        )

    def _node_parts(
        self,
        number: int,
        process: Process,
        settings: Settings,
        client: Any,
        informers: Informers,
        events: EventRecorder,
    ) -> dict[str, Part]:
        on = self._adapters(number, process, settings)
        read = kubelet_informers(informers)
        recorder = events.speaker("kubelet", settings.node_name)
        return {
            **composition.proxy(settings, client, read, on),
            **composition.kubelet(settings, client, read, recorder, self.clock, on),
        }

    def _adapters(self, number: int, process: Process, settings: Settings) -> composition.Adapters:
        host = self.hosts[number]
        face = EngineFace(
            host,
            process,
            self.random(f"engine {number} {self._starts}"),
            self.take,
            self.crash_process,
            self.context,
            self.trace.note,
            self.laws.ending,
        )
        return composition.Adapters(
            face,
            NetworkFace(face, host.network),
            PodFiles(settings.state_dir, settings.run_dir),
            kernel.opened(host, self.take, lambda: self.crash(number), self._kernel_changed),
            _facts(number),
            HostLimits(memory=8 << 30),
            f"192.0.2.{number + 1}",
            ProcessFace(host, process),
        )

    def _kernel_changed(self, text: str) -> None:
        self.effects += 1
        self.trace.note(text)

    async def furnish(self) -> None:
        """Put on each host a container that is nobody's business."""
        for host in self.hosts:
            made = await host.engine.create(ContainerSpec("theirs", "redis:7", network="host"))
            await host.engine.start(made)


class _Nobody:
    """Where an executor is asked for; the loop runs what is given to it."""


_NOBODY: Any = _Nobody()


def _tagged(parts: dict[str, Part]) -> dict[str, Part]:
    """Let each part's tasks know whose they are."""
    return {name: _tag(name, part) for name, part in parts.items()}


def _tag(name: str, part: Part) -> Part:
    async def run() -> None:
        PART.set(name)
        await part()

    return run


def _facts(number: int) -> HostFacts:
    name = f"node{number}"
    return HostFacts(name, name, name, "6.1", "Simulated", "amd64", 8, 8 << 30, 100 << 30, name)


def _leaf(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group
