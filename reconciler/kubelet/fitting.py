"""Whether a pod that names its node itself fits there: what no scheduler has looked at. Pure.

Called by `admitting.py`. Kubernetes' kubelet admission (predicate.go:
noderesources, nodeaffinity, nodeports), in its order and words. A pod that was bound is not asked
again: its scheduler counts the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from reconciler.kubelet.podadmit import Rejection
from reconciler.model.affinity import selects
from reconciler.model.demand import amounts, demand_of, ports_clash
from reconciler.model.node import Node
from reconciler.model.pod import Pod
from reconciler.model.podstatus import TERMINAL

_PODS = "pods"


def was_bound(pod: Pod) -> bool:
    """Tell whether a scheduler chose the node; who names it in the spec has no such condition."""
    return any(c.type == "PodScheduled" and c.status == "True" for c in pod.status.conditions)


def misfit(pod: Pod, node: Node, known: Iterable[Pod]) -> Rejection | None:
    """Return why the pod does not fit on the node; `known` are all pods of it."""
    others = [each for each in known if _counts(each, pod)]
    return next(_misfits(pod, node, others), None)


def _misfits(pod: Pod, node: Node, others: list[Pod]) -> Iterator[Rejection]:
    demand, taken = demand_of(pod), [demand_of(each) for each in others]
    room = amounts(node.status.allocatable)
    used = Counter({_PODS: len(others)})
    for each in taken:
        used.update(each.resources)
    for name, amount in {_PODS: 1, **demand.resources}.items():
        # Kubernetes' removeMissingExtendedResources: what a node never heard of is not counted.
        if amount > room.get(name, 0) - used[name] and (name in room or "/" not in name) and amount:
            figures = f"requested: {amount}, used: {used[name]}, capacity: {room.get(name, 0)}"
            words = f"Node didn't have enough resource: {name}, {figures}"
            yield Rejection(f"OutOf{name}", words)
    if not selects(pod, node):
        yield _failed("NodeAffinity", "node(s) didn't match Pod's node affinity/selector")
    if ports_clash(demand.host_ports, (port for each in taken for port in each.host_ports)):
        yield _failed("NodePorts", "node(s) didn't have free ports for the requested pod ports")


def _failed(predicate: str, why: str) -> Rejection:
    return Rejection(predicate, f"Predicate {predicate} failed: {why}")


def _counts(other: Pod, pod: Pod) -> bool:
    """Tell whether another pod has its place already: it began, or it came before."""
    if other.metadata.uid == pod.metadata.uid or other.status.phase in TERMINAL:
        return False
    return other.status.start_time is not None or _place(other) < _place(pod)


def _place(pod: Pod) -> tuple[str, str]:
    return pod.metadata.creation_timestamp or "", pod.metadata.uid
