"""Which nodes can take a pod, and why the others cannot. Pure.

Called by `decision.py` and `preemption.py`. Each filter looks at one rule and gives its reasons in
Kubernetes' words; the first filter that refuses a node speaks for it. A new rule is a function and
its place in `FILTERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reconciler.model.affinity import REFUSING, selects, tolerates
from reconciler.model.demand import ports_clash
from reconciler.model.node import UNSCHEDULABLE, Node, Taint
from reconciler.scheduler.company import AFFINITY
from reconciler.scheduler.request import Request
from reconciler.scheduler.snapshot import NodeUse
from reconciler.scheduler.spreading import NO_LABEL
from reconciler.scheduler.volumes import EXCLUSIVE, NONE, refusal

_UNSCHEDULABLE = Taint(key=UNSCHEDULABLE, effect="NoSchedule")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a node refuses a pod; `final` when no pod's leaving would help (Unresolvable)."""

    reasons: tuple[str, ...]
    final: bool = False


Filter = Callable[[Request, NodeUse, Node], Refusal | None]


def unschedulable(request: Request, _use: NodeUse, node: Node) -> Refusal | None:
    """Refuse a cordoned node (NodeUnschedulable)."""
    if node.spec.unschedulable and not tolerates(request.pod.spec.tolerations, _UNSCHEDULABLE):
        return Refusal(("node(s) were unschedulable",), final=True)
    return None


def taints(request: Request, use: NodeUse, _node: Node) -> Refusal | None:
    """Refuse a node with a taint that the pod does not tolerate, not-ready included."""
    for taint in use.taints:
        if taint.effect in REFUSING and not tolerates(request.pod.spec.tolerations, taint):
            reason = f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}"
            return Refusal((reason,), final=True)
    return None


def node_affinity(request: Request, _use: NodeUse, node: Node) -> Refusal | None:
    """Refuse a node that nodeSelector or required node affinity does not take."""
    if selects(request.pod, node):
        return None
    return Refusal(("node(s) didn't match Pod's node affinity/selector",), final=True)


def host_ports(request: Request, use: NodeUse, _node: Node) -> Refusal | None:
    """Refuse a node on which a host port of the pod is taken (NodePorts)."""
    if request.demand.host_ports and ports_clash(request.demand.host_ports, use.host_ports):
        return Refusal(("node(s) didn't have free ports for the requested pod ports",))
    return None


def resources(request: Request, use: NodeUse, _node: Node) -> Refusal | None:
    """Refuse a node without room for the pod's requests or for one more pod (Fit)."""
    reasons = ["Too many pods"] if use.pods + 1 > use.allocatable.get("pods", 0) else []
    for name, amount in sorted(request.demand.resources.items()):
        if amount > use.allocatable.get(name, 0) - use.used[name] and amount > 0:
            reasons.append(f"Insufficient {name}")
    return Refusal(tuple(reasons)) if reasons else None


def volumes(request: Request, _use: NodeUse, node: Node) -> Refusal | None:
    """Refuse a node that the pod's claims cannot be had on (VolumeBinding, VolumeRestrictions)."""
    reasons = refusal(request.volumes, node) if request.volumes is not NONE else ()
    return Refusal(reasons, final=reasons != (EXCLUSIVE,)) if reasons else None


def topology_spread(request: Request, use: NodeUse, _node: Node) -> Refusal | None:
    """Refuse a node where the pod would lie too unevenly (PodTopologySpread)."""
    reason = request.spread.refusal(use.labels) if request.spread is not None else ""
    return Refusal((reason,), final=reason == NO_LABEL) if reason else None


def pod_affinity(request: Request, use: NodeUse, _node: Node) -> Refusal | None:
    """Refuse a node by what its pods and the pod say of each other (InterPodAffinity)."""
    reason = request.company.refusal(use.labels) if request.company is not None else ""
    return Refusal((reason,), final=reason == AFFINITY) if reason else None


FILTERS: tuple[Filter, ...] = (
    unschedulable, taints, node_affinity, host_ports, resources, volumes, topology_spread,
    pod_affinity,
)  # fmt: skip


def refuse(request: Request, use: NodeUse, node: Node) -> Refusal | None:
    """Return what the first filter says that refuses the node; None when it can take the pod."""
    for check in FILTERS:
        found = check(request, use, node)
        if found is not None:
            return found
    return None
