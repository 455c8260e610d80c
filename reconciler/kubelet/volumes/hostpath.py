"""hostPath: a path of the host, checked or made as its type says."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from reconciler.kubelet.volumes.protocol import Fixed, Offload, Ready, Request, VolumeError
from reconciler.model.volumesource import HostPathVolumeSource


class HostPath(Fixed):
    """`VolumeKind` of hostPath."""

    source: ClassVar[str] = "host_path"
    folder: ClassVar[str] = "kubernetes.io~host-path"

    def __init__(self, offload: Offload) -> None:
        self._offload = offload

    async def prepare(self, request: Request) -> Ready:
        """See `VolumeKind.prepare`."""
        source = request.volume.host_path
        if source is None:
            raise VolumeError("it is no hostPath")
        path: Path = await self._offload(host_path, source)
        return Ready(path)


def host_path(source: HostPathVolumeSource) -> Path:
    """Return the path of a hostPath volume after checking (or making) what its type says."""
    path, kind = Path(source.path), source.type or ""
    if kind == "DirectoryOrCreate" and not path.exists():
        path.mkdir(parents=True, mode=0o755)
    if kind == "FileOrCreate" and not path.exists():
        path.touch(mode=0o644)
    checks = {
        "": lambda: True,
        "DirectoryOrCreate": path.is_dir,
        "Directory": path.is_dir,
        "FileOrCreate": path.is_file,
        "File": path.is_file,
        "Socket": path.is_socket,
        "CharDevice": path.is_char_device,
        "BlockDevice": path.is_block_device,
    }
    if kind not in checks or not checks[kind]():
        words = {"DirectoryOrCreate": "a directory", "Directory": "a directory"}
        what = words.get(kind, f"a {kind}")
        raise VolumeError(f"hostPath type check failed: {path} is not {what}")
    if not kind and not path.exists():
        # Docker of old made such a path; Kubernetes leaves that to the engine, too.
        path.mkdir(parents=True, mode=0o755)
    return path
