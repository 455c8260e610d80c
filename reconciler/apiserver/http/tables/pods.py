"""The row of a pod: what its STATUS, READY and RESTARTS columns say. Pure.

Called by `columns.py`. The rules are those of `kubectl get pods`: the most telling container wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from reconciler.apiserver.http.tables.text import NONE, age
from reconciler.model.pod import Pod
from reconciler.model.podstatus import ContainerStateTerminated, ContainerStatus
from reconciler.model.time import parse_time

_COMPLETED = {"Succeeded": "The pod has completed successfully.", "Failed": "The pod failed."}


def row(pod: Pod, now: datetime) -> dict[str, Any]:
    """Return the row of a pod."""
    told = _tell(pod)
    restarts = str(told.restarts)
    if told.restarts and told.restarted_at:
        restarts = f"{told.restarts} ({age(told.restarted_at, now)} ago)"
    total = len(pod.spec.containers) + len(_sidecar_names(pod))
    cells = [
        pod.metadata.name,
        f"{told.ready}/{total}",
        told.reason,
        restarts,
        age(pod.metadata.creation_timestamp, now),
        pod.status.pod_ip or NONE,
        pod.spec.node_name or NONE,
        pod.status.nominated_node_name or NONE,
        _gates(pod),
    ]
    message = _COMPLETED.get(pod.status.phase)
    if message is None:
        return {"cells": cells}
    condition = {
        "type": "Completed",
        "status": "True",
        "reason": pod.status.phase,
        "message": message,
    }
    return {"cells": cells, "conditions": [condition]}


class _Told(NamedTuple):
    """What the containers say together."""

    reason: str
    ready: int
    restarts: int
    restarted_at: str | None


def _tell(pod: Pod) -> _Told:
    reason = pod.status.reason or pod.status.phase
    if any(each.reason == "SchedulingGated" for each in _conditions(pod, "PodScheduled")):
        reason = "SchedulingGated"
    told = _containers(pod, reason)
    if pod.metadata.deletion_timestamp is None:
        return told
    final = "Unknown" if pod.status.reason == "NodeLost" else "Terminating"
    if pod.status.phase in _COMPLETED:
        final = told.reason
    return _Told(final, told.ready, told.restarts, told.restarted_at)


def _conditions(pod: Pod, kind: str) -> list[Any]:
    return [each for each in pod.status.conditions if each.type == kind]


def _sidecar_names(pod: Pod) -> set[str]:
    return {each.name for each in pod.spec.init_containers if each.restart_policy == "Always"}


def _containers(pod: Pod, reason: str) -> _Told:
    """Return what the containers say: init containers until the pod is initialized, then all.

    Init containers count as far as the first that is not done, which gives the reason.
    """
    statuses, place = pod.status.init_container_statuses, _undone(pod)
    if place is None:
        return _running(pod, reason, statuses)
    begun = statuses[: place + 1]
    reason = _init_reason(begun[-1], place, len(pod.spec.init_containers))
    if any(each.status == "True" for each in _conditions(pod, "Initialized")):
        return _running(pod, reason, begun)  # a sidecar starts again
    ready = sum(each.ready for each in _sidecars(pod, begun))
    return _Told(reason, ready, sum(each.restart_count for each in begun), _latest(begun))


def _undone(pod: Pod) -> int | None:
    """Return the place of the first init container that is not done, None when all are."""
    sidecars = _sidecar_names(pod)
    for place, status in enumerate(pod.status.init_container_statuses):
        ended = status.state.terminated
        if ended is not None and ended.exit_code == 0:
            continue
        if status.name not in sidecars or not status.started:
            return place
    return None


def _sidecars(pod: Pod, statuses: Sequence[ContainerStatus]) -> list[ContainerStatus]:
    names = _sidecar_names(pod)
    return [each for each in statuses if each.name in names]


def _init_reason(status: ContainerStatus, index: int, total: int) -> str:
    if status.state.terminated is not None:
        return f"Init:{_terminated(status.state.terminated)}"
    waiting = status.state.waiting
    if waiting is not None and waiting.reason not in ("", "PodInitializing"):
        return f"Init:{waiting.reason}"
    return f"Init:{index}/{total}"


def _terminated(state: ContainerStateTerminated) -> str:
    if state.reason:
        return state.reason
    return f"Signal:{state.signal}" if state.signal else f"ExitCode:{state.exit_code}"


def _running(pod: Pod, reason: str, begun: Sequence[ContainerStatus]) -> _Told:
    statuses, sidecars = pod.status.container_statuses, _sidecars(pod, begun)
    ready, running = sum(each.ready for each in sidecars), False
    for status in reversed(statuses):
        state = status.state
        if state.waiting is not None and state.waiting.reason:
            reason = state.waiting.reason
        elif state.terminated is not None:
            reason = _terminated(state.terminated)
        elif status.ready and state.running is not None:
            running = True
            ready += 1
    if reason == "Completed" and running:
        is_ready = any(each.status == "True" for each in _conditions(pod, "Ready"))
        reason = "Running" if is_ready else "NotReady"
    counted = (*sidecars, *statuses)
    restarts = sum(each.restart_count for each in counted)
    return _Told(reason, ready, restarts, _latest(counted) if restarts else None)


def _latest(statuses: Sequence[ContainerStatus]) -> str | None:
    """Return when a container ended last before it was started again."""
    ends = [
        each.last_state.terminated.finished_at
        for each in statuses
        if each.last_state.terminated is not None and each.last_state.terminated.finished_at
    ]
    return max(ends, key=parse_time, default=None)


def _gates(pod: Pod) -> str:
    gates = pod.spec.readiness_gates
    if not gates:
        return NONE
    true = {each.type for each in pod.status.conditions if each.status == "True"}
    return f"{sum(gate.condition_type in true for gate in gates)}/{len(gates)}"
