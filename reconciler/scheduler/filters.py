"""Which nodes can take a pod, and why the others cannot. Pure.

Called by `decision.py`. Each filter looks at one rule and gives its reasons in Kubernetes' words;
the first filter that refuses a node speaks for it. A new rule is a function and its place in
`FILTERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reconciler.model.node import Node, Taint
from reconciler.model.pod import Pod
from reconciler.scheduler.affinity import selects, tolerates
from reconciler.scheduler.demand import Demand, ports_clash
from reconciler.scheduler.snapshot import NodeUse
from reconciler.scheduler.volumes import NONE, PodVolumes, refusal

_UNSCHEDULABLE = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")
_REFUSING = ("NoSchedule", "NoExecute")


@dataclass(frozen=True, slots=True)
class Request:
    """A pod to place, and what it asks for."""

    pod: Pod
    demand: Demand
    volumes: PodVolumes = NONE


Reasons = tuple[str, ...]
Filter = Callable[[Request, NodeUse, Node], Reasons]


def unschedulable(request: Request, _use: NodeUse, node: Node) -> Reasons:
    """Refuse a cordoned node (NodeUnschedulable)."""
    if node.spec.unschedulable and not tolerates(request.pod.spec.tolerations, _UNSCHEDULABLE):
        return ("node(s) were unschedulable",)
    return ()


def taints(request: Request, use: NodeUse, _node: Node) -> Reasons:
    """Refuse a node with a taint that the pod does not tolerate, not-ready included."""
    for taint in use.taints:
        if taint.effect in _REFUSING and not tolerates(request.pod.spec.tolerations, taint):
            return (f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}",)
    return ()


def node_affinity(request: Request, _use: NodeUse, node: Node) -> Reasons:
    """Refuse a node that nodeSelector or required node affinity does not take."""
    if selects(request.pod, node):
        return ()
    return ("node(s) didn't match Pod's node affinity/selector",)


def host_ports(request: Request, use: NodeUse, _node: Node) -> Reasons:
    """Refuse a node on which a host port of the pod is taken (NodePorts)."""
    if request.demand.host_ports and ports_clash(request.demand.host_ports, use.host_ports):
        return ("node(s) didn't have free ports for the requested pod ports",)
    return ()


def resources(request: Request, use: NodeUse, _node: Node) -> Reasons:
    """Refuse a node without room for the pod's requests or for one more pod (Fit)."""
    reasons = ["Too many pods"] if use.pods + 1 > use.allocatable.get("pods", 0) else []
    for name, amount in sorted(request.demand.resources.items()):
        if amount > use.allocatable.get(name, 0) - use.used[name] and amount > 0:
            reasons.append(f"Insufficient {name}")
    return tuple(reasons)


def volumes(request: Request, _use: NodeUse, node: Node) -> Reasons:
    """Refuse a node that the pod's claims cannot be had on (VolumeBinding, VolumeRestrictions)."""
    return refusal(request.volumes, node) if request.volumes is not NONE else ()


FILTERS: tuple[Filter, ...] = (
    unschedulable, taints, node_affinity, host_ports, resources, volumes
)  # fmt: skip


def refuse(request: Request, use: NodeUse, node: Node) -> Reasons:
    """Return the reasons of the first filter that refuses the node; none when it can take it."""
    for check in FILTERS:
        reasons = check(request, use, node)
        if reasons:
            return reasons
    return ()
