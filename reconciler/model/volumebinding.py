"""Which volume a claim may have: Kubernetes' rules, and the marks that both sides leave. Pure.

Shared by the registry, the volume controllers, the scheduler and the kubelet.
"""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model import quantity, selector
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.pod import Pod
from reconciler.model.storage import PersistentVolume
from reconciler.model.volume import Volume

CLAIM_FINALIZER = "kubernetes.io/pvc-protection"
VOLUME_FINALIZER = "kubernetes.io/pv-protection"
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
OLD_CLASS = "volume.beta.kubernetes.io/storage-class"

DRIVER = "docker.reconciler.dev"
"""Our provisioner and the CSI driver name of its volumes: each is a volume of a node's Docker."""

ENGINE_FINALIZER = "reconciler.dev/engine-volume"
"""Holds a volume of ours until its node has let go of what is in Docker."""

HOST_LABEL = "kubernetes.io/hostname"


def class_of_claim(claim: PersistentVolumeClaim) -> str | None:
    """Return the class that a claim asks for, None when it leaves that to the default."""
    old = claim.metadata.annotations.get(OLD_CLASS)
    return old if old is not None else claim.spec.storage_class_name


def class_of_volume(volume: PersistentVolume) -> str:
    """Return the class of a volume, empty for none."""
    return volume.metadata.annotations.get(OLD_CLASS, volume.spec.storage_class_name)


def is_for(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """Say whether the volume's claimRef names this claim (IsVolumeBoundToClaim)."""
    ref, meta = volume.spec.claim_ref, claim.metadata
    if ref is None or (ref.namespace, ref.name) != (meta.namespace, meta.name):
        return False
    return not ref.uid or ref.uid == meta.uid


def mismatch(volume: PersistentVolume, claim: PersistentVolumeClaim) -> str:
    """Return why a volume that a claim names cannot serve it, or nothing."""
    if volume.metadata.deletion_timestamp is not None:
        return "the volume is marked for deletion"
    if quantity.compare(_capacity(volume), _wanted(claim)) < 0:
        return "requested PV is too small"
    if class_of_volume(volume) != (class_of_claim(claim) or ""):
        return "storageClassName does not match"
    if _mode(volume) != _mode(claim):
        return "incompatible volumeMode"
    if not set(claim.spec.access_modes) <= set(volume.spec.access_modes):
        return "incompatible accessMode"
    return ""


def best_match(
    claim: PersistentVolumeClaim, volumes: Iterable[PersistentVolume], *, prebound_only: bool
) -> PersistentVolume | None:
    """Return the volume for a claim: one pre-bound to it, else the smallest that fits.

    FindMatchingVolume: of those with the fewest access modes that cover the claim's, the smallest
    capacity; `prebound_only` for a claim that waits for its first consumer.
    """
    chosen = claim.spec.selector and selector.from_label_selector(claim.spec.selector)
    fitting = []
    for volume in volumes:
        if is_for(volume, claim):
            # What an administrator bound wins, whatever its class and labels.
            if _serves(volume, claim):
                return volume
            continue
        free = volume.spec.claim_ref is None and volume.status.phase == "Available"
        labelled = not chosen or chosen.matches(volume.metadata.labels)
        if free and labelled and not mismatch(volume, claim):
            fitting.append(volume)
    return None if prebound_only else min(fitting, key=_preference, default=None)


def _serves(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """Tell whether a volume that is bound beforehand can be what its claim asks for."""
    return (
        volume.metadata.deletion_timestamp is None
        and quantity.compare(_capacity(volume), _wanted(claim)) >= 0
        and _mode(volume) == _mode(claim)
        and set(claim.spec.access_modes) <= set(volume.spec.access_modes)
    )


def _preference(volume: PersistentVolume) -> tuple[int, int, str]:
    size = quantity.to_milli(_capacity(volume))
    return len(set(volume.spec.access_modes)), size, volume.metadata.name


def _capacity(volume: PersistentVolume) -> str:
    return volume.spec.capacity.get("storage", "0")


def _wanted(claim: PersistentVolumeClaim) -> str:
    return claim.spec.resources.requests.get("storage", "0")


def _mode(obj: PersistentVolume | PersistentVolumeClaim) -> str:
    return obj.spec.volume_mode or "Filesystem"


def ephemeral_claim_name(pod: str, volume: str) -> str:
    """Return the name of the claim of an ephemeral volume (ephemeral.VolumeClaimName)."""
    return f"{pod}-{volume}"


def is_owned_by(claim: PersistentVolumeClaim, pod: Pod) -> bool:
    """Say whether the claim was made for this incarnation of the pod."""
    owners = claim.metadata.owner_references
    return any(owner.controller and owner.uid == pod.metadata.uid for owner in owners)


def claim_name_of(pod: Pod, volume: Volume) -> str:
    """Return the claim that a volume of a pod is had by, empty for other volumes."""
    if volume.persistent_volume_claim is not None:
        return volume.persistent_volume_claim.claim_name
    if volume.ephemeral is not None:
        return ephemeral_claim_name(pod.metadata.name, volume.name)
    return ""


def claims_of_pod(pod: Pod) -> frozenset[str]:
    """Return the claims, by name, that a pod's volumes are had by."""
    return frozenset(filter(None, (claim_name_of(pod, each) for each in pod.spec.volumes)))
