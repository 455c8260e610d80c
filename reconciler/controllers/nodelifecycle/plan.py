"""What a node's silence and conditions mean for the node and its pods. Pure.

Called by `loop.py`. Follows Kubernetes' node life cycle and taint eviction controllers: a silent
node's conditions become Unknown; a node that is not ready, unreachable, cordoned or under
pressure carries the taint for it. NoExecute taints, which evict, are set only while another node
is ready: with nowhere to go (Kubernetes' full disruption mode) pods stay where they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from reconciler.controllers.podstate import moment
from reconciler.model.lease import Lease
from reconciler.model.node import (
    NOT_READY,
    UNREACHABLE,
    UNSCHEDULABLE,
    Node,
    NodeCondition,
    NodeSpec,
    NodeStatus,
    Taint,
)
from reconciler.model.pod import Pod
from reconciler.model.scheduling import Toleration
from reconciler.model.time import format_time, span

_WATCHED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_PRESSURE = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
_OURS = frozenset({NOT_READY, UNREACHABLE, UNSCHEDULABLE, *_PRESSURE.values()})


def ready_status(node: Node) -> str:
    """Return the status of the node's Ready condition, "Unknown" when it has none."""
    return next((c.status for c in node.status.conditions if c.type == "Ready"), "Unknown")


def heartbeat(node: Node, lease: Lease | None) -> tuple[str | None, str | None]:
    """Return when the node last told that it lives, in its Ready condition and by its Lease.

    Both as written: either one that changes is a sign of life (tryUpdateNodeHealth).
    """
    ready = (c.last_heartbeat_time for c in node.status.conditions if c.type == "Ready")
    return next(ready, None), lease.spec.renew_time if lease is not None else None


def silent_status(node: Node, now: datetime) -> NodeStatus:
    """Return the status of a node that gave no heartbeat: its conditions Unknown."""
    known = {item.type: item for item in node.status.conditions}
    others = [item for item in node.status.conditions if item.type not in _WATCHED]
    watched = [_unknown(known.get(kind), kind, node, now) for kind in _WATCHED]
    return node.status.replace(conditions=(*others, *watched))


def _unknown(before: NodeCondition | None, kind: str, node: Node, now: datetime) -> NodeCondition:
    if before is not None and before.status == "Unknown":
        return before
    never = before is None
    return NodeCondition(
        type=kind,
        status="Unknown",
        last_heartbeat_time=(
            node.metadata.creation_timestamp if before is None else before.last_heartbeat_time
        ),
        last_transition_time=format_time(now),
        reason="NodeStatusNeverUpdated" if never else "NodeStatusUnknown",
        message=(
            "Kubelet never posted node status." if never else "Kubelet stopped posting node status."
        ),
    )


def tainted_spec(node: Node, now: datetime, *, evicting: bool) -> NodeSpec:
    """Return the spec with the taints that the conditions call for; others' taints stay.

    `evicting` says that another node is ready, so that NoExecute taints may be set.
    """
    wanted = list(_wanted(node, evicting=evicting))
    kept = [taint for taint in node.spec.taints if taint.key not in _OURS]
    known = {(taint.key, taint.effect): taint for taint in node.spec.taints}
    ours = [
        known.get((key, effect), Taint(key=key, effect=effect, time_added=format_time(now)))
        for key, effect in wanted
    ]
    taints = (*kept, *ours)
    same = set(known) == {(taint.key, taint.effect) for taint in taints}
    return node.spec if same else node.spec.replace(taints=taints)


def _wanted(node: Node, *, evicting: bool) -> Iterable[tuple[str, str]]:
    # A node that has just registered says nothing yet, and has until it counts as silent to do so.
    told = any(item.type == "Ready" for item in node.status.conditions)
    key = {"False": NOT_READY, "Unknown": UNREACHABLE}.get(ready_status(node)) if told else None
    if key is not None:
        yield key, "NoSchedule"
        if evicting:
            yield key, "NoExecute"
    for item in node.status.conditions:
        if item.status == "True" and item.type in _PRESSURE:
            yield _PRESSURE[item.type], "NoSchedule"
    if node.spec.unschedulable:
        yield UNSCHEDULABLE, "NoSchedule"


def evict_in(pod: Pod, taints: Iterable[Taint], now: datetime) -> float | None:
    """Return the seconds until NoExecute taints evict a pod, 0 when at once, None when never.

    A pod stays while it tolerates every such taint, and only for the shortest time that its
    tolerations name (getMinTolerationTime), counted from when the taint was added.
    """
    waits: list[float] = []
    for taint in taints:
        if taint.effect != "NoExecute":
            continue
        tolerations = [item for item in pod.spec.tolerations if tolerates(item, taint)]
        if not tolerations:
            return 0.0
        limits = [i.toleration_seconds for i in tolerations if i.toleration_seconds is not None]
        if limits:
            since = moment(taint.time_added) if taint.time_added is not None else now
            end = since + span(max(min(limits), 0))
            waits.append(max((end - now).total_seconds(), 0.0))
    return min(waits, default=None)


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Say whether the toleration covers the taint (ToleratesTaint)."""
    return (
        toleration.effect in ("", taint.effect)
        and toleration.key in ("", taint.key)
        and (toleration.operator == "Exists" or toleration.value == taint.value)
    )


def unready(pod: Pod, now: datetime) -> Pod | None:
    """Return the pod with Ready False, as MarkPodsNotReady writes it; None when it is not ready."""
    conditions = tuple(
        item.replace(status="False", last_transition_time=format_time(now), reason="NodeNotReady")
        if item.type == "Ready" and item.status == "True"
        else item
        for item in pod.status.conditions
    )
    if conditions == pod.status.conditions:
        return None
    return pod.replace(status=pod.status.replace(conditions=conditions))
