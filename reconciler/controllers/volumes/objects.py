"""The objects that the volume controllers write. Pure."""

from __future__ import annotations

from reconciler.controllers.volumes.claimplan import by_controller
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.meta import ObjectMeta
from reconciler.model.node import Node
from reconciler.model.scheduling import NodeSelector, NodeSelectorRequirement, NodeSelectorTerm
from reconciler.model.storage import (
    ClaimReference,
    CSIPersistentVolumeSource,
    PersistentVolume,
    PersistentVolumeSpec,
    VolumeNodeAffinity,
)
from reconciler.model.storageclass import DEFAULT_CLASS, StorageClass
from reconciler.model.volumebinding import (
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    DRIVER,
    ENGINE_FINALIZER,
    HOST_LABEL,
    PROVISIONED_BY,
    VOLUME_FINALIZER,
    class_of_claim,
)

CLASS = "docker"


def docker_class() -> StorageClass:
    """Return the class that every host has: Docker volumes, made where the pod goes."""
    return StorageClass(
        metadata=ObjectMeta(name=CLASS, annotations={DEFAULT_CLASS: "true"}),
        provisioner=DRIVER,
        reclaim_policy="Delete",
        volume_binding_mode="WaitForFirstConsumer",
    )


def reference(claim: PersistentVolumeClaim) -> ClaimReference:
    """Return what a volume says of its claim."""
    meta = claim.metadata
    return ClaimReference(
        kind="PersistentVolumeClaim",
        api_version="v1",
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        resource_version=meta.resource_version,
    )


def bound_volume(volume: PersistentVolume, claim: PersistentVolumeClaim) -> PersistentVolume:
    """Return the volume as the claim's; itself when it is that already."""
    ref = volume.spec.claim_ref
    if ref is not None and ref.uid == claim.metadata.uid:
        return volume
    meta = volume.metadata
    if ref is None:
        meta = meta.replace(annotations=by_controller(meta.annotations))
    return volume.replace(metadata=meta, spec=volume.spec.replace(claim_ref=reference(claim)))


def bound_claim(claim: PersistentVolumeClaim, volume: PersistentVolume) -> PersistentVolumeClaim:
    """Return the claim as the volume's."""
    notes, meta = claim.metadata.annotations, claim.metadata
    if not claim.spec.volume_name:
        notes = by_controller(notes)
    if BIND_COMPLETED not in notes:
        notes = {**notes, BIND_COMPLETED: "yes"}
    spec = claim.spec.replace(volume_name=volume.metadata.name)
    return claim.replace(metadata=meta.replace(annotations=notes), spec=spec)


def unbound_volume(volume: PersistentVolume) -> PersistentVolume:
    """Return the volume without its claim; one that an administrator bound stays reserved."""
    meta, ref = volume.metadata, volume.spec.claim_ref
    if BOUND_BY_CONTROLLER not in meta.annotations and ref is not None:
        return volume.replace(
            spec=volume.spec.replace(claim_ref=ref.replace(uid="", resource_version=""))
        )
    notes = {k: v for k, v in meta.annotations.items() if k != BOUND_BY_CONTROLLER}
    return volume.replace(
        metadata=meta.replace(annotations=notes), spec=volume.spec.replace(claim_ref=None)
    )


def provisioned_volume(
    claim: PersistentVolumeClaim, storage_class: StorageClass, node: Node
) -> PersistentVolume:
    """Return the volume to make for a claim on a node; equal input gives the same name."""
    name = f"pvc-{claim.metadata.uid}"
    host = node.metadata.labels.get(HOST_LABEL, node.metadata.name)
    here = NodeSelectorRequirement(key=HOST_LABEL, operator="In", values=(host,))
    attributes = {"node": node.metadata.name, **storage_class.parameters}
    return PersistentVolume(
        metadata=ObjectMeta(
            name=name,
            annotations={PROVISIONED_BY: DRIVER, BOUND_BY_CONTROLLER: "yes"},
            finalizers=(VOLUME_FINALIZER, ENGINE_FINALIZER),
        ),
        spec=PersistentVolumeSpec(
            csi=CSIPersistentVolumeSource(
                driver=DRIVER, volume_handle=name, volume_attributes=attributes
            ),
            capacity={"storage": claim.spec.resources.requests.get("storage", "0")},
            access_modes=claim.spec.access_modes,
            claim_ref=reference(claim),
            persistent_volume_reclaim_policy=storage_class.reclaim_policy or "Delete",
            storage_class_name=class_of_claim(claim) or "",
            mount_options=storage_class.mount_options,
            volume_mode="Filesystem",
            node_affinity=VolumeNodeAffinity(
                required=NodeSelector(
                    node_selector_terms=(NodeSelectorTerm(match_expressions=(here,)),)
                )
            ),
        ),
    )
