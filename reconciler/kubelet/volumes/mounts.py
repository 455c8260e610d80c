"""The mounts that are below a folder, from the kernel's own table, and their end."""

from __future__ import annotations

import os
import re
from pathlib import Path

from reconciler.kubelet.volumes import syscalls

_TABLE = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(rb"\\([0-7]{3})")
_PASSES = 5


def mounts_below(folder: Path) -> list[Path]:
    """Return every mount at or below `folder` in the order of mounting; stacked ones repeat."""
    root = os.fsencode(folder.resolve())
    inside = root.rstrip(b"/") + b"/"
    return [
        Path(os.fsdecode(target))
        for target in map(_target, _lines())
        if target == root or target.startswith(inside)
    ]


def _lines() -> list[bytes]:
    return _TABLE.read_bytes().splitlines()


def _target(line: bytes) -> bytes:
    name = line.split(b" ", 5)[4]
    return _ESCAPED.sub(lambda match: bytes([int(match[1], 8)]), name) if b"\\" in name else name


def is_mounted(path: Path) -> bool:
    """Tell whether something is mounted at `path` itself."""
    return path.resolve() in mounts_below(path)


def unmount_below(folder: Path) -> None:
    """Unmount everything at or below `folder`, the latest first. Raises `OSError`."""
    reason: OSError | None = None
    for _ in range(_PASSES):
        found = mounts_below(folder)
        if not found:
            return
        for target in reversed(found):
            try:
                syscalls.unmount(target)
            except OSError as error:  # it may have gone with another one
                reason = error
    raise OSError(f"{folder} is still mounted upon: {reason}")
