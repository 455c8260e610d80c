"""What a pod needs next on its host. Pure: pod and observation in, actions and a wake-up out.

Called by `worker.py` for one pod at a time. Equal input gives an equal plan; a pod that is as it
should be gives an empty one. Decisions follow Kubernetes' kuberuntime `computePodActions`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeGuard

from reconciler.kubelet.actions import (
    Action,
    AttachSandbox,
    CreateSandbox,
    DeleteObject,
    KillContainer,
    Plan,
    RemoveContainer,
    RemoveFiles,
    RemoveSandbox,
    StartContainer,
    StopContainer,
    UpdateVolumes,
)
from reconciler.kubelet.labels import SANDBOX, VOLUMES, PodContainer
from reconciler.kubelet.restart import next_backoff, not_before, should_restart
from reconciler.model.container import Container
from reconciler.model.pod import Pod
from reconciler.model.time import parse_time

# Without its sandbox a container reaches nobody: it gets a moment to end, not its whole grace.
SANDBOX_LOST_GRACE = timedelta(seconds=0.1)
# Kubernetes' grace for a pod whose object is gone.
ORPHAN_GRACE = timedelta(seconds=1)
DEFAULT_GRACE = 30
# After a restart of the daemon, what is left of a grace, but at least this.
LEAST_GRACE = timedelta(seconds=2)

TERMINAL = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Stopping:
    """A container that was sent its stop signal at `since`, and dies at `deadline`.

    Once `killed`, `deadline` is when to kill again, should it live on.
    """

    since: datetime
    deadline: datetime
    killed: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """The pod as it is on this host.

    `sandboxes` and `containers` are in order of attempts. `linked`: the live sandbox has its
    network. `stopping` and `unhealthy` (with the words why) go by container id; `held` by
    container name ("POD" for the sandbox): a failed start is not tried before that time.
    `let_go` is the end of the wait for the proxies to let go of a pod that ends; None: they have.
    `files`: folders of the pod are there. `outdated`: its volumes may not hold what they should.
    """

    sandboxes: tuple[PodContainer, ...] = ()
    containers: tuple[PodContainer, ...] = ()
    linked: bool = True
    stopping: Mapping[str, Stopping] = field(default_factory=dict)
    unhealthy: Mapping[str, str] = field(default_factory=dict)
    held: Mapping[str, datetime] = field(default_factory=dict)
    let_go: datetime | None = None
    files: bool = True
    outdated: bool = False

    @property
    def live(self) -> PodContainer | None:
        """The newest running sandbox."""
        return next((box for box in reversed(self.sandboxes) if box.running), None)

    def latest(self, name: str) -> PodContainer | None:
        """Return the newest container of that name."""
        return next((c for c in reversed(self.containers) if c.name == name), None)


def spec_hash(container: Container) -> str:
    """Return the hash of the fields that may change in a pod: Kubernetes' HashContainer."""
    text = json.dumps([container.name, container.image])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def plan(pod: Pod | None, observed: Observed, now: datetime) -> Plan:
    """Return what to do for the pod; None is a pod whose object is gone."""
    if pod is None or pod.metadata.deletion_timestamp is not None:
        return _collect(_end(pod, observed, now))
    if pod.status.phase in TERMINAL:
        return _collect(_keep_results(pod, observed, now))
    return _collect(_keep_running(pod, observed, now))


Step = Action | datetime


def _collect(steps: Iterable[Step]) -> Plan:
    actions: list[Action] = []
    moments: list[datetime] = []
    for step in steps:
        if isinstance(step, datetime):
            moments.append(step)
        else:
            actions.append(step)
    return Plan(tuple(sorted(actions, key=repr)), min(moments, default=None))


def _end(pod: Pod | None, observed: Observed, now: datetime) -> Iterator[Step]:
    """End everything of the pod, containers first, then what is left of it, then its object."""
    running = [c for c in observed.containers if c.running]
    if running:
        yield from _stop_all(pod, running, observed, now)
        return
    yield from (RemoveContainer(c.id) for c in observed.containers)
    yield from (RemoveSandbox(box.id, box.address) for box in observed.sandboxes)
    if not observed.containers and not observed.sandboxes:
        if observed.files:
            yield RemoveFiles()
        elif pod is not None:
            yield DeleteObject()


def _stop_all(
    pod: Pod | None, running: list[PodContainer], observed: Observed, now: datetime
) -> Iterator[Step]:
    if pod is not None and observed.let_go is not None and now < observed.let_go:
        yield observed.let_go
        return
    grace = _grace(pod)
    # A daemon that starts anew must not grant the whole grace again.
    latest = max(_deletion(pod), now) + LEAST_GRACE if _is_deleted(pod) else None
    for container in running:
        message = f"Stopping container {container.name}"
        yield from _stop(container, grace, observed, now, message, latest=latest)


def _grace(pod: Pod | None) -> timedelta:
    if pod is None:
        return ORPHAN_GRACE
    seconds = pod.metadata.deletion_grace_period_seconds
    if seconds is None:
        seconds = pod.spec.termination_grace_period_seconds
    return timedelta(seconds=DEFAULT_GRACE if seconds is None else seconds)


def _is_deleted(pod: Pod | None) -> TypeGuard[Pod]:
    return pod is not None and pod.metadata.deletion_timestamp is not None


def _deletion(pod: Pod) -> datetime:
    return parse_time(pod.metadata.deletion_timestamp or "")


def _stop(
    container: PodContainer,
    grace: timedelta,
    observed: Observed,
    now: datetime,
    message: str,
    *,
    latest: datetime | None = None,
) -> Iterator[Step]:
    """Signal once, wait, kill at the deadline; a later call may shorten it, never prolong it."""
    stopping = observed.stopping.get(container.id)
    if stopping is None:
        deadline = now + grace if latest is None else min(now + grace, latest)
        yield StopContainer(container.id, container.name, deadline, message)
        return
    due = stopping.deadline if stopping.killed else min(stopping.deadline, stopping.since + grace)
    yield due if now < due else KillContainer(container.id, container.name)


def _keep_results(pod: Pod, observed: Observed, now: datetime) -> Iterator[Step]:
    """A pod that succeeded or failed keeps its dead containers, and no sandbox."""
    running = [c for c in observed.containers if c.running]
    yield from _stop_all(pod, running, observed, now)
    if not running:
        yield from (RemoveSandbox(box.id, box.address) for box in observed.sandboxes)


def _keep_running(pod: Pod, observed: Observed, now: datetime) -> Iterator[Step]:
    live = observed.live
    yield from (RemoveSandbox(box.id, box.address) for box in observed.sandboxes if box is not live)
    yield from _remove_old(observed)
    yield from _stop_strays(pod, observed, live, now)
    if live is None:
        yield from _renew_sandbox(pod, observed, now)
        return
    if live.address and not observed.linked:
        held = observed.held.get(SANDBOX)
        yield held if held is not None and now < held else AttachSandbox(live.id)
        return
    if observed.outdated:
        held = observed.held.get(VOLUMES)
        yield held if held is not None and now < held else UpdateVolumes()
    for container in pod.spec.containers:
        yield from _keep_container(pod, container, live, observed, now)


def _remove_old(observed: Observed) -> Iterator[Step]:
    """Keep one dead container of each name, its last state; a leftover never started goes."""
    for container in observed.containers:
        newer = [c for c in observed.containers if c.name == container.name and c is not container]
        dead_after = any(c.exited and c.attempt > container.attempt for c in newer)
        if container.state.phase == "created" or (container.exited and dead_after):
            yield RemoveContainer(container.id)


def _stop_strays(
    pod: Pod, observed: Observed, live: PodContainer | None, now: datetime
) -> Iterator[Step]:
    """Containers outside the live sandbox have lost their network."""
    names = {container.name for container in pod.spec.containers}
    for container in observed.containers:
        lost = live is None or container.sandbox != live.id or container.name not in names
        if container.running and lost:
            message = f"Stopping container {container.name}: its sandbox is gone"
            yield from _stop(container, SANDBOX_LOST_GRACE, observed, now, message)


def _renew_sandbox(pod: Pod, observed: Observed, now: datetime) -> Iterator[Step]:
    """Make a sandbox if there is a container to run in it."""
    if not any(_wanted(pod, c, observed) for c in pod.spec.containers):
        return
    held = observed.held.get(SANDBOX)
    if held is not None and now < held:
        yield held
        return
    yield CreateSandbox(max((box.attempt + 1 for box in observed.sandboxes), default=0))


def _wanted(pod: Pod, container: Container, observed: Observed) -> bool:
    latest = observed.latest(container.name)
    if latest is None or not latest.exited:
        return True
    return should_restart(pod.spec.restart_policy, latest)


def _keep_container(
    pod: Pod, container: Container, live: PodContainer, observed: Observed, now: datetime
) -> Iterator[Step]:
    latest = observed.latest(container.name)
    if latest is not None and latest.running:
        if latest.sandbox == live.id:
            yield from _check(pod, container, latest, observed, now)
        return
    if latest is not None and latest.state.phase == "created":
        return  # it is being removed; the next plan makes another
    held = observed.held.get(container.name)
    if held is not None and now < held:
        yield held
    elif latest is None:
        yield StartContainer(container.name, _first_attempt(pod, container.name), 0, live.id)
    elif latest.spec_hash != spec_hash(container):
        yield StartContainer(container.name, latest.attempt + 1, 0, live.id)
    elif latest.sandbox != live.id and _wanted(pod, container, observed):
        # It ended with its sandbox, not by a fault of its own: no back-off.
        yield StartContainer(container.name, latest.attempt + 1, latest.backoff, live.id)
    elif should_restart(pod.spec.restart_policy, latest):
        due = not_before(latest)
        yield (
            due
            if now < due
            else StartContainer(container.name, latest.attempt + 1, next_backoff(latest), live.id)
        )


def _first_attempt(pod: Pod, name: str) -> int:
    """Go on counting where a container vanished without a trace but for the pod's status."""
    for status in pod.status.container_statuses:
        if status.name == name and status.container_id:
            return status.restart_count + 1
    return 0


def _check(
    pod: Pod, container: Container, running: PodContainer, observed: Observed, now: datetime
) -> Iterator[Step]:
    """Stop a container whose spec changed or whose liveness probe failed; it starts anew dead."""
    if running.spec_hash != spec_hash(container):
        reason = f"Container {container.name} definition changed, will be restarted"
    elif running.id in observed.unhealthy:
        reason = observed.unhealthy[running.id]
    elif running.id in observed.stopping:
        reason = "stopping"
    else:
        return
    seconds = pod.spec.termination_grace_period_seconds
    grace = timedelta(seconds=DEFAULT_GRACE if seconds is None else seconds)
    yield from _stop(running, grace, observed, now, reason)
