"""How much of the disk the emptyDirs of pods take: Kubernetes' volume metrics (MetricsDu).

Called by `eviction.py`. `du` walks in a process of its own, at the lowest priority: it copes with
trees of any depth and holds up nothing here.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from reconciler.kubelet.files import PodFiles
from reconciler.kubelet.volumes.emptydir import EmptyDir
from reconciler.model.pod import Pod
from reconciler.model.quantity import to_int

_DU = (
    "nice", "-n", "19", "du", "--summarize", "--one-file-system", "--block-size=1", "--",
)  # fmt: skip
_PATIENCE = 120


class Limit(NamedTuple):
    """A sizeLimit as it is written, and its bytes."""

    text: str
    size: int


def size_limits(pod: Pod) -> Mapping[str, Limit]:
    """Return the sizeLimits of the pod's emptyDirs on the disk, by volume name. Pure.

    A tmpfs holds to its limit by itself; a limit of 0 is none, as in Kubernetes.
    """
    found: dict[str, Limit] = {}
    for volume in pod.spec.volumes:
        source = volume.empty_dir
        if source is not None and not source.medium and source.size_limit:
            size = to_int(source.size_limit)
            if size > 0:
                found[volume.name] = Limit(source.size_limit, size)
    return found


def disk_usage(files: PodFiles, uid: str, volume: str) -> int:
    """Return the bytes that an emptyDir on the disk takes; 0 when it is not there. Blocks."""
    folder = files.place(uid, EmptyDir, volume).disk
    if not folder.is_dir():
        return 0
    return folder_usage(folder)


def folder_usage(folder: Path) -> int:
    """Return the bytes that a folder takes on its disk. Blocks; raises `OSError`."""
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program, a path of our own
            [*_DU, str(folder)], capture_output=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{folder} is too large to be measured in {_PATIENCE} s") from error
    first = done.stdout.split(maxsplit=1)[:1]
    if not first or not first[0].isdigit():  # files that vanish meanwhile are no fault
        raise OSError(f"{folder} cannot be measured: {done.stderr.decode(errors='replace')[:200]}")
    return int(first[0])
