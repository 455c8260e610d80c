"""What a kind of volume is: four verbs, and the values that they speak in.

Implemented by the other files of this folder, called by `volumes.py` alone. A kind knows no
container and no mount path: it makes something ready on the host that containers then mount.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from reconciler.core.errors import ReconcilerError
from reconciler.model.meta import KubeObject
from reconciler.model.pod import Pod
from reconciler.model.volume import Volume

Offload = Callable[..., Awaitable[Any]]
"""`await offload(function, *arguments)` runs what may block, on a thread."""


class VolumeError(ReconcilerError):
    """A volume cannot be had as it is asked for: Kubernetes' event FailedMount."""


class VolumePending(VolumeError):
    """A volume is being made: no fault; its kind calls the pod back when there is news."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An object of the pod's namespace that a volume is made of; a change of it is an update."""

    kind: type[KubeObject]
    name: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a volume of a pod may keep what is its own. Neither folder exists beforehand.

    `disk` lies in the state directory, `memory` in the run directory, which is tmpfs. Both are
    named by the volume's kind (Kubernetes' own `kubernetes.io~empty-dir`), so that they are found
    again without the pod. Whatever is left in them is unmounted and removed after `teardown`.
    """

    uid: str
    name: str
    disk: Path
    memory: Path


@dataclass(frozen=True, slots=True)
class Request:
    """A volume of a pod."""

    pod: Pod
    volume: Volume
    place: Place


@dataclass(frozen=True, slots=True)
class Ready:
    """What containers mount: the host's `path`, or the volume of the engine named `engine_volume`.

    With both, containers mount the engine's volume, and `path` is where this host sees it (for
    subPath). `read_only` holds for every mount of it. `foreign`: `path` is the host's own, which a
    daemon in a container sees elsewhere or not at all. `block`: `path` is a block device, which
    containers do not mount but have as a device.
    """

    path: Path | None = None
    engine_volume: str = ""
    read_only: bool = False
    foreign: bool = False
    block: bool = False


class VolumeKind(Protocol):
    """One kind of volume: the member of VolumeSource that it serves, and the verbs."""

    source: ClassVar[str]
    """The attribute of `model.volume.VolumeSource`, such as "empty_dir"."""
    folder: ClassVar[str]
    """The name of its folders, such as "kubernetes.io~empty-dir"."""

    def references(self, volume: Volume) -> Iterable[Reference]:
        """Yield the objects that the volume is made of. Pure."""
        ...

    async def prepare(self, request: Request) -> Ready:
        """Make it ready; called before the sandbox and before each container: idempotent.

        Raises `VolumeError` (told as an event, tried again with back-off and when a reference
        changes) or `OSError`.
        """
        ...

    async def update(self, request: Request) -> None:
        """Bring the content up to date while containers run. Raises as `prepare` does."""
        ...

    async def teardown(self, place: Place) -> None:
        """Let go of what lies outside the place's folders: nothing of the pod runs any more.

        Also called for pods whose object is gone, and again after a crash.
        """
        ...


class Fixed:
    """A kind whose content nobody updates, and which keeps nothing outside its folders."""

    def references(self, volume: Volume) -> Iterable[Reference]:
        """See `VolumeKind.references`: made of nothing."""
        del volume
        return ()

    async def update(self, request: Request) -> None:
        """See `VolumeKind.update`: there is nothing to do."""

    async def teardown(self, place: Place) -> None:
        """See `VolumeKind.teardown`: there is nothing to do."""
