"""What an update may not change: Kubernetes' Validate...Update functions.

Called by the registry before it writes a successor, and by sync to foresee its answer. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reconciler.admission.create import validate
from reconciler.admission.errors import Errors, FieldError, GoValue, forbidden, go_value, invalid
from reconciler.admission.rules.cluster import security_labels
from reconciler.admission.rules.endpointslice import endpoint_slice_update
from reconciler.admission.rules.event import event_v1_update
from reconciler.admission.rules.meta import annotation_map, labels, owners
from reconciler.admission.rules.podupdate import pod_update
from reconciler.admission.rules.priorityclass import priority_class_update
from reconciler.admission.rules.rbac import binding_update
from reconciler.admission.rules.statuses import pod_status, replication_status, service_status
from reconciler.admission.rules.storageclass import storage_class_update
from reconciler.model import quantity
from reconciler.model.account import ResourceQuota
from reconciler.model.base import Model
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.endpointslice import EndpointSlice
from reconciler.model.eventsv1 import Event as EventV1
from reconciler.model.meta import KubeObject, ObjectMeta
from reconciler.model.namespace import Namespace
from reconciler.model.pod import Pod
from reconciler.model.priorityclass import PriorityClass
from reconciler.model.rbac import ClusterRoleBinding, RoleBinding
from reconciler.model.replication import ReplicationController
from reconciler.model.service import Service
from reconciler.model.storage import PersistentVolume, PersistentVolumeSource
from reconciler.model.storageclass import StorageClass

_IMMUTABLE = "field is immutable"
_SEALED = "field is immutable when `immutable` is set"
_ONCE = "may not change once set"


def validate_update(new: KubeObject, old: KubeObject) -> tuple[FieldError, ...]:
    """Return what is wrong with `new` as the successor of `old`.

    That is its own faults, and changes of fields that must not change. Parts that are the very
    same object in both are known to be sound and cost nothing.
    """
    return tuple(_errors(new, old))


def _errors(new: KubeObject, old: KubeObject) -> Errors:
    if new.metadata is not old.metadata:
        yield from _meta(new.metadata, old.metadata)
    changed = _changed(new, old)
    if changed - {"metadata", "status"}:
        if type(new) in _BEFORE:
            yield from _BEFORE[type(new)](new, old)
        yield from validate(_as_created(new))
        if type(new) in _AFTER:
            yield from _AFTER[type(new)](new, old)
    elif isinstance(new, Namespace) and isinstance(old, Namespace):
        yield from security_labels(new, old)
    if "status" in changed and type(new) in _STATUS:
        yield from _STATUS[type(new)](new)


def _as_created(new: KubeObject) -> KubeObject:
    """Return the object without what a subresource gave it, which no creation may have."""
    if isinstance(new, Pod) and new.spec.ephemeral_containers:
        return new.replace(spec=new.spec.replace(ephemeral_containers=()))
    return new


def _changed(new: Model, old: Model) -> set[str]:
    """Return the fields that are not the very same value."""
    before = old.__dict__
    return {name for name, value in new.__dict__.items() if value is not before[name]}


def _meta(new: ObjectMeta, old: ObjectMeta) -> Errors:
    """ValidateObjectMeta and ValidateObjectMetaUpdate, both of which look at the maps.

    Every update does the second, and then the kind's own once more, which shows in the causes.
    """
    maps = tuple(_maps(new, old))
    yield from maps
    for _ in range(2):
        yield from _changes(new, old)
        yield from maps


def _changes(new: ObjectMeta, old: ObjectMeta) -> Errors:
    for field, value, before in (
        ("name", new.name, old.name),
        ("namespace", new.namespace, old.namespace),
        ("uid", new.uid, old.uid),
        ("creationTimestamp", new.creation_timestamp, old.creation_timestamp),
    ):
        if value != before:
            yield invalid(f"metadata.{field}", value, _IMMUTABLE)
    if new.generation < old.generation:
        yield invalid("metadata.generation", new.generation, "must not be decremented")
    added = tuple(name for name in new.finalizers if name not in old.finalizers)
    if old.deletion_timestamp is not None and added:
        text = "no new finalizers can be added if the object is being deleted, found new finalizers"
        yield forbidden("metadata.finalizers", f"{text} {go_value(added)}")


def _maps(new: ObjectMeta, old: ObjectMeta) -> Errors:
    if new.labels != old.labels:
        yield from labels(new.labels, "metadata.labels")
    if new.annotations != old.annotations:
        yield from annotation_map(new.annotations, "metadata.annotations")
    if new.owner_references != old.owner_references:
        yield from owners(new)


def _service(new: Service, old: Service) -> Errors:
    """ValidateServiceUpdate: an address once given stays while the type needs one."""
    if old.spec.type != "ExternalName" != new.spec.type and old.spec.cluster_ip:
        addresses = new.spec.cluster_ips or (new.spec.cluster_ip,)
        if addresses[0] != old.spec.cluster_ip:
            yield invalid("spec.clusterIPs[0]", addresses, _ONCE)
    if new.spec.type == old.spec.type == "LoadBalancer":
        if new.spec.load_balancer_class != old.spec.load_balancer_class:
            yield invalid("spec.loadBalancerClass", new.spec.load_balancer_class, _ONCE)
        checked = new.spec.external_traffic_policy == old.spec.external_traffic_policy == "Local"
        if checked and new.spec.health_check_node_port != old.spec.health_check_node_port:
            yield forbidden("spec.healthCheckNodePort", _IMMUTABLE)


def _secret(new: Secret, old: Secret) -> Errors:
    """ValidateSecretUpdate."""
    if new.type != old.type:
        yield invalid("type", new.type, _IMMUTABLE)
    if old.immutable:
        if not new.immutable:
            yield forbidden("immutable", _SEALED)
        if new.data != old.data:
            yield forbidden("data", _SEALED)


def _config_map(new: ConfigMap, old: ConfigMap) -> Errors:
    """ValidateConfigMapUpdate."""
    if not old.immutable:
        return
    if not new.immutable:
        yield forbidden("immutable", _SEALED)
    if new.data != old.data:
        yield forbidden("data", _SEALED)
    if new.binary_data != old.binary_data:
        yield forbidden("binaryData", _SEALED)


def _claim(new: PersistentVolumeClaim, old: PersistentVolumeClaim) -> Errors:
    """ValidatePersistentVolumeClaimUpdate: only the request of a bound claim may grow."""
    kept: dict[str, Any] = {
        "volume_attributes_class_name": new.spec.volume_attributes_class_name,
        "volume_name": old.spec.volume_name or new.spec.volume_name,
        "storage_class_name": old.spec.storage_class_name,
    }
    if old.spec.storage_class_name is None:
        # A class may be given to a claim that was made without one.
        kept["storage_class_name"] = new.spec.storage_class_name
    if old.status.phase == "Bound":
        requests = new.spec.resources.requests
        kept["resources"] = old.spec.resources.replace(requests=requests)
    if old.spec.replace(**kept) != new.spec:
        yield forbidden(
            "spec",
            "spec is immutable after creation except resources.requests and "
            "volumeAttributesClassName for bound claims\n",
        )
    before, after = (item.spec.resources.requests.get("storage") for item in (old, new))
    if before is not None and after is not None and quantity.compare(after, before) < 0:
        text = "field can not be less than previous value"
        yield forbidden("spec.resources.requests.storage", text)


def _volume(new: PersistentVolume, old: PersistentVolume) -> Errors:
    """ValidatePersistentVolumeUpdate."""
    sources = PersistentVolumeSource.model_fields
    if any(getattr(new.spec, name) != getattr(old.spec, name) for name in sources):
        text = "spec.persistentvolumesource is immutable after creation"
        yield forbidden("spec.persistentvolumesource", text)
    if new.spec.volume_mode != old.spec.volume_mode:
        yield invalid("spec.volumeMode", new.spec.volume_mode, _IMMUTABLE)
    before = old.spec.node_affinity
    if before is not None and new.spec.node_affinity != before:
        shown = GoValue("core.VolumeNodeAffinity{...}")
        yield invalid("spec.nodeAffinity", shown, _IMMUTABLE)


def _quota(new: ResourceQuota, old: ResourceQuota) -> Errors:
    """ValidateResourceQuotaUpdate."""
    if set(new.spec.scopes) != set(old.spec.scopes):
        scopes = ", ".join(f'"{scope}"' for scope in new.spec.scopes)
        shown = GoValue(f"[]core.ResourceQuotaScope{{{scopes}}}")
        yield invalid("spec.scopes", shown, _IMMUTABLE)


def _replication(new: ReplicationController, _old: ReplicationController) -> Errors:
    """The strategy validates the spec twice, which shows in the causes."""
    yield from validate(new)


UpdateRule = Callable[[Any, Any], Errors]

_BEFORE: dict[type[KubeObject], UpdateRule] = {
    ConfigMap: _config_map,
    Secret: _secret,
    Service: _service,
}
_AFTER: dict[type[KubeObject], UpdateRule] = {
    EndpointSlice: endpoint_slice_update,
    ClusterRoleBinding: binding_update,
    EventV1: event_v1_update,
    PersistentVolume: _volume,
    PersistentVolumeClaim: _claim,
    Pod: pod_update,
    PriorityClass: priority_class_update,
    ReplicationController: _replication,
    ResourceQuota: _quota,
    RoleBinding: binding_update,
    StorageClass: storage_class_update,
}
_STATUS: dict[type[KubeObject], Callable[[Any], Errors]] = {
    Pod: pod_status,
    ReplicationController: replication_status,
    Service: service_status,
}
