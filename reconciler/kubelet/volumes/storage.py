"""The kinds of volume that outlive a pod or lie elsewhere. Called by the kubelet, once."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.client.protocol import Client
from reconciler.kubelet.volumes.claim import ClaimVolume, EphemeralVolume
from reconciler.kubelet.volumes.drivers import TYPES
from reconciler.kubelet.volumes.engine import EngineVolumes, NetworkVolume, network_kind
from reconciler.kubelet.volumes.protocol import Offload, VolumeKind


def storage_kinds(offload: Offload, client: Client, engine: EngineVolumes) -> Iterable[VolumeKind]:
    """Return one of each kind."""
    yield ClaimVolume(offload, client, engine)
    yield EphemeralVolume(offload, client, engine)
    yield NetworkVolume(engine)
    for attribute in TYPES:
        yield network_kind(attribute, engine)
