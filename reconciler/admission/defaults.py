"""The defaults of each kind, as kube-apiserver's SetDefaults functions give them.

Called by `admit`. Pure: the object comes back itself when nothing is to be added. Defaults of pods
are in `defaultpod.py`, of volumes in `defaultvolume.py`.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any, TypeVar

from reconciler.admission.defaultpod import container_port_protocol, default_pod, default_pod_spec
from reconciler.admission.defaultvolume import (
    default_claim_spec,
    default_volume_source,
    normal_data_sources,
)
from reconciler.model.account import LimitRange, LimitRangeItem
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.config import Secret
from reconciler.model.endpointslice import EndpointPort, EndpointSlice
from reconciler.model.meta import KubeObject
from reconciler.model.namespace import Namespace
from reconciler.model.node import Node
from reconciler.model.pod import Pod, PodTemplate, PodTemplateSpec
from reconciler.model.priorityclass import PriorityClass
from reconciler.model.rbac import GROUP as RBAC_GROUP
from reconciler.model.rbac import ClusterRoleBinding, RoleBinding
from reconciler.model.replication import ReplicationController
from reconciler.model.service import (
    ClientIPConfig,
    Endpoints,
    EndpointSubset,
    Service,
    ServicePort,
    ServiceSpec,
    SessionAffinityConfig,
)
from reconciler.model.storage import PersistentVolume
from reconciler.model.storageclass import StorageClass

T = TypeVar("T", bound=KubeObject)

SESSION_AFFINITY_SECONDS = 10800
METADATA_NAME = "kubernetes.io/metadata.name"


def apply_defaults(obj: T) -> T:
    """Return `obj` with what its manifest left to the server, or `obj` itself."""
    rule = _RULES.get(type(obj))
    return rule(obj) if rule is not None else obj


def _replication_controller(obj: ReplicationController) -> ReplicationController:
    """SetDefaults_ReplicationController: selector and labels come from the template."""
    changes: dict[str, Any] = {}
    spec = obj.spec
    template = spec.template
    if template is not None:
        defaulted = _template(template)
        if defaulted is not template:
            changes["template"] = defaulted
        if template.metadata.labels and not spec.selector:
            changes["selector"] = template.metadata.labels
    if spec.replicas is None:
        changes["replicas"] = 1
    outer: dict[str, Any] = {"spec": spec.replace(**changes)} if changes else {}
    if template is not None and template.metadata.labels and not obj.metadata.labels:
        outer["metadata"] = obj.metadata.replace(labels=template.metadata.labels)
    return obj.replace(**outer) if outer else obj


def _template(template: PodTemplateSpec) -> PodTemplateSpec:
    spec = default_pod_spec(template.spec)
    return template if spec is template.spec else template.replace(spec=spec)


def _pod_template(obj: PodTemplate) -> PodTemplate:
    template = _template(obj.template)
    return obj if template is obj.template else obj.replace(template=template)


def _service(obj: Service) -> Service:
    changes = _service_changes(obj.spec)
    defaulted = obj.replace(spec=obj.spec.replace(**changes)) if changes else obj
    return _with_ip_modes(defaulted) if defaulted.spec.type == "LoadBalancer" else defaulted


def _with_ip_modes(obj: Service) -> Service:
    """A load balancer's address is one that packets keep (LoadBalancerIPMode's default VIP)."""
    balancer = obj.status.load_balancer
    if not any(entry.ip and entry.ip_mode is None for entry in balancer.ingress):
        return obj
    ingress = tuple(
        entry.replace(ip_mode="VIP") if entry.ip and entry.ip_mode is None else entry
        for entry in balancer.ingress
    )
    status = obj.status.replace(load_balancer=balancer.replace(ingress=ingress))
    return obj.replace(status=status)


def _service_changes(spec: ServiceSpec) -> dict[str, Any]:
    """SetDefaults_Service, as the members of the spec to change."""
    kind = spec.type or "ClusterIP"
    changes: dict[str, Any] = {}
    if not spec.type:
        changes["type"] = kind
    changes.update(_affinity_changes(spec))
    ports = tuple(_service_port(port) for port in spec.ports)
    if any(new is not old for new, old in zip(ports, spec.ports, strict=True)):
        changes["ports"] = ports
    if spec.is_called_from_outside and not spec.external_traffic_policy:
        changes["external_traffic_policy"] = "Cluster"
    if kind in ("ClusterIP", "NodePort", "LoadBalancer") and spec.internal_traffic_policy is None:
        changes["internal_traffic_policy"] = "Cluster"
    if kind == "LoadBalancer" and spec.allocate_load_balancer_node_ports is None:
        changes["allocate_load_balancer_node_ports"] = True
    return changes


def _affinity_changes(spec: ServiceSpec) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    affinity = spec.session_affinity or "None"
    if not spec.session_affinity:
        changes["session_affinity"] = affinity
    if affinity == "None" and spec.session_affinity_config is not None:
        changes["session_affinity_config"] = None
    config = spec.session_affinity_config
    given = config and config.client_ip and config.client_ip.timeout_seconds is not None
    if affinity == "ClientIP" and not given:
        changes["session_affinity_config"] = SessionAffinityConfig(
            client_ip=ClientIPConfig(timeout_seconds=SESSION_AFFINITY_SECONDS)
        )
    return changes


def _service_port(port: ServicePort) -> ServicePort:
    changes: dict[str, Any] = {}
    if not port.protocol:
        changes["protocol"] = "TCP"
    if port.target_port in (0, ""):
        changes["target_port"] = port.port
    return port.replace(**changes) if changes else port


def _endpoints(obj: Endpoints) -> Endpoints:
    subsets = tuple(_subset(subset) for subset in obj.subsets)
    return obj if subsets == obj.subsets else obj.replace(subsets=subsets)


def _subset(subset: EndpointSubset) -> EndpointSubset:
    if all(port.protocol for port in subset.ports):
        return subset
    return subset.replace(ports=tuple(container_port_protocol(port) for port in subset.ports))


def _endpoint_slice(obj: EndpointSlice) -> EndpointSlice:
    ports = tuple(_slice_port(port) for port in obj.ports)
    changed = any(new is not old for new, old in zip(ports, obj.ports, strict=True))
    return obj.replace(ports=ports) if changed else obj


def _slice_port(port: EndpointPort) -> EndpointPort:
    """SetDefaults_EndpointPort: a name that may be empty, and a protocol."""
    if port.name is not None and port.protocol is not None:
        return port
    protocol = "TCP" if port.protocol is None else port.protocol
    return port.replace(name=port.name or "", protocol=protocol)


def _secret(obj: Secret) -> Secret:
    """SetDefaults_Secret; `stringData` goes into `data`, as the v1 conversion does."""
    changes: dict[str, Any] = {}
    if not obj.type:
        changes["type"] = "Opaque"
    if obj.string_data:
        encoded = {key: b64encode(text.encode()).decode() for key, text in obj.string_data.items()}
        changes |= {"data": {**obj.data, **encoded}, "string_data": {}}
    return obj.replace(**changes) if changes else obj


def _namespace(obj: Namespace) -> Namespace:
    changes: dict[str, Any] = {}
    name = obj.metadata.name
    if name and obj.metadata.labels.get(METADATA_NAME) != name:
        labels = {**obj.metadata.labels, METADATA_NAME: name}
        changes["metadata"] = obj.metadata.replace(labels=labels)
    if not obj.status.phase:
        changes["status"] = obj.status.replace(phase="Active")
    return obj.replace(**changes) if changes else obj


def _node(obj: Node) -> Node:
    outer: dict[str, Any] = {}
    one, every = obj.spec.pod_cidr, obj.spec.pod_cidrs
    # The conversion tells the first range of the node's pods by both of its names.
    if one and every[:1] != (one,):
        outer["spec"] = obj.spec.replace(pod_cidrs=(one,))
    elif every and not one:
        outer["spec"] = obj.spec.replace(pod_cidr=every[0])
    if obj.status.capacity and not obj.status.allocatable:
        outer["status"] = obj.status.replace(allocatable=obj.status.capacity)
    return obj.replace(**outer) if outer else obj


def _persistent_volume(obj: PersistentVolume) -> PersistentVolume:
    changes = default_volume_source(obj.spec)
    if not obj.spec.persistent_volume_reclaim_policy:
        changes["persistent_volume_reclaim_policy"] = "Retain"
    if obj.spec.volume_mode is None:
        changes["volume_mode"] = "Filesystem"
    outer: dict[str, Any] = {"spec": obj.spec.replace(**changes)} if changes else {}
    if not obj.status.phase:
        outer["status"] = obj.status.replace(phase="Pending")
    return obj.replace(**outer) if outer else obj


def _persistent_volume_claim(obj: PersistentVolumeClaim) -> PersistentVolumeClaim:
    spec = normal_data_sources(default_claim_spec(obj.spec))
    outer: dict[str, Any] = {} if spec is obj.spec else {"spec": spec}
    if not obj.status.phase:
        outer["status"] = obj.status.replace(phase="Pending")
    return obj.replace(**outer) if outer else obj


def _priority_class(obj: PriorityClass) -> PriorityClass:
    """SetDefaults_PriorityClass."""
    if obj.preemption_policy is not None:
        return obj
    return obj.replace(preemption_policy="PreemptLowerPriority")


def _storage_class(obj: StorageClass) -> StorageClass:
    """SetDefaults_StorageClass."""
    changes: dict[str, Any] = {}
    if obj.reclaim_policy is None:
        changes["reclaim_policy"] = "Delete"
    if obj.volume_binding_mode is None:
        changes["volume_binding_mode"] = "Immediate"
    return obj.replace(**changes) if changes else obj


def _limit_range(obj: LimitRange) -> LimitRange:
    limits = tuple(_limit(item) for item in obj.spec.limits)
    return obj if limits == obj.spec.limits else obj.replace(spec=obj.spec.replace(limits=limits))


def _limit(item: LimitRangeItem) -> LimitRangeItem:
    """SetDefaults_LimitRangeItem: max gives default, default and min give defaultRequest."""
    if item.type != "Container":
        return item
    default = {**item.max, **item.default}
    request = {**item.min, **default, **item.default_request}
    return item.replace(default=default, default_request=request)


def _binding(obj: Any) -> Any:
    """SetDefaults_RoleBinding, SetDefaults_Subject: users, groups and roles are of RBAC's group."""
    ref = obj.role_ref
    if not ref.api_group:
        ref = ref.replace(api_group=RBAC_GROUP)
    subjects = tuple(
        each.replace(api_group=RBAC_GROUP)
        if each.kind in ("User", "Group") and not each.api_group
        else each
        for each in obj.subjects
    )
    same = ref is obj.role_ref and subjects == obj.subjects
    return obj if same else obj.replace(role_ref=ref, subjects=subjects)


_RULES: dict[type[KubeObject], Callable[[Any], Any]] = {
    EndpointSlice: _endpoint_slice,
    ClusterRoleBinding: _binding,
    Endpoints: _endpoints,
    LimitRange: _limit_range,
    Namespace: _namespace,
    Node: _node,
    PersistentVolume: _persistent_volume,
    PersistentVolumeClaim: _persistent_volume_claim,
    Pod: default_pod,
    PodTemplate: _pod_template,
    PriorityClass: _priority_class,
    ReplicationController: _replication_controller,
    RoleBinding: _binding,
    Secret: _secret,
    Service: _service,
    StorageClass: _storage_class,
}
