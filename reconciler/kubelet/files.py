"""A pod's folders and files on the host. All that writes into the state and run directories.

Called by `worker.py` and `starter.py`. A pod has a folder in each: volumes and last words on disk
in the state directory; secrets, memory-backed volumes and the small network files in the run
directory, which is tmpfs. What touches the disk runs on a thread: a busy one must not hold up the
event loop.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from reconciler.kubelet.sandboximage import program
from reconciler.kubelet.volumes.protocol import Offload, Place, VolumeKind
from reconciler.kubelet.volumes.removal import remove_tree

_MESSAGE_LIMIT = 4096
# Kubernetes' own names for the folders of a pod's volumes and of mounted parts of them.
_VOLUMES, _BINDINGS = "volumes", "volume-subpaths"


class PodFiles:
    """The folders of all pods below `state` and `run`.

    `offload(function, *arguments)` runs what may take long, on a thread by default.
    """

    def __init__(self, state: Path, run: Path, offload: Offload = asyncio.to_thread) -> None:
        self._offload = offload
        self._pods = state / "pods"
        self._memory = run / "pods"
        self._roots = (self._pods, self._memory)
        self._programs = state / "bin"

    @property
    def offload(self) -> Offload:
        """How to run what touches the disk."""
        return self._offload

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

    def on_disk(self, uid: str) -> Path:
        """Return the pod's folder in the state directory, which it may not have."""
        return self._pods / uid

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

    def place(self, uid: str, kind: VolumeKind | type[VolumeKind], name: str) -> Place:
        """Return where a volume of the pod may keep what is its own; nothing is made."""
        return self._place(uid, kind.folder, name)

    def places(self, uid: str) -> Iterator[tuple[str, Place]]:
        """Yield the folder name of its kind, and the place, of each volume that left a folder."""
        found = {
            (kind.name, volume.name)
            for root in self._roots
            for kind in _entries(root / uid / _VOLUMES)
            for volume in _entries(kind)
        }
        for folder, name in sorted(found):
            yield folder, self._place(uid, folder, name)

    def binding(self, uid: str, volume: str, container: str, index: int) -> Path:
        """Return where a container's mount number `index` is bound to, where it must be."""
        return self._memory / uid / _BINDINGS / volume / container / str(index)

    def _place(self, uid: str, folder: str, name: str) -> Place:
        disk, memory = (root / uid / _VOLUMES / folder / name for root in self._roots)
        return Place(uid, name, disk, memory)

    async def remove_volumes(self, uid: str) -> None:
        """Remove all of a pod's volumes, and what is mounted of them."""
        for root in self._roots:
            for folder in (_BINDINGS, _VOLUMES):
                await self._offload(remove_tree, root / uid / folder)

    async def remove(self, uid: str) -> None:
        """Remove all of a pod's folders."""
        await self._offload(self._remove, uid)

    async def remove_all(self) -> None:
        """Remove the folders of every pod, and the launcher."""
        for folder in (self._memory, self._pods, self._programs):
            await self._offload(remove_tree, folder)

    def _remove(self, uid: str) -> None:
        for folder in (self._memory / uid, self._pods / uid):
            remove_tree(folder)


def _make_log(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    file.chmod(0o666)


def _entries(folder: Path) -> Iterable[Path]:
    return folder.iterdir() if folder.is_dir() else ()
