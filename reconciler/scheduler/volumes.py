"""What a pod's claims mean for where it may go: Kubernetes' VolumeBinding and VolumeRestrictions.

Pure. `loop.py` looks the claims up; a filter asks for each node; what is to be reserved on the
chosen node comes out as a plan, which `reserve.py` carries out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.model import quantity
from reconciler.model.affinity import term_matches
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.node import Node
from reconciler.model.pod import Pod
from reconciler.model.storage import PersistentVolume
from reconciler.model.storageclass import StorageClass, allows
from reconciler.model.volumebinding import (
    BIND_COMPLETED,
    SELECTED_NODE,
    best_match,
    claim_name_of,
    class_of_claim,
    is_owned_by,
)

UNBOUND = "pod has unbound immediate PersistentVolumeClaims"
NODE_CONFLICT = "node(s) had volume node affinity conflict"
NO_VOLUME = "node(s) didn't find available persistent volumes to bind"
MISSING = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
EXCLUSIVE = (
    "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
)
_NO_PROVISIONER = "kubernetes.io/no-provisioner"


@dataclass(frozen=True, slots=True)
class World:
    """The storage that there is: claims by name in the pod's namespace, volumes, classes.

    `used` are the claims of the namespace that other pods with a node use.
    """

    claims: Mapping[str, PersistentVolumeClaim] = field(default_factory=dict)
    volumes: Sequence[PersistentVolume] = ()
    classes: Mapping[str, StorageClass] = field(default_factory=dict)
    used: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PodVolumes:
    """A pod's claims: `fault` refuses every node; `waiting` are to be bound where it goes."""

    fault: str = ""
    bound: tuple[PersistentVolume | None, ...] = ()
    waiting: tuple[PersistentVolumeClaim, ...] = ()
    exclusive: bool = False
    world: World = field(default_factory=World)


NONE = PodVolumes()


@dataclass(frozen=True, slots=True)
class Reservation:
    """Bind `claim` to `volume`, or have one made for it on the node when there is none."""

    claim: PersistentVolumeClaim
    volume: PersistentVolume | None


def volumes_of(pod: Pod, world: World) -> PodVolumes:
    """Return what the pod's claims mean, before any node is looked at (PreFilter)."""
    bound: list[PersistentVolume | None] = []
    waiting: list[PersistentVolumeClaim] = []
    exclusive = False
    by_name = {volume.metadata.name: volume for volume in world.volumes}
    for volume in pod.spec.volumes:
        name = claim_name_of(pod, volume)
        if not name:
            continue
        claim = world.claims.get(name)
        fault = _fault(pod, name, claim, ephemeral=volume.ephemeral is not None)
        if claim is None or fault:
            return PodVolumes(fault)
        exclusive |= name in world.used and "ReadWriteOncePod" in claim.spec.access_modes
        if claim.spec.volume_name and BIND_COMPLETED in claim.metadata.annotations:
            bound.append(by_name.get(claim.spec.volume_name))
        elif _delayed(claim, world) and not claim.spec.volume_name:
            waiting.append(claim)
        else:
            return PodVolumes(UNBOUND)
    return PodVolumes("", tuple(bound), tuple(waiting), exclusive, world)


def _fault(pod: Pod, name: str, claim: PersistentVolumeClaim | None, *, ephemeral: bool) -> str:
    if claim is None:
        missing = f'persistentvolumeclaim "{name}" not found'
        waits = "waiting for ephemeral volume controller to create the persistentvolumeclaim"
        return f'{waits} "{name}"' if ephemeral else missing
    if claim.status.phase == "Lost":
        volume = claim.spec.volume_name
        return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{volume}"'
    if claim.metadata.deletion_timestamp is not None:
        return f'persistentvolumeclaim "{name}" is being deleted'
    if ephemeral and not is_owned_by(claim, pod):
        owner = f"{pod.metadata.namespace}/{pod.metadata.name}"
        return f"PVC {pod.metadata.namespace}/{name} was not created for pod {owner}"
    return ""


def _delayed(claim: PersistentVolumeClaim, world: World) -> bool:
    found = world.classes.get(class_of_claim(claim) or "")
    return found is not None and found.volume_binding_mode == "WaitForFirstConsumer"


def refusal(volumes: PodVolumes, node: Node) -> tuple[str, ...]:
    """Return why the node cannot have the pod because of its volumes."""
    if volumes.exclusive:
        return (EXCLUSIVE,)
    if any(volume is None for volume in volumes.bound):
        return (MISSING,)
    reasons = []
    if not all(reaches(volume, node) for volume in volumes.bound if volume is not None):
        reasons.append(NODE_CONFLICT)
    if volumes.waiting and reservations(volumes, node) is None:
        reasons.append(NO_VOLUME)
    return tuple(reasons)


def reaches(volume: PersistentVolume, node: Node) -> bool:
    """Say whether the volume can be had on the node (CheckNodeAffinity)."""
    affinity = volume.spec.node_affinity
    if affinity is None or affinity.required is None:
        return True
    return any(term_matches(term, node) for term in affinity.required.node_selector_terms)


def reservations(volumes: PodVolumes, node: Node) -> tuple[Reservation, ...] | None:
    """Return what to reserve on the node for the waiting claims, None when it has not enough.

    The claim that asks for the least chooses first, as in Kubernetes.
    """
    here = [volume for volume in volumes.world.volumes if reaches(volume, node)]
    found: list[Reservation] = []
    for claim in sorted(volumes.waiting, key=_size):
        taken = {r.volume.metadata.name for r in found if r.volume is not None}
        match = best_match(claim, _others(here, taken), prebound_only=False)
        if match is None and not _provisions(claim, node, volumes.world):
            return None
        found.append(Reservation(claim, match))
    return tuple(found)


def _size(claim: PersistentVolumeClaim) -> tuple[int, str]:
    wanted = claim.spec.resources.requests.get("storage", "0")
    return quantity.to_milli(wanted), claim.metadata.name


def _others(volumes: Iterable[PersistentVolume], taken: set[str]) -> Iterable[PersistentVolume]:
    return (volume for volume in volumes if volume.metadata.name not in taken)


def _provisions(claim: PersistentVolumeClaim, node: Node, world: World) -> bool:
    chosen = claim.metadata.annotations.get(SELECTED_NODE)
    if chosen and chosen != node.metadata.name:
        return False
    found = world.classes.get(class_of_claim(claim) or "")
    if found is None or found.provisioner == _NO_PROVISIONER:
        return False
    return allows(found, node.metadata.labels)
