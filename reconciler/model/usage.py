"""What an object counts for in ResourceQuotas. Pure.

Called by the registry, which refuses what would exceed a quota, and by the quota controller,
which counts. The names and rules are those of Kubernetes' quota evaluators (k8s.io/apiserver
quota, core evaluators).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from reconciler.model import kinds, quantity
from reconciler.model.account import ResourceQuota, ScopedResourceSelectorRequirement
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.container import Container
from reconciler.model.meta import KubeObject
from reconciler.model.pod import Pod
from reconciler.model.podstatus import TERMINAL
from reconciler.model.replication import ReplicationController
from reconciler.model.service import Service

Usage = dict[str, str]

_ONE = "1"
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_REQUIRED = ("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
_CLASS = ".storageclass.storage.k8s.io/"
_PLAIN: tuple[type[KubeObject], ...] = (
    *(ConfigMap, PersistentVolumeClaim, ReplicationController, ResourceQuota, Secret, Service),
)


def of(obj: KubeObject) -> Usage:
    """Return what an object counts for, by the names that quotas use; empty for an ended pod."""
    if isinstance(obj, Pod) and obj.status.phase in TERMINAL:
        return {}
    resource = kinds.of(type(obj))
    usage = {f"count/{resource.qualified}": _ONE}
    if isinstance(obj, (*_PLAIN, Pod)):
        usage[resource.plural] = _ONE
    if isinstance(obj, Pod):
        usage |= _of_pod(obj)
    elif isinstance(obj, Service):
        usage |= _of_service(obj)
    elif isinstance(obj, PersistentVolumeClaim):
        usage |= _of_claim(obj)
    return usage


def counts(kind: type[KubeObject], names: Iterable[str]) -> bool:
    """Say whether objects of a kind count for any of a quota's names."""
    resource = kinds.of(kind)
    own = {f"count/{resource.qualified}", resource.plural}
    return any(name in own or _is_part(kind, name) for name in names)


def _is_part(kind: type[KubeObject], name: str) -> bool:
    if kind is PersistentVolumeClaim:
        return name == "requests.storage" or _CLASS in name
    if kind is Service:
        return name.startswith("services.")
    return kind is Pod and (name in _COMPUTE or name.startswith(("requests.", "limits.")))


def _of_pod(pod: Pod) -> Usage:
    usage: Usage = {}
    for name, amount in pod_requests(pod).items():
        usage[f"requests.{name}"] = amount
        if name in _COMPUTE:
            usage[name] = amount
    for name, amount in pod_limits(pod).items():
        usage[f"limits.{name}"] = amount
    return usage


def _of_service(service: Service) -> Usage:
    spec, usage = service.spec, {"services.nodeports": "0", "services.loadbalancers": "0"}
    if spec.type == "NodePort":
        usage["services.nodeports"] = str(len(spec.ports))
    elif spec.type == "LoadBalancer":
        usage["services.loadbalancers"] = _ONE
        allocated = spec.allocate_load_balancer_node_ports is not False
        ports = spec.ports if allocated else [port for port in spec.ports if port.node_port]
        usage["services.nodeports"] = str(len(ports))
    return usage


def _of_claim(claim: PersistentVolumeClaim) -> Usage:
    usage: Usage = {}
    stored = claim.spec.resources.requests.get("storage")
    if stored:
        usage["requests.storage"] = stored
    if claim.spec.storage_class_name:
        prefix = claim.spec.storage_class_name + _CLASS
        usage[f"{prefix}persistentvolumeclaims"] = _ONE
        if stored:
            usage[f"{prefix}requests.storage"] = stored
    return usage


def pod_requests(pod: Pod) -> Usage:
    """Return a pod's requests: the sum of its containers', or an init container's if more."""
    return _of_containers(pod, lambda container: container.resources.requests)


def pod_limits(pod: Pod) -> Usage:
    """Return a pod's limits, counted alike."""
    return _of_containers(pod, lambda container: container.resources.limits)


def _of_containers(pod: Pod, amounts: Callable[[Container], Mapping[str, str]]) -> Usage:
    """PodRequests of k8s.io/component-helpers: sidecars add up with what runs beside them."""
    together: Usage = {}
    for container in pod.spec.containers:
        together = added(together, amounts(container))
    beside: Usage = {}
    largest: Usage = {}
    for container in pod.spec.init_containers:
        alone = added(amounts(container), beside)
        if container.restart_policy == "Always":
            beside = added(beside, amounts(container))
            alone = beside
        largest = _largest(largest, alone)
    return added(_largest(added(together, beside), largest), pod.spec.overhead)


def _largest(first: Mapping[str, str], second: Mapping[str, str]) -> Usage:
    found = dict(first)
    for name, amount in second.items():
        if name not in found or quantity.compare(amount, found[name]) > 0:
            found[name] = amount
    return found


def added(first: Mapping[str, str], second: Mapping[str, str]) -> Usage:
    """Return the sum, name by name."""
    total = dict(first)
    for name, amount in second.items():
        total[name] = quantity.total((total[name], amount)) if name in total else amount
    return total


def matches(quota: ResourceQuota, obj: KubeObject) -> bool:
    """Say whether a quota's scopes take an object in; scopes other than classes are of pods."""
    spec = quota.spec
    wanted = [*spec.scopes]
    selected = spec.scope_selector.match_expressions if spec.scope_selector else ()
    if not wanted and not selected:
        return True
    if not isinstance(obj, Pod):
        return False
    return all(_in_scope(scope, obj) for scope in wanted) and all(
        _selected(each, obj) for each in selected
    )


def _in_scope(scope: str, pod: Pod) -> bool:
    """Say whether a pod is in a scope; in one that nobody knows is none."""
    deadline = pod.spec.active_deadline_seconds is not None
    best_effort = pod.status.qos_class == "BestEffort"
    scopes = {
        "Terminating": deadline,
        "NotTerminating": not deadline,
        "BestEffort": best_effort,
        "NotBestEffort": not best_effort,
        "PriorityClass": bool(pod.spec.priority_class_name),
        "CrossNamespacePodAffinity": _crosses(pod),
    }
    return scopes.get(scope, False)


def _crosses(pod: Pod) -> bool:
    affinity = pod.spec.affinity
    if affinity is None:
        return False
    terms = [
        term
        for side in (affinity.pod_affinity, affinity.pod_anti_affinity)
        if side is not None
        for term in (
            *side.required_during_scheduling_ignored_during_execution,
            *(
                each.pod_affinity_term
                for each in side.preferred_during_scheduling_ignored_during_execution
            ),
        )
    ]
    return any(term.namespaces or term.namespace_selector is not None for term in terms)


def _selected(wanted: ScopedResourceSelectorRequirement, pod: Pod) -> bool:
    if wanted.scope_name != "PriorityClass":
        return _in_scope(wanted.scope_name, pod)
    name = pod.spec.priority_class_name
    match wanted.operator:
        case "Exists":
            return bool(name)
        case "DoesNotExist":
            return not name
        case "In":
            return name in wanted.values
        case _:
            return name not in wanted.values


def missing(quota_names: Iterable[str], obj: KubeObject) -> dict[str, list[str]]:
    """Return the compute resources that a quota counts and containers of a pod do not give."""
    if not isinstance(obj, Pod):
        return {}
    found: dict[str, list[str]] = {}
    for name in sorted(set(quota_names).intersection(_REQUIRED)):
        side, _, bare = name.rpartition(".")
        lacking = sorted(
            container.name
            for container in (*obj.spec.init_containers, *obj.spec.containers)
            if bare
            not in (
                container.resources.limits if side == "limits" else container.resources.requests
            )
        )
        if lacking:
            found[name] = lacking
    return found


def counted(quota: ResourceQuota, objects: Iterable[KubeObject]) -> Usage:
    """Return a quota's usage by the objects of its namespace."""
    total: dict[str, Decimal] = dict.fromkeys(quota.spec.hard, Decimal(0))
    style: dict[str, str] = {}
    for obj in objects:
        if not matches(quota, obj):
            continue
        for name, amount in of(obj).items():
            if name in total:
                total[name] += quantity.parse(amount).value
                style.setdefault(name, amount)
    return {name: quantity.write(value, style.get(name, "0")) for name, value in total.items()}
