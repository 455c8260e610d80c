"""A pod's conditions from its containers' statuses. Pure; called by `status.py`.

Kubernetes' GeneratePodInitializedCondition, GenerateContainersReadyCondition and
GeneratePodReadyCondition.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from reconciler.kubelet import roster
from reconciler.kubelet.observed import Observed
from reconciler.kubelet.roster import Member
from reconciler.model.pod import Pod
from reconciler.model.podstatus import (
    LIVENESS_UNPROVEN,
    START_FAILING,
    ContainerStatus,
    PodCondition,
)
from reconciler.model.time import format_time

Finding = tuple[str, str, str]
"""A condition's status, reason and message."""
_TRUE: Finding = ("True", "", "")


def conditions(
    pod: Pod,
    phase: str,
    initial: tuple[ContainerStatus, ...],
    main: tuple[ContainerStatus, ...],
    observed: Observed,
    now: datetime,
    *,
    stuck: str = "",
    unproven: str = "",
) -> tuple[PodCondition, ...]:
    """Return the kubelet's conditions, then those that others set.

    `stuck` says which container cannot be started, and is empty as long as it may only be late;
    `unproven` which ones no liveness probe has found alive yet, and is empty when none is left.
    """
    sidecars = [s for m, s in zip(roster.initial(pod), initial, strict=True) if m.is_sidecar]
    containers = _readiness(phase, [s.name for s in (*sidecars, *main) if not s.ready])
    network = pod.spec.host_network or observed.linked
    sandbox = observed.live is not None and network
    computed = [
        ("PodReadyToStartContainers", _TRUE if sandbox else ("False", "", "")),
        ("Initialized", _initialized(pod, phase, initial, begun=any(s.container_id for s in main))),
        ("Ready", _gated(pod, containers)),
        ("ContainersReady", containers),
        ("PodScheduled", _TRUE),
    ]
    if stuck:
        computed.append((START_FAILING, ("True", "StartFailing", stuck)))
    if unproven:
        computed.append((LIVENESS_UNPROVEN, ("True", "NotProbedYet", unproven)))
    ours = tuple(_condition(pod, name, *value, now) for name, value in computed)
    names = {START_FAILING, LIVENESS_UNPROVEN, *(condition.type for condition in ours)}
    return (*ours, *(other for other in pod.status.conditions if other.type not in names))


def _initialized(
    pod: Pod, phase: str, statuses: Iterable[ContainerStatus], *, begun: bool
) -> Finding:
    if phase == "Succeeded":
        return "True", "PodCompleted", ""
    pairs = zip(roster.initial(pod), statuses, strict=True)
    names = [member.name for member, status in pairs if not _is_done(member, status, begun=begun)]
    if not names:
        return _TRUE
    words = f"containers with incomplete status: [{' '.join(names)}]"
    return "False", "ContainersNotInitialized", words


def _is_done(member: Member, status: ContainerStatus, *, begun: bool) -> bool:
    """A sidecar that restarts later does not undo the initialization."""
    if member.is_sidecar:
        return bool(status.started) or begun
    return status.ready


def _readiness(phase: str, unready: list[str]) -> Finding:
    if phase == "Succeeded":
        return "False", "PodCompleted", ""
    if phase == "Failed":
        return "False", "PodFailed", ""
    if unready:
        names = " ".join(unready)
        return "False", "ContainersNotReady", f"containers with unready status: [{names}]"
    return _TRUE


def _gated(pod: Pod, containers: Finding) -> Finding:
    """Ready: the containers are, and every readiness gate says so too."""
    if containers[0] != "True":
        return containers
    given = {condition.type: condition.status for condition in pod.status.conditions}
    closed = [g.condition_type for g in pod.spec.readiness_gates]
    closed = [name for name in closed if given.get(name) != "True"]
    if not closed:
        return containers
    messages = ", ".join(
        f'corresponding condition of pod readiness gate "{name}" does not exist.'
        if name not in given
        else f'the status of pod readiness gate "{name}" is not "True", but {given[name]}'
        for name in closed
    )
    return "False", "ReadinessGatesNotReady", messages


def _condition(
    pod: Pod, kind: str, status: str, reason: str, message: str, now: datetime
) -> PodCondition:
    former = next((c for c in pod.status.conditions if c.type == kind), None)
    if former is None or former.status != status or not former.last_transition_time:
        since = format_time(now)
    elif (former.reason, former.message) == (reason, message):
        return former
    else:
        since = former.last_transition_time
    return PodCondition(
        type=kind, status=status, last_transition_time=since, reason=reason, message=message
    )
