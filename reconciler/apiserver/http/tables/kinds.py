"""The rows of the core kinds but pods, in the order of their columns. Pure.

Called by `columns.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from reconciler.apiserver.http.tables.text import NONE, UNKNOWN, age, joined, labels
from reconciler.model.account import LimitRange, ResourceQuota, ServiceAccount
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.endpointslice import EndpointPort, EndpointSlice
from reconciler.model.event import Event
from reconciler.model.eventsv1 import Event as EventV1
from reconciler.model.eventsv1 import core_of
from reconciler.model.meta import KubeObject
from reconciler.model.namespace import Namespace
from reconciler.model.node import Node
from reconciler.model.pod import PodTemplate
from reconciler.model.priorityclass import PriorityClass
from reconciler.model.replication import ReplicationController
from reconciler.model.service import Endpoints, Service
from reconciler.model.storage import PersistentVolume
from reconciler.model.storageclass import DEFAULT_CLASS, StorageClass

_ROLE_PREFIX, _ROLE_LABEL = "node-role.kubernetes.io/", "kubernetes.io/role"
_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}
_SHOWN_ENDPOINTS = 3


def _cells(*cells: Any) -> dict[str, Any]:
    return {"cells": list(cells)}


def _age(obj: KubeObject, now: datetime) -> str:
    return age(obj.metadata.creation_timestamp, now)


def name_and_age(obj: KubeObject, now: datetime) -> dict[str, Any]:
    """Return the row of a kind without columns of its own."""
    return _cells(obj.metadata.name, _age(obj, now))


def scale(obj: ReplicationController, now: datetime) -> dict[str, Any]:
    """Return the row of a controller's Scale."""
    return _cells(obj.metadata.name, obj.spec.replicas, obj.status.replicas, _age(obj, now))


def _config_map(obj: ConfigMap, now: datetime) -> dict[str, Any]:
    return _cells(obj.metadata.name, len(obj.data) + len(obj.binary_data), _age(obj, now))


def _secret(obj: Secret, now: datetime) -> dict[str, Any]:
    return _cells(obj.metadata.name, obj.type, len(obj.data), _age(obj, now))


def _account(obj: ServiceAccount, now: datetime) -> dict[str, Any]:
    return _cells(obj.metadata.name, len(obj.secrets), _age(obj, now))


def _namespace(obj: Namespace, now: datetime) -> dict[str, Any]:
    return _cells(obj.metadata.name, obj.status.phase, _age(obj, now))


def _limit_range(obj: LimitRange, _: datetime) -> dict[str, Any]:
    return _cells(obj.metadata.name, obj.metadata.creation_timestamp)


def _images(containers: Iterable[Any]) -> tuple[str, str]:
    found = list(containers)
    return ",".join(each.name for each in found), ",".join(each.image for each in found)


def _template(obj: PodTemplate, _: datetime) -> dict[str, Any]:
    names, images = _images(obj.template.spec.containers)
    return _cells(obj.metadata.name, names, images, labels(obj.template.metadata.labels))


def _controller(obj: ReplicationController, now: datetime) -> dict[str, Any]:
    spec, status = obj.spec, obj.status
    names, images = _images(spec.template.spec.containers if spec.template else ())
    counts = (spec.replicas or 0, status.replicas, status.ready_replicas)
    return _cells(obj.metadata.name, *counts, _age(obj, now), names, images, labels(spec.selector))


def _quota(obj: ResourceQuota, now: datetime) -> dict[str, Any]:
    requests: list[str] = []
    limits: list[str] = []
    for name in sorted(obj.status.hard):
        used = obj.status.used.get(name, "0")
        side = limits if name.startswith("limits") else requests
        side.append(f"{name}: {used}/{obj.status.hard[name]}")
    return _cells(obj.metadata.name, _age(obj, now), ", ".join(requests), ", ".join(limits))


def _service(obj: Service, now: datetime) -> dict[str, Any]:
    spec = obj.spec
    return _cells(
        obj.metadata.name,
        spec.type,
        spec.cluster_ip or NONE,
        _external(obj),
        joined(_port(port) for port in spec.ports),
        _age(obj, now),
        labels(spec.selector),
    )


def _port(port: Any) -> str:
    node = f":{port.node_port}" if port.node_port else ""
    return f"{port.port}{node}/{port.protocol}"


def _external(obj: Service) -> str:
    spec = obj.spec
    if spec.type == "ExternalName":
        return spec.external_name or NONE
    if spec.type != "LoadBalancer":
        return joined(spec.external_ips)
    ingress = {each.ip or each.hostname for each in obj.status.load_balancer.ingress}
    found = (*sorted(ingress), *spec.external_ips)
    return ",".join(found) or "<pending>"


def _endpoints(obj: Endpoints, now: datetime) -> dict[str, Any]:
    return _cells(obj.metadata.name, _addresses(obj), _age(obj, now))


def _addresses(obj: Endpoints) -> str:
    shown = []
    for subset in obj.subsets:
        if subset.ports:
            pairs = ((a.ip, p.port) for p in subset.ports for a in subset.addresses)
            shown += [f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}" for ip, port in pairs]
        else:
            shown += [address.ip for address in subset.addresses]
    more = len(shown) - _SHOWN_ENDPOINTS
    text = joined(shown[:_SHOWN_ENDPOINTS])
    return f"{text} + {more} more..." if more > 0 else text


def _endpoint_slice(obj: EndpointSlice, now: datetime) -> dict[str, Any]:
    ports = [_slice_port(port) for port in obj.ports]
    addresses = [address for endpoint in obj.endpoints for address in endpoint.addresses]
    return _cells(obj.metadata.name, obj.address_type, _few(ports), _few(addresses), _age(obj, now))


def _slice_port(port: EndpointPort) -> str:
    if port.port is not None:
        return str(port.port)
    return "*" if port.name is None else port.name


def _few(texts: list[str]) -> str:
    """Kubernetes' listWithMoreString."""
    more = len(texts) - _SHOWN_ENDPOINTS
    text = ",".join(texts[:_SHOWN_ENDPOINTS])
    return f"{text} + {more} more..." if more > 0 else text or "<unset>"


def _event(obj: Event, now: datetime) -> dict[str, Any]:
    about = obj.involved_object
    target = f"{about.kind.lower()}/{about.name}" if about.name else about.kind.lower()
    component = obj.source.component or obj.reporting_component
    source = ", ".join(part for part in (component, obj.source.host) if part)
    first = age(obj.first_timestamp or obj.event_time, now)
    last = age(obj.last_timestamp, now) if obj.last_timestamp else first
    kind, reason, path = obj.type, obj.reason, about.field_path
    message, name = obj.message.strip(), obj.metadata.name
    return _cells(last, kind, reason, target, path, source, message, first, obj.count or 1, name)


def _event_v1(obj: EventV1, now: datetime) -> dict[str, Any]:
    return _event(core_of(obj), now)


def _modes(modes: Iterable[str]) -> str:
    return ",".join(_MODES.get(mode, mode) for mode in _MODES if mode in set(modes))


def _class(obj: PersistentVolume | PersistentVolumeClaim) -> str:
    old = obj.metadata.annotations.get(_CLASS_ANNOTATION)
    return old if old is not None else obj.spec.storage_class_name or ""


def _capacity(amounts: Mapping[str, str]) -> str:
    return amounts.get("storage", "")


def _volume(obj: PersistentVolume, now: datetime) -> dict[str, Any]:
    spec, claim = obj.spec, obj.spec.claim_ref
    return _cells(
        obj.metadata.name,
        _capacity(spec.capacity),
        _modes(spec.access_modes),
        spec.persistent_volume_reclaim_policy,
        _phase(obj),
        f"{claim.namespace}/{claim.name}" if claim else "",
        _class(obj),
        spec.volume_attributes_class_name or "<unset>",
        obj.status.reason,
        _age(obj, now),
        spec.volume_mode or "<unset>",
    )


def _claim(obj: PersistentVolumeClaim, now: datetime) -> dict[str, Any]:
    spec = obj.spec
    bound = bool(spec.volume_name)
    return _cells(
        obj.metadata.name,
        _phase(obj),
        spec.volume_name,
        obj.status.capacity.get("storage", "0") if bound else "",
        _modes(obj.status.access_modes) if bound else "",
        _class(obj),
        spec.volume_attributes_class_name or "<unset>",
        _age(obj, now),
        spec.volume_mode or "<unset>",
    )


def _storage_class(obj: StorageClass, now: datetime) -> dict[str, Any]:
    default = obj.metadata.annotations.get(DEFAULT_CLASS) == "true"
    return _cells(
        f"{obj.metadata.name} (default)" if default else obj.metadata.name,
        obj.provisioner,
        obj.reclaim_policy or "Delete",
        obj.volume_binding_mode or "",
        bool(obj.allow_volume_expansion),
        _age(obj, now),
    )


def _priority_class(obj: PriorityClass, now: datetime) -> dict[str, Any]:
    return _cells(obj.metadata.name, obj.value, obj.global_default, _age(obj, now))


def _phase(obj: PersistentVolume | PersistentVolumeClaim) -> str:
    return "Terminating" if obj.metadata.deletion_timestamp else obj.status.phase


def _node(obj: Node, now: datetime) -> dict[str, Any]:
    info = obj.status.node_info
    addresses = {each.type: each.address for each in reversed(obj.status.addresses)}
    return _cells(
        obj.metadata.name,
        _node_status(obj),
        joined(sorted(_roles(obj.metadata.labels))),
        _age(obj, now),
        info.kubelet_version,
        addresses.get("InternalIP", NONE),
        addresses.get("ExternalIP", NONE),
        info.os_image or UNKNOWN,
        info.kernel_version or UNKNOWN,
        info.container_runtime_version or UNKNOWN,
    )


def _node_status(obj: Node) -> str:
    ready = next((each for each in obj.status.conditions if each.type == "Ready"), None)
    word = "Unknown"
    if ready is not None:
        word = "Ready" if ready.status == "True" else "NotReady"
    return f"{word},SchedulingDisabled" if obj.spec.unschedulable else word


def _roles(found: Mapping[str, str]) -> set[str]:
    roles = {key.removeprefix(_ROLE_PREFIX) for key in found if key.startswith(_ROLE_PREFIX)}
    named = found.get(_ROLE_LABEL)
    return {role for role in (*roles, named) if role}


ROWS: dict[str, Any] = {
    "configmaps": _config_map,
    "endpoints": _endpoints,
    "endpointslices": _endpoint_slice,
    "events": _event,
    "events.events.k8s.io": _event_v1,
    "limitranges": _limit_range,
    "namespaces": _namespace,
    "nodes": _node,
    "persistentvolumeclaims": _claim,
    "persistentvolumes": _volume,
    "podtemplates": _template,
    "priorityclasses": _priority_class,
    "replicationcontrollers": _controller,
    "resourcequotas": _quota,
    "secrets": _secret,
    "serviceaccounts": _account,
    "services": _service,
    "storageclasses": _storage_class,
}
"""How an object becomes a row, by the plural of its kind."""
