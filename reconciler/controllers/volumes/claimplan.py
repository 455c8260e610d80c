"""What to do about one claim: bind, provision, wait, or call it lost. Pure; called by `binder.py`.

Kubernetes' syncUnboundClaim and syncBoundClaim.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.node import Node
from reconciler.model.storage import PersistentVolume
from reconciler.model.storageclass import StorageClass, allows
from reconciler.model.volumebinding import (
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    DRIVER,
    SELECTED_NODE,
    best_match,
    class_of_claim,
    is_for,
    mismatch,
)

_NO_VOLUME = "no persistent volumes available for this claim and no storage class is set"
_WAITS = "waiting for first consumer to be created before binding"


@dataclass(frozen=True, slots=True)
class Bind:
    """Make volume and claim each other's."""

    volume: PersistentVolume


@dataclass(frozen=True, slots=True)
class Provision:
    """Make a volume of class `storage_class` on `node` for the claim."""

    storage_class: StorageClass
    node: Node


@dataclass(frozen=True, slots=True)
class Reschedule:
    """The node that the scheduler chose cannot have the volume: let it choose again."""

    message: str


@dataclass(frozen=True, slots=True)
class Wait:
    """The claim stays Pending; the event says why, when there is anything to say."""

    kind: str = ""
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Lose:
    """The volume of a bound claim is gone: the claim is Lost for good."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Adopt:
    """Give a claim without a class the default one, which came later than it."""

    storage_class: str


Action = Bind | Provision | Reschedule | Wait | Lose | Adopt


@dataclass(frozen=True, slots=True)
class View:
    """What a claim's plan depends on; `named` is the volume that `spec.volumeName` names."""

    volumes: Sequence[PersistentVolume]
    named: PersistentVolume | None
    storage_class: StorageClass | None
    default_class: str
    nodes: Sequence[Node]


def plan_claim(claim: PersistentVolumeClaim, view: View) -> Action:
    """Return the next step for a claim that nobody deletes."""
    if BIND_COMPLETED in claim.metadata.annotations:
        return _bound(claim, view)
    return _named(claim, view) if claim.spec.volume_name else _unbound(claim, view)


def _bound(claim: PersistentVolumeClaim, view: View) -> Action:
    if not claim.spec.volume_name:
        text = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
        return Lose("ClaimLost", text)
    if view.named is None:
        text = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
        return Lose("ClaimLost", text)
    ref = view.named.spec.claim_ref
    if ref is None or is_for(view.named, claim):
        return Bind(view.named)
    text = "Two claims are bound to the same volume, this one is bound incorrectly"
    return Lose("ClaimMisbound", text)


def _named(claim: PersistentVolumeClaim, view: View) -> Action:
    """Somebody chose the volume."""
    volume, name = view.named, claim.spec.volume_name
    if volume is None:
        return Wait("Warning", "FailedBinding", f'volume "{name}" not found')
    if volume.spec.claim_ref is None:
        why = mismatch(volume, claim)
        if why:
            text = f'Cannot bind to requested volume "{name}": {why}'
            return Wait("Warning", "VolumeMismatch", text)
        return Bind(volume)
    if is_for(volume, claim):
        return Bind(volume)
    text = f'volume "{name}" already bound to a different claim.'
    return Wait("Warning", "FailedBinding", text)


def _unbound(claim: PersistentVolumeClaim, view: View) -> Action:
    chosen = claim.metadata.annotations.get(SELECTED_NODE, "")
    delayed = _delayed(view.storage_class) and not chosen
    volume = best_match(claim, view.volumes, prebound_only=_delayed(view.storage_class))
    if volume is not None:
        return Bind(volume)
    name = class_of_claim(claim)
    if name is None and view.default_class:
        return Adopt(view.default_class)
    if delayed:
        return Wait("Normal", "WaitForFirstConsumer", _WAITS)
    if not name:
        return Wait("Normal", "FailedBinding", _NO_VOLUME)
    return _provision(claim, view, name, chosen)


def _delayed(storage_class: StorageClass | None) -> bool:
    return storage_class is not None and storage_class.volume_binding_mode == "WaitForFirstConsumer"


def _provision(claim: PersistentVolumeClaim, view: View, name: str, chosen: str) -> Action:
    """Make the volume where our provisioner is asked for; another's is waited for."""
    storage_class = view.storage_class
    if storage_class is None:
        text = f'storageclass.storage.k8s.io "{name}" not found'
        return Wait("Warning", "ProvisioningFailed", text)
    provisioner = storage_class.provisioner
    if provisioner != DRIVER:
        text = (
            f'Waiting for a volume to be created either by the external provisioner "{provisioner}"'
            " or manually by the system administrator."
        )
        return Wait("Normal", "ExternalProvisioning", text)
    refused = cannot_provision(claim)
    if refused:
        return Wait("Warning", "ProvisioningFailed", refused)
    return _on_node(storage_class, view, chosen)


def _on_node(storage_class: StorageClass, view: View, chosen: str) -> Action:
    nodes = [node for node in view.nodes if allows(storage_class, node.metadata.labels)]
    node = _node(nodes, chosen)
    if node is not None:
        return Provision(storage_class, node)
    if chosen and _node(view.nodes, chosen) is not None:
        return Reschedule(f'node "{chosen}" is not in the class\'s allowedTopologies')
    if chosen:
        return Reschedule(f'node "{chosen}" not found')
    where = " in the class's allowedTopologies" if len(nodes) < len(view.nodes) else ""
    text = f"there is no ready node{where} to make the volume on"
    return Wait("Warning", "ProvisioningFailed", text)


def cannot_provision(claim: PersistentVolumeClaim) -> str:
    """Return why Docker cannot make a volume as the claim wants it, or nothing."""
    if claim.spec.volume_mode == "Block":
        return "a Docker volume is a file system: volumeMode Block cannot be provisioned"
    if claim.spec.selector is not None:
        return "claim.Spec.Selector is not supported for dynamic provisioning"
    if claim.spec.data_source is not None or claim.spec.data_source_ref is not None:
        return "a Docker volume cannot be filled from a dataSource"
    return ""


def _node(nodes: Sequence[Node], chosen: str) -> Node | None:
    if chosen:
        return next((node for node in nodes if node.metadata.name == chosen), None)
    ready = (node for node in nodes if _ready(node) and not node.spec.unschedulable)
    return min(ready, key=lambda node: node.metadata.name, default=None)


def _ready(node: Node) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)


def by_controller(annotations: dict[str, str]) -> dict[str, str]:
    """Return the annotations of an object whose binding a controller set."""
    return {**annotations, BOUND_BY_CONTROLLER: "yes"}
