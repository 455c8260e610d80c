"""hostPath: a path of the host, checked or made as its type says.

A daemon in a container looks through the root directory of the host's first process: what it
sees itself is not the host.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import ClassVar

from reconciler.kubelet.volumes.protocol import Fixed, Offload, Ready, Request, VolumeError
from reconciler.kubelet.volumes.syscalls import IN_ROOT, open_below
from reconciler.model.volumesource import HostPathVolumeSource

_PATH = getattr(os, "O_PATH", 0)
_FIRST = Path("/proc/1")
_FOLDER_MODE, _FILE_MODE = 0o755, 0o644
_CHECKS: dict[str, tuple[Callable[[int], bool], str]] = {
    "DirectoryOrCreate": (stat.S_ISDIR, "a directory"),
    "Directory": (stat.S_ISDIR, "a directory"),
    "FileOrCreate": (stat.S_ISREG, "a file"),
    "File": (stat.S_ISREG, "a file"),
    "Socket": (stat.S_ISSOCK, "a socket file"),
    "CharDevice": (stat.S_ISCHR, "a character device"),
    "BlockDevice": (stat.S_ISBLK, "a block device"),
}


class HostPath(Fixed):
    """`VolumeKind` of hostPath; `root` is where the host's root directory is seen from here."""

    source: ClassVar[str] = "host_path"
    folder: ClassVar[str] = "kubernetes.io~host-path"

    def __init__(self, offload: Offload, root: Path) -> None:
        self._offload, self._root = offload, root

    async def prepare(self, request: Request) -> Ready:
        """See `VolumeKind.prepare`."""
        source = request.volume.host_path
        if source is None:
            raise VolumeError("it is no hostPath")
        path: Path = await self._offload(host_path, source, self._root)
        return Ready(path, foreign=self._root != Path("/"))


def host_root() -> Path:
    """Return where the host's root directory is: "/" unless this process has mounts of its own."""
    try:
        own = Path("/proc/self/ns/mnt").readlink()
        if (_FIRST / "ns" / "mnt").readlink() != own:
            return _FIRST / "root"
    except OSError:  # no right to look: a daemon outside of a container has it
        return Path("/")
    return Path("/")


def host_path(source: HostPathVolumeSource, root: Path = Path("/")) -> Path:
    """Return the path of a hostPath volume after checking (or making) what its type says."""
    path, kind = source.path, source.type or ""
    top = os.open(root, _PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        mode = _mode(top, path)
        # Docker of old made what a path without a type lacks; Kubernetes leaves it to the engine.
        if mode is None and kind in ("", "DirectoryOrCreate"):
            _make_folders(top, path)
        elif mode is None and kind == "FileOrCreate":
            _make_file(top, path)
        mode = _mode(top, path)
    finally:
        os.close(top)
    check, words = _CHECKS.get(kind, (lambda _: not kind, f"a {kind}"))
    if mode is None or not check(mode):
        raise VolumeError(f"hostPath type check failed: {path} is not {words}")
    return Path(path)


def _open(top: int, path: str, flags: int) -> int:
    return open_below(top, path, flags, resolve=IN_ROOT)


def _mode(top: int, path: str) -> int | None:
    try:
        descriptor = _open(top, path, _PATH)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return os.fstat(descriptor).st_mode
    finally:
        os.close(descriptor)


def _make_folders(top: int, path: str) -> None:
    for place in reversed([PurePosixPath(path), *PurePosixPath(path).parents]):
        if _mode(top, str(place)) is None:
            parent = _open(top, str(place.parent), _PATH | os.O_DIRECTORY)
            try:
                os.mkdir(place.name, _FOLDER_MODE, dir_fd=parent)
            finally:
                os.close(parent)


def _make_file(top: int, path: str) -> None:
    place = PurePosixPath(path)
    parent = _open(top, str(place.parent), _PATH | os.O_DIRECTORY)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        os.close(os.open(place.name, flags, _FILE_MODE, dir_fd=parent))
    finally:
        os.close(parent)
