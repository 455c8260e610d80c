"""A pod's status as seen on its host. Pure; called by `worker.py`.

Follows the kubelet's `getPhase`, `convertStatusToAPIStatus` and `GeneratePodReadyCondition`.
What the host no longer remembers is taken from the status that the object has already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.kubelet.labels import PodContainer, PodKey
from reconciler.kubelet.plan import TERMINAL, Observed
from reconciler.kubelet.qos import qos_class
from reconciler.kubelet.restart import next_backoff, not_before, should_restart
from reconciler.model.container import Container
from reconciler.model.pod import Pod
from reconciler.model.podstatus import (
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    HostIP,
    PodCondition,
    PodIP,
    PodStatus,
)
from reconciler.model.time import format_time

_SIGNALLED = 128
_FAILED_TO_START = (126, 127, 128)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container does not run yet: Kubernetes' reason and a message."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the status says beside the containers.

    `ready` and `started`: what the probes found, by container id; a container without such a
    probe is not in them. `waiting` goes by container name, `messages` (of the termination message
    file) by container id.
    """

    host_ip: str
    ready: Mapping[str, bool] = field(default_factory=dict)
    started: Mapping[str, bool] = field(default_factory=dict)
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    messages: Mapping[str, str] = field(default_factory=dict)
    image_ids: Mapping[str, str] = field(default_factory=dict)


def pod_status(pod: Pod, observed: Observed, facts: Facts, now: datetime) -> PodStatus:
    """Return the status to write; equal to the pod's own when there is nothing new."""
    statuses = tuple(
        _container_status(pod, container, observed, facts, now) for container in pod.spec.containers
    )
    phase = _phase(pod, statuses)
    address = _address(pod, observed, facts)
    return pod.status.replace(
        phase=phase,
        conditions=_conditions(pod, phase, statuses, observed, now),
        host_ip=facts.host_ip,
        host_ips=(HostIP(ip=facts.host_ip),),
        pod_ip=address,
        pod_ips=(PodIP(ip=address),) if address else (),
        start_time=pod.status.start_time or format_time(now),
        container_statuses=statuses,
        qos_class=pod.status.qos_class or qos_class(pod.spec),
    )


def is_ready(status: PodStatus) -> bool:
    """Tell whether the condition Ready is true."""
    return any(each.type == "Ready" and each.status == "True" for each in status.conditions)


def _address(pod: Pod, observed: Observed, facts: Facts) -> str:
    live = observed.live
    if pod.spec.host_network:
        return facts.host_ip
    if live is not None:
        return live.address if observed.linked else ""
    # A pod that is done keeps the address that it had; one that gets a new sandbox has none.
    return pod.status.pod_ip if pod.status.phase in TERMINAL else ""


def _container_status(
    pod: Pod, container: Container, observed: Observed, facts: Facts, now: datetime
) -> ContainerStatus:
    former = next((s for s in pod.status.container_statuses if s.name == container.name), None)
    latest = observed.latest(container.name)
    if latest is None or latest.state.phase == "created":
        return _not_started(container, former, facts)
    state, last = _states(pod, latest, observed, facts, former, now)
    running = state.running is not None
    connected = observed.live is not None and latest.sandbox == observed.live.id
    return ContainerStatus(
        name=container.name,
        state=state,
        last_state=last,
        ready=running and connected and _is_ready(container, latest, facts),
        restart_count=latest.attempt,
        image=container.image,
        image_id=_image_id(latest, facts),
        container_id=f"docker://{latest.id}",
        started=running and facts.started.get(latest.id, container.startup_probe is None),
    )


def _not_started(
    container: Container, former: ContainerStatus | None, facts: Facts
) -> ContainerStatus:
    waiting = facts.waiting.get(container.name, Waiting("ContainerCreating"))
    had = former is not None and former.container_id != ""
    return ContainerStatus(
        name=container.name,
        state=ContainerState(
            waiting=ContainerStateWaiting(reason=waiting.reason, message=waiting.message)
        ),
        last_state=_last_of(former),
        ready=False,
        restart_count=former.restart_count if former and had else 0,
        image=container.image,
        image_id=former.image_id if former and had else "",
        container_id=former.container_id if former and had else "",
        started=False,
    )


def _last_of(former: ContainerStatus | None) -> ContainerState:
    """Return the last state of a container that left no trace on the host but its status."""
    if former is None:
        return ContainerState()
    if former.state.terminated is not None:
        return former.state
    if former.state.running is None:
        return former.last_state
    return ContainerState(
        terminated=ContainerStateTerminated(
            exit_code=137,
            reason="ContainerStatusUnknown",
            message="The container could not be located when the pod was terminated",
            container_id=former.container_id,
        )
    )


def _states(
    pod: Pod,
    latest: PodContainer,
    observed: Observed,
    facts: Facts,
    former: ContainerStatus | None,
    now: datetime,
) -> tuple[ContainerState, ContainerState]:
    """Return the state and the last state of a container that was started."""
    previous = _previous(latest, observed, facts, former)
    if latest.running:
        started = _started_at(latest, former)
        return ContainerState(running=ContainerStateRunning(started_at=started)), previous
    ended = ContainerState(terminated=_terminated(latest, facts))
    waiting = facts.waiting.get(latest.name) or _crash_loop(pod, latest, now)
    if waiting is None:
        return ended, previous
    state = ContainerStateWaiting(reason=waiting.reason, message=waiting.message)
    return ContainerState(waiting=state), ended


def _previous(
    latest: PodContainer, observed: Observed, facts: Facts, former: ContainerStatus | None
) -> ContainerState:
    for container in reversed(observed.containers):
        if container.name == latest.name and container.attempt < latest.attempt:
            if container.exited:
                return ContainerState(terminated=_terminated(container, facts))
            break
    if former is None:
        return ContainerState()
    if former.container_id == f"docker://{latest.id}":
        return former.last_state
    return _last_of(former)


def _started_at(latest: PodContainer, former: ContainerStatus | None) -> str | None:
    """Keep the time once said: the engine's own differs from ours by the length of a call."""
    if former is not None and former.container_id == f"docker://{latest.id}":
        running = former.state.running
        if running is not None:
            return running.started_at
    return format_time(latest.state.started) if latest.state.started else None


def _crash_loop(pod: Pod, latest: PodContainer, now: datetime) -> Waiting | None:
    if pod.metadata.deletion_timestamp is not None or pod.status.phase in TERMINAL:
        return None
    if not should_restart(pod.spec.restart_policy, latest) or now >= not_before(latest):
        return None
    key = PodKey(pod.metadata.namespace, pod.metadata.name, pod.metadata.uid)
    wait = _duration(latest.backoff or next_backoff(latest))
    return Waiting(
        "CrashLoopBackOff",
        f"back-off {wait} restarting failed container={latest.name} pod={key}",
    )


def _duration(seconds: float) -> str:
    """Return whole seconds as Go prints a duration: 10s, 2m40s, 5m0s."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _terminated(container: PodContainer, facts: Facts) -> ContainerStateTerminated:
    state = container.state
    return ContainerStateTerminated(
        exit_code=state.exit_code,
        reason=_reason(container),
        message=facts.messages.get(state.id) or state.error,
        started_at=format_time(state.started) if state.started else None,
        finished_at=format_time(container.ended),
        container_id=f"docker://{state.id}",
    )


def _reason(container: PodContainer) -> str:
    state = container.state
    if state.oom_killed:
        return "OOMKilled"
    if state.exit_code == 0:
        return "Completed"
    if state.started is None and state.exit_code in _FAILED_TO_START:
        return "ContainerCannotRun"
    return "Error"


def _image_id(container: PodContainer, facts: Facts) -> str:
    image = container.state.image_id
    return facts.image_ids.get(image, f"docker://{image}" if image else "")


def _is_ready(container: Container, latest: PodContainer, facts: Facts) -> bool:
    if not facts.started.get(latest.id, container.startup_probe is None):
        return False
    return facts.ready.get(latest.id, container.readiness_probe is None)


def _phase(pod: Pod, statuses: tuple[ContainerStatus, ...]) -> str:
    """Kubernetes' getPhase, for containers proper."""
    if pod.status.phase in TERMINAL:
        return pod.status.phase
    running = stopped = succeeded = 0
    for status in statuses:
        ended = status.state.terminated
        if status.state.waiting is not None:
            if status.last_state.terminated is None:
                return "Pending"
            stopped += 1
        elif ended is not None:
            stopped += 1
            succeeded += ended.exit_code == 0
        else:
            running += 1
    if running or not stopped or pod.spec.restart_policy == "Always":
        return "Running"
    if stopped == succeeded:
        return "Succeeded"
    return "Failed" if pod.spec.restart_policy == "Never" else "Running"


def _conditions(
    pod: Pod,
    phase: str,
    statuses: tuple[ContainerStatus, ...],
    observed: Observed,
    now: datetime,
) -> tuple[PodCondition, ...]:
    unready = [status.name for status in statuses if not status.ready]
    network = pod.spec.host_network or observed.linked
    sandbox = "True" if observed.live is not None and network else "False"
    containers = _readiness(phase, unready)
    computed = (
        ("PodReadyToStartContainers", (sandbox, "", "")),
        ("Initialized", ("True", "PodCompleted" if phase == "Succeeded" else "", "")),
        ("Ready", _gated(pod, containers)),
        ("ContainersReady", containers),
        ("PodScheduled", ("True", "", "")),
    )
    ours = tuple(_condition(pod, name, *value, now) for name, value in computed)
    names = {condition.type for condition in ours}
    return (*ours, *(other for other in pod.status.conditions if other.type not in names))


def _readiness(phase: str, unready: list[str]) -> tuple[str, str, str]:
    if phase == "Succeeded":
        return "False", "PodCompleted", ""
    if phase == "Failed":
        return "False", "PodFailed", ""
    if unready:
        names = " ".join(unready)
        return "False", "ContainersNotReady", f"containers with unready status: [{names}]"
    return "True", "", ""


def _gated(pod: Pod, containers: tuple[str, str, str]) -> tuple[str, str, str]:
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
