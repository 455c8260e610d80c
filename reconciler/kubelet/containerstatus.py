"""The status of one container as seen on its host. Pure; called by `status.py`.

Follows the kubelet's `convertStatusToAPIStatus`. What the host no longer remembers is taken from
the status that the pod's object has already.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from reconciler.kubelet.labels import PodContainer, PodKey
from reconciler.kubelet.leaving import is_outdated
from reconciler.kubelet.observed import Observed
from reconciler.kubelet.restart import next_backoff, not_before, should_restart
from reconciler.kubelet.roster import Member, Role
from reconciler.kubelet.unlocated import KILLED, REASON
from reconciler.model.container import VolumeMount
from reconciler.model.pod import Pod
from reconciler.model.podstatus import (
    TERMINAL,
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    ContainerUser,
    VolumeMountStatus,
)
from reconciler.model.retirement import is_stopped
from reconciler.model.time import format_time

_FAILED_TO_START = (126, 127, 128)
_VANISHED = (
    "The container could not be located when the pod was deleted.  The container used to be Running"
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container does not run yet: Kubernetes' reason (none: the usual one), a message."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the status says beside the containers.

    `ready`: what the readiness probes found, by container id; a container without one is not in
    it. `waiting` goes by container name, `messages` (last words) and `users` by container id,
    `image_ids` by the engine's id of an image. `failures` counts starts that failed in a row, by
    container name. `unproven` are the ids of those whose liveness probe has not succeeded yet.
    """

    host_ip: str
    ready: Mapping[str, bool] = field(default_factory=dict)
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    messages: Mapping[str, str] = field(default_factory=dict)
    image_ids: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, ContainerUser] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)
    unproven: Collection[str] = ()


def container_status(
    pod: Pod, member: Member, observed: Observed, facts: Facts, now: datetime
) -> ContainerStatus:
    """Return the status of a container of the pod."""
    former = _former(pod, member)
    latest = observed.latest(member.name)
    if latest is None or latest.state.phase == "created":
        return _not_started(pod, member, former, facts)
    state, last = _states(pod, member, latest, observed, facts, former, now)
    started = observed.is_started(member, latest)
    return ContainerStatus(
        name=member.name,
        state=state,
        last_state=last,
        ready=not _withdrawn(pod, member, latest, observed)
        and _is_ready(member, latest, observed, facts, started=started),
        restart_count=latest.attempt,
        image=latest.state.image or member.container.image,
        image_id=_image_id(latest, facts, former),
        container_id=f"docker://{latest.id}",
        started=started,
        user=_user(latest, facts, former),
        **_given(member, latest),
    )


def _former(pod: Pod, member: Member) -> ContainerStatus | None:
    statuses = {
        Role.INIT: pod.status.init_container_statuses,
        Role.MAIN: pod.status.container_statuses,
        Role.EPHEMERAL: pod.status.ephemeral_container_statuses,
    }
    return next((s for s in statuses[member.role] if s.name == member.name), None)


def _not_started(
    pod: Pod, member: Member, former: ContainerStatus | None, facts: Facts
) -> ContainerStatus:
    if former is not None and former.state.terminated and (_runs_once(member) or _is_over(pod)):
        return former  # what ended for good is not waiting, though its container was removed
    usual = "PodInitializing" if pod.spec.init_containers else "ContainerCreating"
    waiting = facts.waiting.get(member.name, Waiting(""))
    had = former is not None and former.container_id != ""
    return ContainerStatus(
        name=member.name,
        state=ContainerState(
            waiting=ContainerStateWaiting(reason=waiting.reason or usual, message=waiting.message)
        ),
        last_state=_last_of(former),
        ready=False,
        restart_count=former.restart_count if former and had else 0,
        image=member.container.image,
        image_id=former.image_id if former and had else "",
        container_id=former.container_id if former and had else "",
        started=False,
        volume_mounts=_mounts(member, frozenset()),
    )


def _given(member: Member, latest: PodContainer) -> dict[str, Any]:
    """Return what a container was made with: its mounts, and its resources, which never change."""
    resources = member.container.resources
    found: dict[str, Any] = {"volume_mounts": _mounts(member, latest.not_recursive)}
    if latest.running:
        found["resources"] = resources
        found["allocated_resources"] = resources.requests
    return found


def _mounts(member: Member, not_recursive: frozenset[str]) -> tuple[VolumeMountStatus, ...]:
    """Return the mounts, with what became of the wish to have them read-only to the last one."""
    return tuple(
        VolumeMountStatus(
            name=mount.name,
            mount_path=mount.mount_path,
            read_only=mount.read_only,
            recursive_read_only=_recursive(mount, not_recursive) if mount.read_only else None,
        )
        for mount in member.container.volume_mounts
    )


def _recursive(mount: VolumeMount, not_recursive: frozenset[str]) -> str:
    wished = mount.recursive_read_only in ("Enabled", "IfPossible")
    return "Enabled" if wished and mount.mount_path not in not_recursive else "Disabled"


def _is_over(pod: Pod) -> bool:
    return pod.status.phase in TERMINAL or pod.metadata.deletion_timestamp is not None


def _runs_once(member: Member) -> bool:
    return member.runs_to_its_end or member.role is Role.EPHEMERAL


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
            exit_code=KILLED,
            reason=REASON,
            message=_VANISHED,
            container_id=former.container_id,
        )
    )


def _states(
    pod: Pod,
    member: Member,
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
    waiting = _crash_loop(pod, member, latest, now) or facts.waiting.get(latest.name)
    if waiting is None or not waiting.reason or not should_restart(pod, member, latest):
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


def _crash_loop(pod: Pod, member: Member, latest: PodContainer, now: datetime) -> Waiting | None:
    if pod.metadata.deletion_timestamp is not None or pod.status.phase in TERMINAL:
        return None
    if not should_restart(pod, member, latest) or now >= not_before(latest):
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


def _image_id(container: PodContainer, facts: Facts, former: ContainerStatus | None) -> str:
    """Return the image's digest in its registry; its local id when it came from none."""
    image = container.state.image_id
    if image in facts.image_ids:
        return facts.image_ids[image]
    if former is not None and former.container_id == f"docker://{container.id}":
        return former.image_id
    return f"docker://{image}" if image else ""


def _withdrawn(pod: Pod, member: Member, latest: PodContainer, observed: Observed) -> bool:
    """Tell whether a container that runs is to be stopped on purpose, and comes back.

    One whose stop has begun ends, though the reason may be gone by now. In a pod that is deleted it
    stays as ready as it is: so services tell who still serves while it ends.
    """
    if member.runs_to_its_end or not latest.running:
        return False
    ends = latest.id in observed.stopping and pod.metadata.deletion_timestamp is None
    return ends or is_stopped(pod) or is_outdated(member, latest)


def _user(
    container: PodContainer, facts: Facts, former: ContainerStatus | None
) -> ContainerUser | None:
    """Return as whom the container began, also when a former kubelet started it."""
    if container.id in facts.users or former is None:
        return facts.users.get(container.id)
    return former.user if former.container_id == f"docker://{container.id}" else None


def _is_ready(
    member: Member, latest: PodContainer, observed: Observed, facts: Facts, *, started: bool
) -> bool:
    if member.runs_to_its_end:
        return latest.exited and latest.state.exit_code == 0
    connected = observed.live is not None and latest.sandbox == observed.live.id
    if not started or not connected:
        return False
    return facts.ready.get(latest.id, member.container.readiness_probe is None)
