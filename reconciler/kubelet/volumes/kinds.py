"""Every kind of volume that a node has. Called by the kubelet, once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from reconciler.client.protocol import Client
from reconciler.kubelet.volumes.content import ConfigMapVolume, DownwardVolume, SecretVolume
from reconciler.kubelet.volumes.emptydir import EmptyDir
from reconciler.kubelet.volumes.gitclone import GitLimits
from reconciler.kubelet.volumes.gitrepo import GitRepo, Spawn
from reconciler.kubelet.volumes.hostpath import HostPath, host_root
from reconciler.kubelet.volumes.payloads import Reader
from reconciler.kubelet.volumes.projected import Projected, Tokens
from reconciler.kubelet.volumes.protocol import Offload, VolumeKind
from reconciler.model.pod import Pod
from reconciler.model.quantity import to_int


def kinds(
    offload: Offload,
    client: Client,
    tokens: Tokens,
    allocatable: Mapping[str, str],
    git: GitLimits,
    spawn: Spawn,
    again: Callable[[Pod], None],
) -> Iterable[VolumeKind]:
    """Return one of each kind.

    `allocatable` is what the node can give to pods; `spawn` starts what works beside the pods'
    own turns, `again` calls for a pod's turn.
    """
    reader = Reader(client, allocatable)
    yield EmptyDir(offload, to_int(allocatable.get("memory", "0")))
    yield HostPath(offload, host_root())
    yield GitRepo(offload, git, spawn, again)
    yield SecretVolume(offload, reader)
    yield ConfigMapVolume(offload, reader)
    yield DownwardVolume(offload, reader)
    yield Projected(offload, reader, tokens)
