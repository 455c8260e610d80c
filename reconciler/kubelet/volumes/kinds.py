"""Every kind of volume that a node has. Called by the kubelet, once."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.kubelet.volumes.emptydir import EmptyDir
from reconciler.kubelet.volumes.hostpath import HostPath
from reconciler.kubelet.volumes.protocol import Offload, VolumeKind


def kinds(offload: Offload) -> Iterable[VolumeKind]:
    """Return one of each kind."""
    yield EmptyDir(offload)
    yield HostPath(offload)
