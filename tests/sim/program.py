"""What runs in a simulated process: the very parts that `app.py` runs, on the simulated world.

Called by `processes.py`: the control plane with the parts of the first node in the daemon, the
parts of each further node in an agent of its own.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from reconciler import host as composition
from reconciler.apiserver.security.authority import Authority
from reconciler.apiserver.security.signing import SigningKeys
from reconciler.app import kubelet_informers
from reconciler.client.events import EventRecorder
from reconciler.controlplane import ControlPlane, Informers
from reconciler.core.ids import Ids
from reconciler.core.tasks import Part, supervise
from reconciler.credentials import Credentials
from reconciler.kubelet.files import PodFiles
from reconciler.kubelet.hostfacts import HostFacts
from reconciler.kubelet.podspec import HostLimits
from reconciler.proxy.loop import Timing
from reconciler.settings import Settings
from reconciler.source.address import Address
from reconciler.source.branch import GitOptions, GitSource
from reconciler.watched import Watched
from tests.sim import kernel, repository
from tests.sim.api import RemoteClient, WatchedClient
from tests.sim.disk import open_disk
from tests.sim.engine import EngineFace, NetworkFace, ProcessFace
from tests.sim.facts import SERVICE_RANGE
from tests.sim.loop import PART, Process

if TYPE_CHECKING:
    from tests.sim.world import World

_TIMING = Timing(check=5.0)
"""A look at the kernel's rules each second would be a sixth of all that happens in a history."""


async def run(world: World, number: int, starts: int, process: Process) -> None:
    """Run the process of a node to its end; `starts` tells this start from others."""
    await (_Daemon if number == 0 else _Agent)(world, number, starts, process).run()


class _Node:
    """What daemon and agents have in common: the parts of a node."""

    def __init__(self, world: World, number: int, starts: int, process: Process) -> None:
        self.world, self.number, self.starts, self.process = world, number, starts, process
        self.settings = _settings(world, number)
        self.ids = Ids(world.random(f"ids {starts}"))

    def node_parts(
        self, client: Any, informers: Informers, events: EventRecorder
    ) -> dict[str, Part]:
        settings, on = self.settings, self._adapters()
        read = kubelet_informers(informers)
        recorder = events.speaker("kubelet", settings.node_name)
        return {
            **composition.proxy(settings, client, read, on, timing=_TIMING),
            **composition.kubelet(settings, client, read, recorder, self.world.clock, on),
        }

    def _adapters(self) -> composition.Adapters:
        world, number = self.world, self.number
        host, crash = world.hosts[number], world.processes.crash
        face = EngineFace(
            host,
            self.process,
            world.random(f"engine {number} {self.starts}"),
            world.take,
            world.processes.crash_process,
            world.context,
            world.trace.note,
            world.laws,
        )
        return composition.Adapters(
            face,
            NetworkFace(face, host.network),
            PodFiles(self.settings.state_dir, self.settings.run_dir),
            kernel.opened(host, world.take, lambda: crash(number), world.kernel_changed),
            _facts(number),
            HostLimits(memory=8 << 30),
            f"192.0.2.{number + 1}",
            ProcessFace(host, self.process),
        )


class _Daemon(_Node):
    async def run(self) -> None:
        world = self.world
        delay = world.random(f"disk {self.starts}")
        store = open_disk(world.disk, lambda: delay.expovariate(2000))
        try:
            plane = self._plane(store)
            await plane.registry.start()
            parts = {
                "store": store.run,
                **self.node_parts(plane.client, plane.informers, plane.events),
                **plane.parts(),
            }
            stop = asyncio.Event()
            world.processes.plane, world.processes.stopping = plane, stop
            world.wire.served = (self.process, plane.client)
            world.processes.informers[0] = plane.informers
            await supervise(_tagged(parts), stop)
        finally:
            await store.close()

    def _plane(self, store: Any) -> ControlPlane:
        world = self.world
        random, mean = world.random(f"watch {self.starts}"), world.history.lag
        credentials = _credentials(world) if world.history.accounts else None
        return ControlPlane(
            self.settings,
            store,
            world.clock,
            self.ids,
            face=lambda registry: WatchedClient(
                registry,
                world.take,
                lambda: random.expovariate(1 / mean) if mean else 0.0,
                world.laws,
                credentials.tokens(registry, world.clock, self.ids) if credentials else None,
            ),
            watched=lambda taken: Watched(self._source(taken)),
            credentials=credentials,
        )

    def _source(self, taken: str) -> GitSource:
        world = self.world
        options = GitOptions(opener=repository.opener(world.remote, world.take0, world.folder))
        return GitSource(
            Address(repository.URL, "main"),
            clock=world.clock,
            state_dir=world.folder,
            options=options,
            executor=_NOBODY,
            last_revision=taken,
        )


class _Agent(_Node):
    async def run(self) -> None:
        world = self.world
        random = world.random(f"wire {self.starts}")
        client = RemoteClient(world.wire, self.number, self.process, random, world.take)
        informers = Informers(client)
        events = EventRecorder(client, world.clock, self.ids)
        parts = self.node_parts(client, informers, events)
        parts |= {"events": events.run, "informers": informers.run}
        world.processes.informers[self.number] = informers
        await supervise(_tagged(parts), asyncio.Event())


def _settings(world: World, number: int) -> Settings:
    folder = world.folder / f"node{number}"
    return Settings(
        source=repository.URL if number == 0 else None,
        branch="main",
        state_dir=folder / "state",
        run_dir=folder / "run",
        node_name=f"node{number}",
        pod_cidr=f"10.244.{number}.0/24",
        service_cidr=str(SERVICE_RANGE),
        node_port_min=30000,  # as few ports as addresses
        node_port_max=30005,
        prune_threshold=100,
        prune_keep_seconds=world.history.keep,
    )


def _credentials(world: World) -> Credentials:
    """Return the daemon's signing keys, which outlive it, and a CA that nobody connects with."""
    folder = world.folder / "pki"
    folder.mkdir(exist_ok=True)
    (folder / "ca.crt").write_text("a certificate")
    keys = SigningKeys(folder / "service-account.keys")
    keys.ensure(world.clock.now())
    return Credentials(keys, Authority(folder), "https://kubernetes.default.svc")


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
