"""What a pod needs next on its host. Pure: pod and observation in, actions and a wake-up out.

Called by `worker.py` for one pod at a time. Equal input gives an equal plan; a pod that is as it
should be gives an empty one. Decisions follow Kubernetes' kuberuntime `computePodActions`: which
containers are due is in `initialization.py`, how they end in `ending.py`, what one container
needs in `upkeep.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from reconciler.kubelet import roster
from reconciler.kubelet.actions import (
    Action,
    AttachSandbox,
    CreateSandbox,
    DeleteObject,
    Plan,
    RemoveContainer,
    RemoveFiles,
    RemoveSandbox,
    RemoveVolumes,
    UpdateVolumes,
)
from reconciler.kubelet.ending import Step, Stop, overdue_at, stop, stop_all
from reconciler.kubelet.initialization import due, is_finished
from reconciler.kubelet.labels import SANDBOX, VOLUMES, PodContainer
from reconciler.kubelet.observed import Observed
from reconciler.kubelet.restart import should_restart
from reconciler.kubelet.roster import Member
from reconciler.kubelet.upkeep import keep, keep_ephemeral
from reconciler.model.pod import Pod
from reconciler.model.podstatus import TERMINAL
from reconciler.model.retirement import is_stopped

# Without its sandbox a container reaches nobody: it gets a moment to end, not its whole grace.
SANDBOX_LOST_GRACE = timedelta(seconds=0.1)


def plan(pod: Pod | None, observed: Observed, now: datetime) -> Plan:
    """Return what to do for the pod; None is a pod whose object is gone."""
    if pod is None or pod.metadata.deletion_timestamp is not None:
        return _collect(_end(pod, observed, now))
    if pod.status.phase in TERMINAL or observed.rejection is not None:
        return _collect(_keep_results(pod, observed, now))
    return _collect(_keep_running(pod, observed, now))


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
    if observed.running:
        yield from stop_all(pod, observed, now)
        return
    yield from (RemoveContainer(c.id) for c in observed.containers)
    yield from (RemoveSandbox(box.id, box.address) for box in observed.sandboxes)
    if not observed.containers and not observed.sandboxes:
        if observed.files:
            yield RemoveFiles()
        elif pod is not None:
            yield DeleteObject()


def _keep_results(pod: Pod, observed: Observed, now: datetime) -> Iterator[Step]:
    """A pod that succeeded or failed keeps its dead containers, no sandbox and no volume."""
    yield from stop_all(pod, observed, now)
    if not observed.running:
        yield from (RemoveSandbox(box.id, box.address) for box in observed.sandboxes)
        if observed.volumes:
            yield RemoveVolumes()


def _keep_running(pod: Pod, observed: Observed, now: datetime) -> Iterator[Step]:
    live = observed.live
    yield from _remove_dead_sandboxes(observed)
    yield from _remove_old(observed)
    deadline = overdue_at(pod)
    if is_finished(pod, observed) or (deadline is not None and now >= deadline):
        yield from stop_all(pod, observed, now)
        return
    if is_stopped(pod):  # it rests: sandbox and address stay, nothing starts
        yield from stop_all(pod, observed, now)
        return
    if deadline is not None:
        yield deadline
    yield from _stop_strays(pod, observed, live, now)
    if live is None:
        yield from _renew_sandbox(pod, observed, now)
    elif live.address and not observed.linked:
        held = observed.held.get(SANDBOX)
        yield held if held is not None and now < held else AttachSandbox(live.id)
    else:
        yield from _keep_containers(pod, live, observed, now)


def _keep_containers(
    pod: Pod, live: PodContainer, observed: Observed, now: datetime
) -> Iterator[Step]:
    if observed.outdated:
        held = observed.held.get(VOLUMES)
        yield held if held is not None and now < held else UpdateVolumes()
    for member in roster.ephemeral(pod):
        yield from keep_ephemeral(pod, member, live, observed, now)
    for member in due(pod, observed, live).members:
        yield from keep(pod, member, live, observed, now)


def _remove_dead_sandboxes(observed: Observed) -> Iterator[Step]:
    """A sandbox keeps its link while its containers end: that is how their peers hear of it."""
    joined = {container.sandbox for container in observed.running}
    for box in observed.sandboxes:
        if box is not observed.live and box.id not in joined:
            yield RemoveSandbox(box.id, box.address)


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
    names = {each.name for each in roster.members(pod)}
    for container in observed.running:
        if live is not None and container.sandbox == live.id and container.name in names:
            continue
        message = f"Stopping container {container.name}: its sandbox is gone"
        lost = Stop(container, SANDBOX_LOST_GRACE, message, least=SANDBOX_LOST_GRACE)
        yield from stop(lost, observed, now)


def _renew_sandbox(pod: Pod, observed: Observed, now: datetime) -> Iterator[Step]:
    """Make a sandbox if there is a container to run in it."""
    if not any(_wanted(pod, each, observed) for each in roster.main(pod)):
        return
    held = observed.held.get(SANDBOX)
    if held is not None and now < held:
        yield held
        return
    yield CreateSandbox(max((box.attempt + 1 for box in observed.sandboxes), default=0))


def _wanted(pod: Pod, member: Member, observed: Observed) -> bool:
    latest = observed.latest(member.name)
    return latest is None or not latest.exited or should_restart(pod, member, latest)
