"""A pod's folders and files on the host. All that writes into the state and run directories.

Called by `worker.py` and `starter.py`. A pod has a folder in each: volumes and last words on disk
in the state directory; secrets, memory-backed volumes and the small network files in the run
directory, which is tmpfs. What touches the disk runs on a thread: a busy one must not hold up the
event loop.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from reconciler.core.errors import ReconcilerError
from reconciler.kubelet.sandboximage import program
from reconciler.model.pod import Pod
from reconciler.model.volume import Volume
from reconciler.model.volumesource import HostPathVolumeSource

_MESSAGE_LIMIT = 4096


class VolumeError(ReconcilerError):
    """A volume cannot be had as it is asked for."""


Offload = Callable[..., Awaitable[Any]]


class PodFiles:
    """The folders of all pods below `state` and `run`.

    `offload(function, *arguments)` runs what may take long, on a thread by default.
    """

    def __init__(self, state: Path, run: Path, offload: Offload = asyncio.to_thread) -> None:
        self._offload = offload
        self._pods = state / "pods"
        self._memory = run / "pods"
        self._programs = state / "bin"

    def prepare(self) -> None:
        """Make the folders that all pods share, and the launcher."""
        for folder in (self._pods, self._memory, self._programs):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        launcher = self.launcher
        if not launcher.exists() or launcher.read_bytes() != program():
            fresh = launcher.with_suffix(".new")
            fresh.write_bytes(program())
            fresh.chmod(0o755)
            fresh.replace(launcher)

    @property
    def launcher(self) -> Path:
        """The static program as a file, to mount into containers with secret variables."""
        return self._programs / "launch"

    def exist(self, uid: str) -> bool:
        """Tell whether anything of the pod is left."""
        return (self._pods / uid).exists() or (self._memory / uid).exists()

    def uids(self) -> frozenset[str]:
        """Return the pods that have folders."""
        places = (place for place in (self._pods, self._memory) if place.exists())
        return frozenset(entry.name for place in places for entry in place.iterdir())

    def write_network_files(self, uid: str, hosts: str, hostname: str, resolver: str) -> None:
        """Write the three files below /etc that belong to the pod's network."""
        folder = self._memory / uid / "etc"
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in (("hosts", hosts), ("hostname", hostname), ("resolv.conf", resolver)):
            (folder / name).write_text(text)

    def network_files(self, uid: str) -> tuple[tuple[str, str], ...]:
        """Return (host path, path in the container) of the three files."""
        folder = self._memory / uid / "etc"
        return tuple(
            (str(folder / name), f"/etc/{name}") for name in ("hosts", "hostname", "resolv.conf")
        )

    def empty_dir(self, uid: str, volume: str, *, memory: bool, group: int | None = None) -> Path:
        """Make (once) an emptyDir: mode 0777, on tmpfs when it shall be in memory.

        `group` is the pod's fsGroup, which then owns the folder and what is made in it.
        """
        base = self._memory if memory else self._pods
        folder = base / uid / "volumes" / "kubernetes.io~empty-dir" / volume
        if not folder.exists():
            folder.mkdir(parents=True)
            if group is not None:
                os.chown(folder, -1, group)
            folder.chmod(0o777 if group is None else 0o2777)  # Kubernetes' own modes
        return folder

    async def termination_log(self, uid: str, container: str, attempt: int) -> Path:
        """Make the file that a container may leave its last words in."""
        file = self._log(uid, container, attempt)
        await self._offload(_make_log, file)
        return file

    def _log(self, uid: str, container: str, attempt: int) -> Path:
        return self._pods / uid / "containers" / f"{container}_{attempt}"

    def termination_message(self, uid: str, container: str, attempt: int) -> str:
        """Return a container's last words, at most 4096 bytes."""
        try:
            with self._log(uid, container, attempt).open("rb") as file:
                return file.read(_MESSAGE_LIMIT).decode(errors="replace")
        except FileNotFoundError:
            return ""

    def write_secret_environment(self, uid: str, container: str, content: bytes) -> Path:
        """Write the launcher's file on tmpfs; only root and the container can reach it."""
        folder = self._memory / uid / "environment"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / container
        file.unlink(missing_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)
        file.chmod(0o444)  # the container's user need not be root; the folders above are 0700
        return file

    async def volumes(self, pod: Pod) -> dict[str, str]:
        """Return the host path of each volume of the pod, made ready. Raises `VolumeError`."""
        if not pod.spec.volumes:
            return {}
        paths: dict[str, str] = await self._offload(self._volumes, pod)
        return paths

    def _volumes(self, pod: Pod) -> dict[str, str]:
        return {volume.name: self._volume(pod, volume) for volume in pod.spec.volumes}

    def _volume(self, pod: Pod, volume: Volume) -> str:
        if volume.empty_dir is not None:
            memory = volume.empty_dir.medium == "Memory"
            context = pod.spec.security_context
            group = context.fs_group if context else None
            uid = pod.metadata.uid
            return str(self.empty_dir(uid, volume.name, memory=memory, group=group))
        if volume.host_path is not None:
            return host_path(volume.host_path)
        raise VolumeError(f'volume "{volume.name}": its type is not supported yet')

    async def remove(self, uid: str) -> None:
        """Remove all of a pod's folders."""
        await self._offload(self._remove, uid)

    async def remove_all(self) -> None:
        """Remove the folders of every pod, and the launcher."""
        for folder in (self._memory, self._pods, self._programs):
            if folder.exists():
                await self._offload(shutil.rmtree, folder)

    def _remove(self, uid: str) -> None:
        for folder in (self._memory / uid, self._pods / uid):
            if folder.exists():
                shutil.rmtree(folder)


def _make_log(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    file.chmod(0o666)


def host_path(source: HostPathVolumeSource) -> str:
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
    return str(path)
