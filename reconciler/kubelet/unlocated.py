"""What a pod at its end says of containers that left no trace: Kubernetes' TerminatePod. Pure.

Called by `status.py` once nothing of the pod runs or will run. Nobody knows how such a container
ended, or it never began: it has failed, so that no pod is called successful by mistake.
"""

from __future__ import annotations

from reconciler.kubelet import roster
from reconciler.model.pod import Pod
from reconciler.model.podstatus import ContainerState, ContainerStateTerminated, ContainerStatus

Statuses = tuple[ContainerStatus, ...]

KILLED = 137
REASON = "ContainerStatusUnknown"
_UNLOCATED = ContainerState(
    terminated=ContainerStateTerminated(
        exit_code=KILLED,
        reason=REASON,
        message="The container could not be located when the pod was terminated",
    )
)


def settled(pod: Pod, initial: Statuses, main: Statuses) -> tuple[Statuses, Statuses]:
    """Return the statuses of init containers and containers proper, none of which goes on.

    Init containers that were never reached, and containers proper of a pod that was never
    initialized, wait for ever: the one that failed before them says why.
    """
    reached = _reached(initial)
    initial = (*map(_terminated, initial[:reached]), *initial[reached:])
    return initial, tuple(map(_terminated, main)) if _initialized(pod, initial, main) else main


def _terminated(status: ContainerStatus) -> ContainerStatus:
    if status.state.terminated is not None:
        return status
    return status.replace(state=_UNLOCATED, ready=False)


def _reached(initial: Statuses) -> int:
    """Return how many init containers were begun, the first one always (initializedContainers)."""
    begun = [place for place, status in enumerate(initial, 1) if _began(status)]
    return max(begun, default=1)


def _initialized(pod: Pod, initial: Statuses, main: Statuses) -> bool:
    """Tell whether containers proper could begin (hasPodInitialized)."""
    if not initial or any(map(_began, main)):
        return True
    if any(each.type == "Initialized" and each.status == "True" for each in pod.status.conditions):
        return True
    ended = initial[-1].state.terminated
    return roster.initial(pod)[-1].runs_to_its_end and ended is not None and ended.exit_code == 0


def _began(status: ContainerStatus) -> bool:
    return status.state.waiting is None or status.last_state.terminated is not None
