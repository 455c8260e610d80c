"""What one container of a pod needs that is due: a start, a restart, a stop, or nothing. Pure.

Called by the planner for each container that `initialization.py` names.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from reconciler.kubelet.actions import StartContainer
from reconciler.kubelet.ending import DEFAULT_GRACE, Step, Stop, has_pre_stop, stop
from reconciler.kubelet.labels import PodContainer
from reconciler.kubelet.leaving import is_outdated
from reconciler.kubelet.observed import Condemned, Observed
from reconciler.kubelet.restart import next_backoff, not_before, should_restart
from reconciler.kubelet.roster import Member, spec_hash
from reconciler.model.pod import Pod
from reconciler.model.time import span


def keep(
    pod: Pod, member: Member, live: PodContainer, observed: Observed, now: datetime
) -> Iterator[Step]:
    """Keep a container running in the live sandbox as its restart policy says."""
    latest = observed.latest(member.name)
    if latest is not None and latest.running:
        if latest.sandbox == live.id:
            yield from _check(pod, member, latest, observed, now)
    elif latest is None or latest.state.phase != "created":
        # One that was only created is being removed; the next plan makes another.
        yield from _start(pod, member, live, latest, observed, now)


def keep_ephemeral(
    pod: Pod, member: Member, live: PodContainer, observed: Observed, now: datetime
) -> Iterator[Step]:
    """Start an ephemeral container once: it is never restarted, not even in a new sandbox."""
    known = pod.status.ephemeral_container_statuses
    ran = any(status.name == member.name and status.container_id for status in known)
    if not ran and observed.latest(member.name) is None:
        held = observed.held.get(member.name)
        waits = held is not None and now < held
        yield held if held and waits else StartContainer(member.name, 0, 0, live.id)


def _start(
    pod: Pod,
    member: Member,
    live: PodContainer,
    latest: PodContainer | None,
    observed: Observed,
    now: datetime,
) -> Iterator[Step]:
    name, held = member.name, observed.held.get(member.name)
    if held is not None and now < held:
        yield held
    elif latest is None:
        yield StartContainer(name, _first_attempt(pod, name), 0, live.id)
    elif latest.spec_hash != spec_hash(member.container):
        yield StartContainer(name, latest.attempt + 1, 0, live.id)
    elif latest.sandbox != live.id:
        # It ended with its sandbox, not by a fault of its own: no back-off.
        if member.runs_to_its_end or should_restart(pod, member, latest):
            yield StartContainer(name, latest.attempt + 1, latest.backoff, live.id)
    elif should_restart(pod, member, latest):
        start = StartContainer(name, latest.attempt + 1, next_backoff(latest), live.id)
        yield not_before(latest) if now < not_before(latest) else start


def _first_attempt(pod: Pod, name: str) -> int:
    """Go on counting where a container vanished without a trace but for the pod's status."""
    for status in (*pod.status.container_statuses, *pod.status.init_container_statuses):
        if status.name == name and status.container_id:
            return status.restart_count + 1
    return 0


def _check(
    pod: Pod, member: Member, running: PodContainer, observed: Observed, now: datetime
) -> Iterator[Step]:
    """Stop a container that must not go on as it is; it starts anew when it is dead."""
    cause = _cause(member, running, observed)
    if cause is None:
        return
    hook = has_pre_stop(pod, member.name)
    wait = observed.waits_for_proxies(now) if is_outdated(member, running) else None
    if wait is not None:
        yield wait
        if not hook and running.id not in observed.stopping:
            return  # nothing to do for it before the proxies let go
    seconds = pod.spec.termination_grace_period_seconds
    grace = span(DEFAULT_GRACE if seconds is None else seconds)
    wanted = Stop(
        running,
        grace if cause.grace is None else cause.grace,
        cause.message,
        hook=hook,
        turn=wait is None,
    )
    yield from stop(wanted, observed, now)


def _cause(member: Member, running: PodContainer, observed: Observed) -> Condemned | None:
    if is_outdated(member, running):
        return Condemned(f"Container {member.name} definition changed, will be restarted")
    if running.id in observed.condemned:
        return observed.condemned[running.id]
    return Condemned("stopping") if running.id in observed.stopping else None
