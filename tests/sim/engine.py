"""One node's host: an engine, a network and a kernel table that outlive the daemon's process.

The engine is the fake that passes the contract suite. `EngineFace` is a process' connection to it:
each call travels there, takes effect, and its answer travels back, so that a process may die, or
stop waiting, at each of these points. Effects of a fault of a call:

    refuse        the engine answers with an error and has done nothing
    lost          it acts, and the answer is lost (`RuntimeUnavailable`)
    hang          it acts after `seconds`, when the caller has given up
    crash-before, crash-after, crash-half   the caller's process dies before the engine acts, after
                  it acted, or after the request was sent, which is then carried out
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextvars import Context
from random import Random
from typing import Any, Literal, Protocol

from reconciler.core.clock import Clock
from reconciler.kubelet.fake import FakeNetwork, FakeRuntime
from reconciler.kubelet.labels import PodContainer
from reconciler.kubelet.podnetwork import NetworkFailure, link_name
from reconciler.kubelet.runtime import (
    Container,
    ContainerSpec,
    Credentials,
    EngineVolume,
    ExecResult,
    Happened,
    Image,
    LocalImage,
    Progress,
    RuntimeFailure,
    RuntimeUnavailable,
    RuntimeVersion,
    ignore,
)
from tests.sim.faults import Fault
from tests.sim.loop import Process

Watcher = Callable[[str, Container], None]
_PATIENCE = 30.0
UNHEARD = ("unheard", "vanish")
"""Deaths of which no event tells."""

_READ_ONLY = frozenset(
    {
        "disk_usage",
        "image_file",
        "version",
        "ping",
        "list",
        "inspect",
        "image",
        "images",
        "volumes",
        "logs",
    }
)


class Engine(FakeRuntime):
    """The host's engine. `happened(what, container)` hears of each effect at once."""

    def __init__(self, clock: Clock, images: tuple[str, ...], happened: Watcher) -> None:
        super().__init__(clock, images)
        self._happened = happened
        self.connections: list[asyncio.Queue[Happened]] = []
        self.deliver: Callable[[asyncio.Queue[Happened], Happened], None]

    def _tell(
        self, what: Literal["start", "die", "destroy"], container: str, exit_code: int = 0
    ) -> None:
        known = self._containers[container]
        self._happened(what, known)
        event = Happened(
            what, id=container, labels=known.labels, exit_code=exit_code, at=self._clock.now()
        )
        for connection in self.connections:
            self.deliver(connection, event)

    async def create(self, spec: ContainerSpec) -> str:
        made = await super().create(spec)
        self._happened("create", self._containers[made])
        return made

    def perish(self, container: str, how: str) -> None:
        """Let a container die by itself ("die"), be killed, or be removed by somebody else."""
        listening = self.connections
        self.connections = [] if how in UNHEARD else listening
        self.end(container, 1 if how == "die" else 137)
        if how in ("remove", "vanish"):
            self._tell("destroy", container)
            del self._containers[container], self._specs[container]
        self.connections = listening

    def containers(self) -> list[PodContainer]:
        """Return every container that there is, ours and foreign."""
        return [PodContainer(state) for state in self._containers.values()]

    def spec_of(self, container: str) -> ContainerSpec:
        return self._specs[container]


class Network(FakeNetwork):
    """The host's links; that of a sandbox vanishes with its network namespace."""

    def __init__(self, engine: Engine, attached: Callable[[str, str], None]) -> None:
        super().__init__()
        self._engine, self._attached = engine, attached

    async def attach(self, pid: int, address: str, link: str) -> None:
        if not any(each.state.pid == pid for each in self._engine.containers()):
            raise NetworkFailure(f"no process {pid}")
        await super().attach(pid, address, link)
        self._attached(address, link)

    def sandbox_ended(self, name: str) -> None:
        self.attached.pop(link_name(name), None)


class Host:
    """What is on a node beside the daemon's process."""

    def __init__(
        self,
        number: int,
        clock: Clock,
        images: tuple[str, ...],
        happened: Watcher,
        attached: Callable[[str, str], None],
    ) -> None:
        self.number = number
        self.engine = Engine(clock, images, happened)
        self.network = Network(self.engine, attached)
        self.kernel: set[Any] = set()
        self.kernel_foreign = True

    def reboot(self) -> None:
        """Everything that ran is dead; links and rules are gone, containers stay as dead ones."""
        for container in self.engine.containers():
            if container.running:
                self.engine.end(container.id, 255)
        self.network.attached.clear()
        self.kernel = set()
        self.kernel_foreign = True


class ProcessFace:
    """The host's kernel, for one process of the daemon: it tells while that lives."""

    def __init__(self, host: Host, process: Process) -> None:
        self._host, self._process = host, process
        self._loop = asyncio.get_running_loop()

    def watch(self, pid: int, ended: Callable[[], None]) -> Callable[[], None]:
        def tell() -> None:
            if self._process.alive:
                self._loop.call_soon(ended, context=self._process.context.copy())

        return self._host.engine.watch(pid, tell)


class Witness(Protocol):
    """Who sees what the program asks for: `Laws`."""

    def ending(self, host: Host, name_or_id: str, verb: str) -> None: ...

    def disturbed(self) -> None: ...


class EngineFace:
    """`ContainerRuntime` and `PodNetwork` for one process."""

    def __init__(
        self,
        host: Host,
        process: Process,
        random: Random,
        take: Callable[[str, int], Fault | None],
        crash: Callable[[Process], None],
        world: Context,
        note: Callable[[str], None],
        witness: Witness,
    ) -> None:
        self._witness = witness
        self._host, self._process, self._random = host, process, random
        self._take, self._crash, self._world, self._note = take, crash, world, note
        self._loop = asyncio.get_running_loop()

    async def _call(self, area: str, name: str, act: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        fault = self._take(f"{area}.{name}", self._host.number)
        effect = fault.effect if fault else ""
        unavailable = RuntimeUnavailable if area == "docker" else NetworkFailure
        refused = RuntimeFailure if area == "docker" else NetworkFailure
        travel = self._random.expovariate(400 if name in _READ_ONLY else 30)
        if self._host.engine.away and area == "docker":
            await asyncio.sleep(travel)
            raise RuntimeUnavailable("Docker does not answer: connection refused")
        if effect == "refuse":
            await asyncio.sleep(travel)
            raise refused(f"{name}: a fault of the simulation")
        if effect == "crash-before":
            self._loop.call_soon(self._crash, self._process)
        answer = self._loop.create_future()
        if effect != "crash-before":
            delay = travel + (fault.seconds if fault and effect in ("hang", "crash-half") else 0)
            self._loop.call_later(delay, self._act, name, act, effect, answer, context=self._world)
        if effect == "crash-half":
            self._loop.call_later(travel, self._crash, self._process, context=self._world)
        if effect != "hang":
            return await answer
        try:
            async with asyncio.timeout(_PATIENCE):
                await asyncio.Event().wait()
        except TimeoutError as error:
            self._witness.disturbed()
            raise unavailable(f"{name} took longer than {_PATIENCE:g} s") from error

    def _act(
        self, name: str, act: Callable[[], Coroutine[Any, Any, Any]], effect: str, answer: Any
    ) -> None:
        task = self._loop.create_task(act(), context=self._world)
        task.add_done_callback(
            lambda done: self._acted(name, done, effect, answer), context=self._world
        )

    def _acted(self, name: str, done: asyncio.Task[Any], effect: str, answer: Any) -> None:
        error = done.exception()
        if name not in _READ_ONLY:
            self._note(f"host{self._host.number} {name} {type(error).__name__ if error else 'ok'}")
        if effect == "crash-after":
            self._crash(self._process)
        if not self._process.alive or effect == "hang":
            return
        if effect == "lost":
            error = RuntimeUnavailable(f"{name}: connection reset by peer")
        back = self._random.expovariate(1000)
        self._loop.call_later(
            back, _answer, answer, None if error else done.result(), error,
            context=self._process.context,
        )  # fmt: skip

    async def version(self) -> RuntimeVersion:
        return await self._call("docker", "version", self._host.engine.version)

    async def ping(self) -> None:
        await self._call("docker", "ping", self._host.engine.ping)

    async def list(self, label: str = "") -> tuple[Container, ...]:
        return await self._call("docker", "list", lambda: self._host.engine.list(label))

    async def inspect(self, container: str) -> Container:
        return await self._call("docker", "inspect", lambda: self._host.engine.inspect(container))

    async def create(self, spec: ContainerSpec) -> str:
        return await self._call("docker", "create", lambda: self._host.engine.create(spec))

    async def start(self, container: str) -> None:
        await self._call("docker", "start", lambda: self._host.engine.start(container))

    async def signal(self, container: str, signal: str) -> None:
        await self._call("docker", "signal", lambda: self._end("signal", container, signal))

    async def remove(self, container: str) -> None:
        await self._call("docker", "remove", lambda: self._end("remove", container))

    async def _end(self, verb: str, container: str, *arguments: str) -> None:
        self._witness.ending(self._host, container, verb)
        await getattr(self._host.engine, verb)(container, *arguments)

    async def exec(self, container: str, argv: tuple[str, ...], seconds: float) -> ExecResult:
        return await self._call(
            "docker", "exec", lambda: self._host.engine.exec(container, argv, seconds)
        )

    async def disk_usage(self, container: str) -> int:
        return await self._call(
            "docker", "disk_usage", lambda: self._host.engine.disk_usage(container)
        )

    async def image_file(self, name: str, path: str, labels: Mapping[str, str]) -> bytes:
        return await self._call(
            "docker", "image_file", lambda: self._host.engine.image_file(name, path, labels)
        )

    async def logs(self, container: str, *, tail: int) -> bytes:
        return await self._call(
            "docker", "logs", lambda: self._host.engine.logs(container, tail=tail)
        )

    async def image(self, name: str) -> Image:
        return await self._call("docker", "image", lambda: self._host.engine.image(name))

    async def pull(
        self, name: str, credentials: Credentials | None = None, progress: Progress = ignore
    ) -> Image:
        return await self._call("docker", "pull", lambda: self._host.engine.pull(name, credentials))

    async def import_image(self, name: str, root: bytes) -> None:
        await self._call("docker", "import", lambda: self._host.engine.import_image(name, root))

    async def remove_image(self, name: str) -> None:
        await self._call("docker", "rmi", lambda: self._host.engine.remove_image(name))

    async def images(self, repository: str) -> tuple[str, ...]:
        return await self._call("docker", "images", lambda: self._host.engine.images(repository))

    async def all_images(self) -> tuple[LocalImage, ...]:
        return await self._call("docker", "images", self._host.engine.all_images)

    async def create_volume(self, volume: EngineVolume) -> str:
        return await self._call(
            "docker", "create_volume", lambda: self._host.engine.create_volume(volume)
        )

    async def remove_volume(self, name: str) -> None:
        await self._call("docker", "remove_volume", lambda: self._host.engine.remove_volume(name))

    async def volumes(self, label: str = "") -> tuple[EngineVolume, ...]:
        return await self._call("docker", "volumes", lambda: self._host.engine.volumes(label))

    async def events(self, label: str = "") -> AsyncIterator[Happened]:
        queue: asyncio.Queue[Happened] = asyncio.Queue()
        self._host.engine.connections.append(queue)
        yield Happened("resync")
        name, _, value = label.partition("=")
        while True:
            event = await queue.get()
            if event.what == "resync" or event.labels.get(name) == value:
                yield event

    async def close(self) -> None:
        return


class NetworkFace:
    """`PodNetwork` for one process, over the same wire."""

    def __init__(self, wire: EngineFace, network: Network) -> None:
        self._wire, self._network = wire, network

    async def ensure(self) -> None:
        await self._wire._call("network", "ensure", self._network.ensure)

    async def attach(self, pid: int, address: str, link: str) -> None:
        await self._wire._call(
            "network", "attach", lambda: self._network.attach(pid, address, link)
        )

    async def detach(self, link: str) -> None:
        await self._wire._call("network", "detach", lambda: self._network.detach(link))

    async def links(self) -> frozenset[str]:
        return await self._wire._call("network", "links", self._network.links)


def _answer(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
