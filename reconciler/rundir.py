"""The run directory, which must lie in memory because secrets pass through it (law 9).

Called by the composition root and by `reconciler down`. A host whose `/run` is no tmpfs gets one
mounted at the run directory itself; the mount carries our name, so that only ours is undone.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from reconciler.core.errors import ReconcilerError

_NAME = "reconciler"
_MS_NOSUID, _MS_NODEV = 2, 4
_MNT_DETACH = 2


class RunDirError(ReconcilerError):
    """The run directory can be put in memory neither by the host nor by us."""


def prepare(path: Path) -> None:
    """Make `path`, readable by root alone, and mount a tmpfs there when it is not in memory.

    Raises `RunDirError`.
    """
    path.mkdir(mode=0o711, parents=True, exist_ok=True)
    if _type_of(path) == "tmpfs":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    flags = _MS_NOSUID | _MS_NODEV
    options = b"mode=0711"
    if libc.mount(_NAME.encode(), os.fsencode(path), b"tmpfs", flags, options):
        reason = os.strerror(ctypes.get_errno())
        raise RunDirError(
            f"{path} is not on tmpfs and cannot be put there ({reason}): mount a tmpfs at {path}, "
            "or run with the capability SYS_ADMIN"
        )


def release(path: Path) -> None:
    """Undo `prepare`: unmount our own tmpfs, remove the directory when it is empty then.

    A directory that someone else mounted there (a container's volume) stays.
    """
    if not path.exists():
        return
    if _mounts().get(str(path.resolve())) == ("tmpfs", _NAME):
        ctypes.CDLL(None, use_errno=True).umount2(os.fsencode(path), _MNT_DETACH)
    if str(path.resolve()) not in _mounts() and not any(path.iterdir()):
        path.rmdir()


def _type_of(path: Path) -> str:
    mounts = _mounts()
    resolved = path.resolve()
    for place in (resolved, *resolved.parents):
        if str(place) in mounts:
            return mounts[str(place)][0]
    return ""


def _mounts() -> dict[str, tuple[str, str]]:
    """Return file system type and source of every mount point; of stacked ones the topmost."""
    found: dict[str, tuple[str, str]] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, source = after.split(" ")[:2]
        found[before.split(" ")[4]] = (kind, source)
    return found
