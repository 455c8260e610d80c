"""How containers are stopped: hook, signal, kill; which one when; and when a pod's time is over.

Pure; called by the planner. Kubernetes' killContainer and terminationOrdering: the preStop hook
runs inside the grace, the signal leaves a container at least two seconds, sidecars wait with
their signal until the containers proper and the sidecars after them have ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.kubelet import roster
from reconciler.kubelet.actions import Action, BeginStop, KillContainer, StopContainer
from reconciler.kubelet.labels import PodContainer
from reconciler.kubelet.observed import Observed, Stopping
from reconciler.model.pod import Pod
from reconciler.model.time import parse_time, span

# Kubernetes' grace for a pod whose object is gone.
ORPHAN_GRACE = timedelta(seconds=1)
# Kubernetes' immediateEvictionGracePeriodSeconds.
EVICTION_GRACE = timedelta(seconds=1)
DEFAULT_GRACE = 30
EVICTED = "Evicted"
# Kubernetes' minimumGracePeriodInSeconds.
LEAST_GRACE = timedelta(seconds=2)

Step = Action | datetime


@dataclass(frozen=True, slots=True)
class Stop:
    """One container to be stopped, and how.

    `least` is what its signal leaves it in any case; `latest` bounds the end of the grace, for a
    daemon that starts anew must not grant it all again. `hook`: it has a preStop hook. `turn`:
    it may be sent its signal; else not before `latest` or the end of its grace.
    """

    container: PodContainer
    grace: timedelta
    message: str
    least: timedelta = LEAST_GRACE
    latest: datetime | None = None
    hook: bool = False
    turn: bool = True


def grace_of(pod: Pod | None) -> timedelta:
    """Return how long a pod's containers may take to end."""
    if pod is None:
        return ORPHAN_GRACE
    if pod.status.reason == EVICTED:
        return EVICTION_GRACE
    seconds = pod.metadata.deletion_grace_period_seconds
    if seconds is None:
        seconds = pod.spec.termination_grace_period_seconds
    return span(DEFAULT_GRACE if seconds is None else seconds)


def has_pre_stop(pod: Pod | None, name: str) -> bool:
    """Tell whether a container of the pod has a preStop hook."""
    member = roster.member(pod, name) if pod is not None else None
    lifecycle = member.container.lifecycle if member is not None else None
    return lifecycle is not None and lifecycle.pre_stop is not None


def overdue_at(pod: Pod) -> datetime | None:
    """Return when the pod's activeDeadlineSeconds end."""
    seconds = pod.spec.active_deadline_seconds
    if seconds is None or pod.status.start_time is None:
        return None
    return parse_time(pod.status.start_time) + span(seconds)


def stop_all(pod: Pod | None, observed: Observed, now: datetime) -> Iterator[Step]:
    """Stop every running container of the pod, in Kubernetes' order."""
    wait = observed.waits_for_proxies(now)
    if wait is not None:
        yield wait
    least = LEAST_GRACE if pod is not None else ORPHAN_GRACE
    for container in observed.running:
        turn = _its_turn(pod, container, observed.running)
        hook = has_pre_stop(pod, container.name)
        if wait is not None and turn and not hook and container.id not in observed.stopping:
            continue  # nothing to do for it before the proxies let go
        yield from stop(
            Stop(
                container,
                grace_of(pod),
                f"Stopping container {container.name}",
                least=least,
                latest=_latest(pod, now),
                hook=hook,
                turn=turn and wait is None,
            ),
            observed,
            now,
        )


def _latest(pod: Pod | None, now: datetime) -> datetime | None:
    if pod is None or pod.metadata.deletion_timestamp is None:
        return None
    return max(parse_time(pod.metadata.deletion_timestamp), now) + LEAST_GRACE


def _its_turn(pod: Pod | None, container: PodContainer, running: Iterable[PodContainer]) -> bool:
    """A sidecar ends after all containers proper, and after the sidecars that came after it."""
    member = roster.member(pod, container.name) if pod is not None else None
    if pod is None or member is None or not member.is_sidecar:
        return True
    names = [each.name for each in roster.initial(pod) if each.is_sidecar]
    later = {*names[names.index(member.name) + 1 :], *(each.name for each in roster.main(pod))}
    return not any(other.name in later for other in running)


def stop(wanted: Stop, observed: Observed, now: datetime) -> Iterator[Step]:
    """Begin once, signal once, kill at the deadline; a later call may shorten it, not prolong."""
    container = wanted.container
    stopping = observed.stopping.get(container.id)
    if stopping is None:
        yield _begin(wanted, now)
        return
    end = _end(wanted, stopping)
    if stopping.signalled is not None:
        yield end if now < end else KillContainer(container.id, container.name)
    elif now < end and (not wanted.turn or container.id in observed.hooks):
        yield end
    else:
        deadline = max(end, now + wanted.least)
        yield StopContainer(container.id, container.name, deadline, wanted.message)


def _begin(wanted: Stop, now: datetime) -> Action:
    container, deadline = wanted.container, now + wanted.grace
    if wanted.latest is not None:
        deadline = min(deadline, wanted.latest)
    hook = wanted.hook and wanted.grace > timedelta()
    if hook or not wanted.turn:
        return BeginStop(container.id, container.name, deadline, wanted.message, hook)
    deadline = max(deadline, now + wanted.least)
    return StopContainer(container.id, container.name, deadline, wanted.message)


def _end(wanted: Stop, stopping: Stopping) -> datetime:
    """Return when the grace, or the wait before a second kill, is over."""
    if stopping.killed:
        return stopping.deadline
    end = stopping.since + wanted.grace
    if stopping.signalled is not None:
        end = max(end, stopping.signalled + wanted.least)
    return min(stopping.deadline, end)
