"""A pod's phase from its containers' statuses: Kubernetes' `getPhase`. Pure.

Called by `status.py`, which keeps a terminal phase for ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.kubelet import roster
from reconciler.model.pod import Pod
from reconciler.model.podstatus import ContainerStatus


@dataclass(frozen=True, slots=True)
class Tally:
    """How many containers proper wait for their first start, run, have stopped, ended with 0."""

    waiting: int
    running: int
    stopped: int
    succeeded: int


def computed_phase(
    pod: Pod, initial: Iterable[ContainerStatus], main: tuple[ContainerStatus, ...]
) -> str:
    """Return the phase that the containers are in; a terminal one is for `status.py` to keep."""
    tally = _tally(main)
    pending = _initialization(pod, tuple(initial), begun=tally.waiting < len(main))
    if pending is not None:
        return pending
    if tally.waiting:
        return "Pending"
    if tally.running or pod.spec.restart_policy == "Always":
        return "Running"
    if tally.stopped == tally.succeeded:
        return "Succeeded"
    return "Failed" if pod.spec.restart_policy == "Never" else "Running"


def _tally(statuses: tuple[ContainerStatus, ...]) -> Tally:
    waiting = running = stopped = succeeded = 0
    for status in statuses:
        ended = status.state.terminated
        if status.state.waiting is not None:
            never = status.last_state.terminated is None
            waiting += never
            stopped += not never
        elif ended is not None:
            stopped += 1
            succeeded += ended.exit_code == 0
        else:
            running += 1
    return Tally(waiting, running, stopped, succeeded)


def _initialization(pod: Pod, statuses: tuple[ContainerStatus, ...], *, begun: bool) -> str | None:
    """Return Pending or Failed while init containers decide the phase; None: they are through.

    A sidecar holds the pod back only before its containers proper have `begun`.
    """
    pending = False
    for member, status in zip(roster.initial(pod), statuses, strict=True):
        ended = status.state.terminated or (
            status.last_state.terminated if status.state.waiting is not None else None
        )
        if member.is_sidecar:
            pending = pending or (not begun and not status.started and ended is None)
        elif ended is None:
            pending = True
        elif ended.exit_code != 0:
            if pod.spec.restart_policy == "Never":
                return "Failed"
            pending = True
    return "Pending" if pending else None
