"""The container runtime as the kubelet sees it: typed specs, typed states, one protocol.

`docker.py` is the one real face, `fake.py` the simulated one; the suite in `tests/contract` holds
both to this contract. Nobody here knows pods: containers with labels, images, events.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from reconciler.core.errors import ReconcilerError

Phase = Literal["created", "running", "exited"]


Progress = Callable[[str], None]


def ignore(_how_far: str) -> None:
    """Take no interest in the progress of a pull."""


class RuntimeFailure(ReconcilerError):
    """The runtime refused or failed; the message is its own."""


class NoSuchContainer(RuntimeFailure):
    """The container is not there (any more)."""


class NoSuchImage(RuntimeFailure):
    """The image is not on this host."""


class RuntimeConflict(RuntimeFailure):
    """The container's state forbids it, or a container of that name is there already."""


class RuntimeUnavailable(RuntimeFailure):
    """The engine did not answer, or not in time; it may or may not have acted."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A host path (or, with `tmpfs`, nothing) seen at `target` inside a container.

    With `volume`, `source` names a volume of the engine, which is empty when it is new.
    `propagation` is Docker's word: "rprivate", "rslave", "rshared". `tmpfs_size` is in bytes,
    0 for no limit.
    """

    source: str
    target: str
    read_only: bool = False
    propagation: str = "rprivate"
    volume: bool = False
    tmpfs: bool = False
    tmpfs_size: int = 0


@dataclass(frozen=True, slots=True)
class Device:
    """A block device of the host seen at `target`; containers may read it, or write it too."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Resources:
    """Limits in the engine's units: bytes; CPU shares; CFS quota in microseconds a period."""

    memory: int = 0
    cpu_shares: int = 0
    cpu_quota: int = 0
    cpu_period: int = 0


@dataclass(frozen=True, slots=True)
class Security:
    """What a container may do on the host. `user` is "UID[:GID]" or "" for the image's own.

    `seccomp` is "unconfined" or a profile's JSON, `app_armor` a profile's name; empty means the
    engine's default. `selinux` are the parts of a label, as "type:container_t".
    """

    user: str = ""
    groups: tuple[str, ...] = ()
    privileged: bool = False
    add_capabilities: tuple[str, ...] = ()
    drop_capabilities: tuple[str, ...] = ()
    read_only_root: bool = False
    no_new_privileges: bool = False
    seccomp: str = ""
    app_armor: str = ""
    selinux: tuple[str, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """A container to create. Commands replace the image's own when they are not None.

    `network` is "none" (no networking of the engine's: an own, empty namespace), "host", or
    "container:ID"; `ipc` is "shareable", "host", "private" or "container:ID"; `pid` is "",
    "host" or "container:ID". `hostname` may be set only where the namespace is the container's.
    """

    name: str
    image: str
    labels: dict[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    environment: tuple[tuple[str, str], ...] = ()
    working_dir: str = ""
    hostname: str = ""
    network: str = "none"
    ipc: str = "private"
    pid: str = ""
    mounts: tuple[Mount, ...] = ()
    devices: tuple[Device, ...] = ()
    resources: Resources = Resources()
    security: Security = Security()
    oom_score_adj: int = 0
    tty: bool = False
    stdin: bool = False
    stdin_once: bool = False


@dataclass(frozen=True, slots=True)
class Container:
    """A container as it is. Times are UTC, None where the event has not happened.

    `exited` includes one that could not be started: `error` then has the engine's reason.
    `pid` is that of process 1 on the host, 0 when it does not run.
    """

    id: str
    name: str
    phase: Phase
    labels: dict[str, str]
    image: str
    image_id: str
    created: datetime
    started: datetime | None = None
    finished: datetime | None = None
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    pid: int = 0


@dataclass(frozen=True, slots=True)
class EngineVolume:
    """A volume of the engine's own, by its driver; `options` are the driver's."""

    name: str
    driver: str = "local"
    options: tuple[tuple[str, str], ...] = ()
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Image:
    """What the kubelet must know of an image: its id and what a container of it runs by default.

    `digest` is "repository@sha256:..." of an image that came from a registry; `size` is in bytes.
    """

    id: str
    digest: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    stop_signal: str = ""
    environment: tuple[str, ...] = ()
    size: int = 0


@dataclass(frozen=True, slots=True)
class LocalImage:
    """An image of the host: all its names, tags before digests, and its size in bytes."""

    names: tuple[str, ...]
    size: int = 0


@dataclass(frozen=True, slots=True)
class Credentials:
    """For one registry."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RuntimeVersion:
    """The engine's own words about itself and its host; `memory` is in bytes.

    `security` are the ways in which it confines: "seccomp", "apparmor", "selinux", "userns".
    """

    name: str
    version: str
    kernel: str
    os_image: str
    architecture: str
    cpus: int
    memory: int
    root_dir: str
    security: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ExecResult:
    """The end of a command run inside a container; `output` holds at most the first 10 KiB."""

    exit_code: int
    output: bytes


@dataclass(frozen=True, slots=True)
class Happened:
    """Something happened to a container, or to an image name.

    "resync" says that events may have been lost: list again. `id` is the container's id or the
    image's name; `labels` are the container's.
    """

    what: Literal["start", "die", "oom", "destroy", "image", "resync"]
    id: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    exit_code: int = 0
    at: datetime | None = None


class ContainerRuntime(Protocol):
    """One host's container engine. Every failure is a `RuntimeFailure`; all calls are bounded."""

    async def version(self) -> RuntimeVersion:
        """Say who answers, and on what kind of host."""
        ...

    async def ping(self) -> None:
        """Return when the engine answers at all; much cheaper than `version`."""
        ...

    async def list(self, label: str = "") -> tuple[Container, ...]:
        """Return every container, running or not, that has the label ("name" or "name=value")."""
        ...

    async def inspect(self, container: str) -> Container:
        """Return one container by id or name; raises `NoSuchContainer`."""
        ...

    async def create(self, spec: ContainerSpec) -> str:
        """Create and return the id. Raises `NoSuchImage`, `RuntimeConflict`; no image is pulled."""
        ...

    async def start(self, container: str) -> None:
        """Start a created container; one that runs already is left as it is."""
        ...

    async def signal(self, container: str, signal: str) -> None:
        """Send `signal` ("SIGTERM") to process 1; nothing happens when it does not run."""
        ...

    async def remove(self, container: str) -> None:
        """Kill when running, and remove with its anonymous volumes; absence is success."""
        ...

    async def exec(self, container: str, argv: tuple[str, ...], seconds: float) -> ExecResult:
        """Run a command inside and wait; raises `TimeoutError` after `seconds`."""
        ...

    async def logs(self, container: str, *, tail: int) -> bytes:
        """Return the last `tail` lines of both outputs, at most 2 KiB of them."""
        ...

    async def disk_usage(self, container: str) -> int:
        """Return the bytes that a container wrote: its own layer, and its logs as far as seen."""
        ...

    async def image(self, name: str) -> Image:
        """Return a local image; raises `NoSuchImage`."""
        ...

    async def image_file(self, name: str, path: str, labels: Mapping[str, str]) -> bytes:
        """Return a small file of a local image, empty when it has none; raises `NoSuchImage`.

        `labels` are for what is made on the way, should it be left by a crash.
        """
        ...

    async def pull(
        self, name: str, credentials: Credentials | None = None, progress: Progress = ignore
    ) -> Image:
        """Fetch an image from its registry; `progress` is told now and then how far it is."""
        ...

    async def import_image(self, name: str, root: bytes) -> None:
        """Make the image `name` whose whole file system is the tar `root`."""
        ...

    async def remove_image(self, name: str) -> None:
        """Remove an image by name; absence is success, use by a container is a failure."""
        ...

    async def images(self, repository: str) -> tuple[str, ...]:
        """Return the local names ("repository:tag") of a repository."""
        ...

    async def all_images(self) -> tuple[LocalImage, ...]:
        """Return every image of the host that has a name, the largest first."""
        ...

    async def create_volume(self, volume: EngineVolume) -> str:
        """Make a volume unless it is there; return its folder on the host, "" when it has none.

        Raises `RuntimeConflict` when one of that name has another driver.
        """
        ...

    async def remove_volume(self, name: str) -> None:
        """Remove a volume with its data; absence is success, use raises `RuntimeConflict`."""
        ...

    async def volumes(self, label: str = "") -> tuple[EngineVolume, ...]:
        """Return the volumes that have the label ("name=value"), by name."""
        ...

    def events(self, label: str = "") -> AsyncIterator[Happened]:
        """Yield what happens from now on, forever; begins with a "resync".

        A lost connection is made again and said with another "resync".
        """
        ...

    async def close(self) -> None:
        """Let go of connections and threads."""
        ...
