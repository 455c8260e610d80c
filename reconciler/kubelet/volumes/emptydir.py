"""emptyDir: a folder that lives and ends with the pod; on disk, in memory, or in huge pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from reconciler.kubelet.volumes import syscalls
from reconciler.kubelet.volumes.mounts import is_mounted
from reconciler.kubelet.volumes.ownership import give_to_group
from reconciler.kubelet.volumes.protocol import Fixed, Offload, Ready, Request, VolumeError
from reconciler.model.pod import Pod
from reconciler.model.quantity import to_int
from reconciler.model.volume import EmptyDirVolumeSource

_MODE = 0o777  # Kubernetes' own: whoever runs in the pod may write
_HUGE = "HugePages"
_HUGE_PREFIX = "hugepages-"
_POOLS = Path("/sys/kernel/mm/hugepages")


class EmptyDir(Fixed):
    """`VolumeKind` of emptyDir. `memory` is what the node can give to pods, in bytes."""

    source: ClassVar[str] = "empty_dir"
    folder: ClassVar[str] = "kubernetes.io~empty-dir"

    def __init__(self, offload: Offload, memory: int, pools: Path = _POOLS) -> None:
        self._offload, self._memory, self._pools = offload, memory, pools

    async def prepare(self, request: Request) -> Ready:
        """See `VolumeKind.prepare`: made once, mode 0777."""
        source = request.volume.empty_dir
        if source is None:
            raise VolumeError("it is no emptyDir")
        ready: Ready = await self._offload(self._prepare, request, source)
        return ready

    def _prepare(self, request: Request, source: EmptyDirVolumeSource) -> Ready:
        if not source.medium:
            folder = request.place.disk
            if folder.exists():
                return Ready(folder)
            folder.mkdir(parents=True)
        else:
            folder = request.place.memory
            if is_mounted(folder):
                return Ready(folder)
            folder.mkdir(parents=True, exist_ok=True)
            syscalls.mount(*self._file_system(request.pod, source, folder))
        folder.chmod(_MODE)
        give_to_group(folder, request.pod)
        return Ready(folder)

    def _file_system(
        self, pod: Pod, source: EmptyDirVolumeSource, folder: Path
    ) -> tuple[str, Path, str]:
        if source.medium.startswith(_HUGE):
            return "hugetlbfs", folder, f"pagesize={huge_page(pod, source.medium, self._pools)}"
        return "tmpfs", folder, f"size={memory_size(pod, source, self._memory)}"


def memory_size(pod: Pod, source: EmptyDirVolumeSource, node: int) -> int:
    """Return how large a tmpfs may grow: Kubernetes' calculateEmptyDirMemorySize.

    That is the pod's memory limit, or the node's memory where a container has none; a sizeLimit
    makes it smaller, never larger. 0 is tmpfs' word for no bound: nothing is known of any.
    """
    limits = [container.resources.limits.get("memory") for container in pod.spec.containers]
    known = [to_int(limit) for limit in limits if limit]
    size = sum(known) if len(known) == len(limits) else node
    wanted = to_int(source.size_limit) if source.size_limit else 0
    return min((bound for bound in (size, wanted) if bound > 0), default=0)


def huge_page(pod: Pod, medium: str, pools: Path) -> int:
    """Return the size of the pages in bytes: the medium's, or the one that containers ask for.

    Raises `VolumeError` where the pod asks for no such pages, or this host has none of them.
    """
    asked = sorted(set(_asked(pod)))
    if medium == _HUGE:
        if len(asked) > 1:
            raise VolumeError(f"medium {medium} can't be used if container requests multiple sizes")
        size = asked[0] if asked else 0
    else:
        size = to_int(medium.removeprefix(f"{_HUGE}-"))
    if size not in asked:
        raise VolumeError(f"medium {medium}: no container requests such pages")
    if not (pools / f"{_HUGE_PREFIX}{size >> 10}kB").is_dir():
        raise VolumeError(f"medium {medium}: this host has no huge pages of {size} bytes")
    return size


def _asked(pod: Pod) -> Iterator[int]:
    for container in (*pod.spec.init_containers, *pod.spec.containers):
        resources = container.resources
        merged: Mapping[str, str] = {**resources.limits, **resources.requests}
        for name in merged:
            if name.startswith(_HUGE_PREFIX):
                yield to_int(name.removeprefix(_HUGE_PREFIX))
