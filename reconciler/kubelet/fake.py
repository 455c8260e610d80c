"""A simulated engine and network for benchmarks and simulations; no process is ever started.

It keeps the same contract as Docker (`tests/contract`). What a container does is told by its
command: "true" ends at once, "false" fails, "sleep N" ends after N seconds, "missing" cannot be
started, a shell that says "trap '' TERM" ignores SIGTERM, one that says "trap 'exit 0' TERM" ends
well by it, one that ends in "; exit N" ends so; anything else runs until told to end.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

from reconciler.core.clock import Clock
from reconciler.kubelet.runtime import (
    Container,
    ContainerSpec,
    Credentials,
    EngineVolume,
    ExecResult,
    Happened,
    Image,
    LocalImage,
    NoSuchContainer,
    NoSuchImage,
    Progress,
    RuntimeConflict,
    RuntimeFailure,
    RuntimeUnavailable,
    RuntimeVersion,
    ignore,
)

_FIRST_PID = 100_000


class FakeRuntime:
    """`ContainerRuntime` in memory. `images` are the names that are there from the start.

    `registry` are the names that can be pulled, those in `accounts` with that account only;
    `pulls` were asked for. `files` are in every image, by path; `written` are bytes, by
    container. While `away` the engine does not
    answer.
    """

    def __init__(self, clock: Clock, images: tuple[str, ...] = ()) -> None:
        self._clock = clock
        self._images: dict[str, Image] = {name: _image(name) for name in images}
        self._specs: dict[str, ContainerSpec] = {}
        self._containers: dict[str, Container] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._listeners: set[asyncio.Queue[Happened]] = set()
        self._made = 0
        self._pid = _FIRST_PID
        self._watchers: dict[int, list[Callable[[], None]]] = {}
        self._volumes: dict[str, EngineVolume] = {}
        self.registry: set[str] = set()
        self.accounts: dict[str, Credentials] = {}
        self.pulls: list[str] = []
        self.files: dict[str, bytes] = {}
        self.written: dict[str, int] = {}
        self.pull_seconds = 0.0
        self.away = False
        self.failing = {"false"}

    async def version(self) -> RuntimeVersion:
        """See `ContainerRuntime.version`."""
        self._reach()
        return RuntimeVersion("docker", "20.10.0", "6.0.0", "Fake", "x86_64", 8, 16 << 30, "/")

    async def ping(self) -> None:
        """See `ContainerRuntime.ping`."""
        self._reach()

    async def list(self, label: str = "") -> tuple[Container, ...]:
        """See `ContainerRuntime.list`."""
        self._reach()
        return tuple(c for c in self._containers.values() if _has(c.labels, label))

    async def inspect(self, container: str) -> Container:
        """See `ContainerRuntime.inspect`."""
        return self._find(container)

    async def create(self, spec: ContainerSpec) -> str:
        """See `ContainerRuntime.create`."""
        self._reach()
        if spec.image not in self._images:
            raise NoSuchImage(f"No such image: {spec.image}")
        if any(c.name == spec.name for c in self._containers.values()):
            raise RuntimeConflict(f'The container name "/{spec.name}" is already in use')
        _check_mounts(spec)
        self._made += 1
        made = hashlib.sha256(f"{self._made}".encode()).hexdigest()
        self._specs[made] = spec
        self._containers[made] = Container(
            id=made,
            name=spec.name,
            phase="created",
            labels=spec.labels,
            image=spec.image,
            image_id=self._images[spec.image].id,
            created=self._clock.now(),
        )
        return made

    async def start(self, container: str) -> None:
        """See `ContainerRuntime.start`."""
        known = self._find(container)
        if known.phase == "running":
            return
        command = self._command(known.id)
        mode, _, joined = self._specs[known.id].network.partition(":")
        if mode == "container" and self._find(joined).phase != "running":
            raise RuntimeConflict(f"cannot join network of a non running container: {joined}")
        if command[:1] == ("missing",):
            self._containers[known.id] = replace(
                known, phase="exited", exit_code=127, error="not found", finished=known.created
            )
            raise RuntimeFailure('exec: "missing": executable file not found in $PATH: unknown')
        self._pid += 1
        self._containers[known.id] = replace(
            known, phase="running", started=self._clock.now(), pid=self._pid
        )
        self._tell("start", known.id)
        self._schedule_end(known.id, command)

    def _command(self, container: str) -> tuple[str, ...]:
        spec = self._specs[container]
        return (*(spec.entrypoint or ()), *(spec.command or ()))

    def _schedule_end(self, container: str, command: tuple[str, ...]) -> None:
        loop = asyncio.get_running_loop()
        if command[:1] == ("true",):
            self._timers[container] = loop.call_later(0, self.end, container, 0)
        elif command[:1] == ("false",):
            self._timers[container] = loop.call_later(0, self.end, container, 1)
        elif ended := re.search(r"; exit (\d+)$", command[-1] if command else ""):
            code = int(ended[1])
            self._timers[container] = loop.call_later(0, self.end, container, code)
        elif command[:1] == ("sleep",):
            self._timers[container] = loop.call_later(float(command[1]), self.end, container, 0)

    def end(self, container: str, exit_code: int) -> None:
        """Let a container's process end by itself."""
        known = self._containers.get(container)
        if known is None or known.phase != "running":
            return
        timer = self._timers.pop(container, None)
        if timer is not None:
            timer.cancel()
        self._containers[container] = replace(
            known, phase="exited", exit_code=exit_code, finished=self._clock.now(), pid=0
        )
        for ended in self._watchers.pop(known.pid, ()):
            ended()
        self._tell("die", container, exit_code)

    def watch(self, pid: int, ended: Callable[[], None]) -> Callable[[], None]:
        """See `processes.Processes.watch`: the processes of the containers."""
        if not any(each.pid == pid for each in self._containers.values()):
            raise ProcessLookupError(f"no process {pid}")
        watchers = self._watchers.setdefault(pid, [])
        watchers.append(ended)

        def unwatch() -> None:
            with suppress(ValueError):
                watchers.remove(ended)

        return unwatch

    async def signal(self, container: str, signal: str) -> None:
        """See `ContainerRuntime.signal`."""
        known = self._containers.get(container)
        if known is None or known.phase != "running":
            return
        if signal == "SIGKILL":
            self.end(container, 137)
        elif not _ignores_sigterm(self._command(container)):
            self.end(container, 0 if _heeds_sigterm(self._command(container)) else 143)

    async def remove(self, container: str) -> None:
        """See `ContainerRuntime.remove`."""
        try:
            known = self._find(container)
        except NoSuchContainer:
            return
        self.end(known.id, 137)
        self._tell("destroy", known.id)
        del self._containers[known.id], self._specs[known.id]

    async def exec(self, container: str, argv: tuple[str, ...], seconds: float) -> ExecResult:
        """See `ContainerRuntime.exec`: echoes, sleeps, fails if `failing`; all else succeeds."""
        if self._find(container).phase != "running":
            raise RuntimeConflict(f"Container {container} is not running")
        if argv[0] == "sleep":
            async with asyncio.timeout(seconds):
                await asyncio.sleep(float(argv[1]))
        if argv[0] == "echo":
            return ExecResult(0, (" ".join(argv[1:]) + "\n").encode())
        return ExecResult(int(argv[0] in self.failing), b"")

    async def logs(self, container: str, *, tail: int) -> bytes:
        """See `ContainerRuntime.logs`; a simulated process says what its script echoes."""
        known = self._find(container)
        echoed = re.findall(r"\becho (\w+)", " ".join(self._command(known.id)))
        return "".join(f"{word}\n" for word in echoed[-tail:]).encode()

    async def disk_usage(self, container: str) -> int:
        """See `ContainerRuntime.disk_usage`; what `written` has for the name of the container."""
        known = self._find(container)
        return sum(size for name, size in self.written.items() if f"k8s_{name}_" in known.name)

    async def image(self, name: str) -> Image:
        """See `ContainerRuntime.image`."""
        self._reach()
        if name != name.lower():
            raise RuntimeFailure("invalid reference format: repository name must be lowercase")
        by_id = {image.id: image for image in self._images.values()}
        found = self._images.get(name) or by_id.get(name)
        if found is None:
            raise NoSuchImage(f"No such image: {name}")
        return found

    async def image_file(self, name: str, path: str, labels: Mapping[str, str]) -> bytes:
        """See `ContainerRuntime.image_file`; what `files` has for the path."""
        del labels
        await self.image(name)
        return self.files.get(path, b"")

    async def pull(
        self, name: str, credentials: Credentials | None = None, progress: Progress = ignore
    ) -> Image:
        """See `ContainerRuntime.pull`: from the names in `registry`, after `pull_seconds`."""
        self._reach()
        self.pulls.append(name)
        for _ in range(int(self.pull_seconds)):
            await asyncio.sleep(1)
            progress("1 of 2 layers")
        account = self.accounts.get(name, credentials)
        if name not in self.registry or account != credentials:
            who = credentials.username if credentials else "anonymous"
            raise RuntimeFailure(f"pull access denied for {name} ({who}), it does not exist")
        self._images[name] = _image(name)
        return self._images[name]

    async def import_image(self, name: str, root: bytes) -> None:
        """See `ContainerRuntime.import_image`."""
        self._images[name] = replace(_image(name), digest=hashlib.sha256(root).hexdigest())

    async def remove_image(self, name: str) -> None:
        """See `ContainerRuntime.remove_image`."""
        if any(container.image == name for container in self._containers.values()):
            raise RuntimeConflict(f"conflict: unable to remove {name}: it is being used")
        self._images.pop(name, None)

    async def images(self, repository: str) -> tuple[str, ...]:
        """See `ContainerRuntime.images`."""
        return tuple(sorted(n for n in self._images if n.rpartition(":")[0] == repository))

    async def all_images(self) -> tuple[LocalImage, ...]:
        """See `ContainerRuntime.all_images`."""
        return tuple(LocalImage((name,)) for name in sorted(self._images))

    async def create_volume(self, volume: EngineVolume) -> str:
        """See `ContainerRuntime.create_volume`."""
        self._reach()
        there = self._volumes.setdefault(volume.name, volume)
        if there.driver != volume.driver:
            raise RuntimeConflict(f"conflict: volume {volume.name} has driver {there.driver}")
        return ""

    async def remove_volume(self, name: str) -> None:
        """See `ContainerRuntime.remove_volume`."""
        self._reach()
        mounts = (mount for spec in self._specs.values() for mount in spec.mounts)
        if any(mount.volume and mount.source == name for mount in mounts):
            raise RuntimeConflict(f"remove {name}: volume is in use")
        self._volumes.pop(name, None)

    async def volumes(self, label: str = "") -> tuple[EngineVolume, ...]:
        """See `ContainerRuntime.volumes`."""
        name, _, value = label.partition("=")
        found = [v for v in self._volumes.values() if not name or v.labels.get(name) == value]
        return tuple(sorted(found, key=lambda each: each.name))

    async def events(self, label: str = "") -> AsyncIterator[Happened]:
        """See `ContainerRuntime.events`."""
        queue: asyncio.Queue[Happened] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            yield Happened("resync")
            while True:
                event = await queue.get()
                if _has(event.labels, label):
                    yield event
        finally:
            self._listeners.discard(queue)

    async def close(self) -> None:
        """See `ContainerRuntime.close`."""
        for timer in self._timers.values():
            timer.cancel()

    def _reach(self) -> None:
        if self.away:
            raise RuntimeUnavailable("Docker does not answer: refused")

    def _find(self, container: str) -> Container:
        self._reach()
        known = self._containers.get(container)
        if known is None:
            known = next((c for c in self._containers.values() if c.name == container), None)
        if known is None:
            raise NoSuchContainer(f"No such container: {container}")
        return known

    def _tell(
        self, what: Literal["start", "die", "destroy"], container: str, exit_code: int = 0
    ) -> None:
        labels = self._containers[container].labels
        event = Happened(
            what,
            id=container,
            labels=labels,
            exit_code=exit_code,
            at=self._clock.now(),
        )
        for listener in self._listeners:
            listener.put_nowait(event)


def _check_mounts(spec: ContainerSpec) -> None:
    """Docker's own checks of mounts."""
    seen: set[str] = set()
    for mount in spec.mounts:
        if mount.target in seen:
            raise RuntimeFailure(f"Duplicate mount point: {mount.target}")
        seen.add(mount.target)
        bound = not mount.volume and not mount.tmpfs
        if bound and not Path(mount.source).exists():
            raise RuntimeFailure(f"bind source path does not exist: {mount.source}")


def _ignores_sigterm(command: tuple[str, ...]) -> bool:
    return any("trap '' TERM" in word for word in command)


def _heeds_sigterm(command: tuple[str, ...]) -> bool:
    return any("trap 'exit 0' TERM" in word for word in command)


def _image(name: str) -> Image:
    return Image(id=f"sha256:{hashlib.sha256(name.encode()).hexdigest()}")


def _has(labels: dict[str, str], label: str) -> bool:
    name, equals, value = label.partition("=")
    return not name or (labels.get(name) == value if equals else name in labels)


class FakeNetwork:
    """`PodNetwork` in memory: remembers which link has which address."""

    def __init__(self) -> None:
        self.attached: dict[str, tuple[int, str]] = {}
        self.ready = False

    async def ensure(self) -> None:
        """See `PodNetwork.ensure`."""
        self.ready = True

    async def attach(self, pid: int, address: str, link: str) -> None:
        """See `PodNetwork.attach`."""
        self.attached[link] = (pid, address)

    async def detach(self, link: str) -> None:
        """See `PodNetwork.detach`."""
        self.attached.pop(link, None)

    async def links(self) -> frozenset[str]:
        """See `PodNetwork.links`."""
        return frozenset(self.attached)
