"""emptyDir: a folder that lives and ends with the pod."""

from __future__ import annotations

from typing import ClassVar

from reconciler.kubelet.volumes.ownership import give_to_group
from reconciler.kubelet.volumes.protocol import Fixed, Offload, Ready, Request

_MODE = 0o777  # Kubernetes' own: whoever runs in the pod may write


class EmptyDir(Fixed):
    """`VolumeKind` of emptyDir."""

    source: ClassVar[str] = "empty_dir"
    folder: ClassVar[str] = "kubernetes.io~empty-dir"

    def __init__(self, offload: Offload) -> None:
        self._offload = offload

    async def prepare(self, request: Request) -> Ready:
        """See `VolumeKind.prepare`: made once, mode 0777, on tmpfs when in memory."""
        ready: Ready = await self._offload(_prepare, request)
        return ready


def _prepare(request: Request) -> Ready:
    source = request.volume.empty_dir
    memory = source is not None and source.medium == "Memory"
    folder = request.place.memory if memory else request.place.disk
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(_MODE)
        give_to_group(folder, request.pod)
    return Ready(folder)
