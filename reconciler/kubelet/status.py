"""A pod's status as seen on its host. Pure; called by `reporter.py`.

The containers' own statuses are in `containerstatus.py`, the phase in `phase.py`, the conditions
in `conditions.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from reconciler.kubelet import roster
from reconciler.kubelet.conditions import conditions
from reconciler.kubelet.containerstatus import Facts, container_status
from reconciler.kubelet.ending import overdue_at
from reconciler.kubelet.observed import Observed
from reconciler.kubelet.phase import computed_phase
from reconciler.kubelet.podadmit import Rejection
from reconciler.kubelet.roster import Member
from reconciler.kubelet.unlocated import settled
from reconciler.model.pod import Pod
from reconciler.model.podstatus import REFUSED, TERMINAL, ContainerStatus, HostIP, PodIP, PodStatus
from reconciler.model.qos import qos_class
from reconciler.model.time import format_time

# The fifth refusal comes after 15 seconds: an engine that was only busy, or a sandbox that had
# just died, has recovered by then.
_LASTING = 5
OVERDUE = "DeadlineExceeded"
_OVERDUE = (OVERDUE, "Pod was active on the node longer than the specified deadline")


def pod_status(pod: Pod, observed: Observed, facts: Facts, now: datetime) -> PodStatus:
    """Return the status to write; equal to the pod's own when there is nothing new."""
    if observed.rejection is not None:
        return _rejected(pod, observed.rejection, now)
    if pod.status.phase in TERMINAL and not (pod.status.container_statuses or observed.containers):
        return pod.status  # it never began: what it was rejected with stays

    def statuses(members: Iterable[Member]) -> tuple[ContainerStatus, ...]:
        return tuple(container_status(pod, each, observed, facts, now) for each in members)

    initial, main = statuses(roster.initial(pod)), statuses(roster.main(pod))
    phase, reason, message = _phase(pod, initial, main, observed, now)
    if phase in TERMINAL and not observed.running:
        initial, main = settled(pod, initial, main)
    address = _address(pod, observed, facts)
    return pod.status.replace(
        phase=phase,
        reason=reason,
        message=message,
        conditions=conditions(
            pod,
            phase,
            initial,
            main,
            observed,
            now,
            stuck=_stuck(facts, (*initial, *main)),
            unproven=_unproven(facts, observed),
        ),
        host_ip=facts.host_ip,
        host_ips=(HostIP(ip=facts.host_ip),),
        pod_ip=address,
        pod_ips=(PodIP(ip=address),) if address else (),
        start_time=pod.status.start_time or format_time(now),
        init_container_statuses=initial,
        container_statuses=main,
        ephemeral_container_statuses=statuses(roster.ephemeral(pod)),
        qos_class=pod.status.qos_class or qos_class(pod.spec),
    )


def _stuck(facts: Facts, statuses: Iterable[ContainerStatus]) -> str:
    """Return which container the engine refuses to make or start, if it has done so for long."""
    for status in statuses:
        waiting, times = status.state.waiting, facts.failures.get(status.name, 0)
        if waiting is not None and waiting.reason in REFUSED and times >= _LASTING:
            words = f"{waiting.reason}: {waiting.message}"
            return (
                f"container {status.name} could not be started {_LASTING} times in a row: {words}"
            )
    return ""


def _unproven(facts: Facts, observed: Observed) -> str:
    """Return which running containers no liveness probe has found alive yet."""
    names = sorted(each.name for each in observed.running if each.id in facts.unproven)
    return f"no liveness probe has succeeded yet of [{' '.join(names)}]" if names else ""


def _rejected(pod: Pod, why: Rejection, now: datetime) -> PodStatus:
    """Return the end of a pod that never began (Kubernetes' rejectPod)."""
    return pod.status.replace(
        phase="Failed",
        reason=why.reason,
        message=f"Pod was rejected: {why.message}",
        start_time=pod.status.start_time or format_time(now),
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


def _ended(main: tuple[ContainerStatus, ...]) -> str:
    """Return the phase of a deleted pod, none of whose containers will run again.

    Kubernetes' getPhase of a terminal pod, and its status manager's TerminatePod for one that has
    not begun: a finalizer may keep the object, and who waits for the pod's end must see it.
    """
    ends = [status.state.terminated for status in main]
    return "Succeeded" if all(end and end.exit_code == 0 for end in ends) else "Failed"


def _phase(
    pod: Pod,
    initial: tuple[ContainerStatus, ...],
    main: tuple[ContainerStatus, ...],
    observed: Observed,
    now: datetime,
) -> tuple[str, str, str]:
    """Return phase, reason and message; a terminal phase begins when nothing runs, and stays."""
    former = pod.status
    if former.phase in TERMINAL:
        return former.phase, former.reason, former.message
    deadline = overdue_at(pod)
    phase, words = computed_phase(pod, initial, main), ("", "")
    if deadline is not None and now >= deadline:
        phase, words = "Failed", _OVERDUE
    elif pod.metadata.deletion_timestamp is not None and not observed.running:
        phase = _ended(main)
    if phase in TERMINAL and observed.running:
        return former.phase or "Pending", former.reason, former.message
    return (phase, *words) if phase in TERMINAL else (phase, former.reason, former.message)
