"""What controllers ask of a pod: is it active, ready, available, and who controls it. Pure.

Called by every controller that looks at pods. Knows nothing of what a controller does with the
answer, and never writes.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache

from reconciler.model.inplace import outdated_containers
from reconciler.model.meta import ObjectMeta, OwnerReference
from reconciler.model.pod import Pod
from reconciler.model.podstatus import LIVENESS_UNPROVEN, TERMINAL, PodCondition
from reconciler.model.time import parse_time


@lru_cache(maxsize=8192)
def moment(text: str) -> datetime:
    """Return the moment that an object's time names; cached, for the same times come again."""
    return parse_time(text)


def is_terminal(pod: Pod) -> bool:
    """Say whether the pod has ended for good (phase Succeeded or Failed)."""
    return pod.status.phase in TERMINAL


def is_active(pod: Pod) -> bool:
    """Kubernetes' IsPodActive: neither ended nor being deleted."""
    return pod.status.phase not in TERMINAL and pod.metadata.deletion_timestamp is None


def condition(pod: Pod, kind: str) -> PodCondition | None:
    """Return the pod's condition of type `kind`, if it has one."""
    for item in pod.status.conditions:
        if item.type == kind:
            return item
    return None


def is_ready(pod: Pod) -> bool:
    """Kubernetes' IsPodReady: the condition Ready is True."""
    ready = condition(pod, "Ready")
    return ready is not None and ready.status == "True"


def ready_since(pod: Pod) -> datetime | None:
    """Return when the pod became ready; None when it is not, or does not say."""
    ready = condition(pod, "Ready")
    if ready is None or ready.status != "True" or ready.last_transition_time is None:
        return None
    return moment(ready.last_transition_time)


def is_available(pod: Pod, min_ready_seconds: int, now: datetime) -> bool:
    """Kubernetes' IsPodAvailable: ready, and for `min_ready_seconds` without a break.

    It has to be so with the images that the pod asks for.
    """
    if not is_ready(pod) or outdated_containers(pod):
        return False
    since = ready_since(pod)
    if min_ready_seconds == 0:
        return True
    return since is not None and since + timedelta(seconds=min_ready_seconds) <= now


def is_proven(pod: Pod) -> bool:
    """Say whether every liveness probe of the pod has succeeded since its container started."""
    return condition(pod, LIVENESS_UNPROVEN) is None


def available_in(pod: Pod, min_ready_seconds: int, now: datetime) -> float | None:
    """Return the seconds until a ready pod is available; None when it is, or is not ready."""
    since = ready_since(pod)
    if since is None:
        return None
    left = (since + timedelta(seconds=min_ready_seconds) - now).total_seconds()
    return left if left > 0 else None


def controller_of(metadata: ObjectMeta) -> OwnerReference | None:
    """Kubernetes' GetControllerOf: the one owner reference that is marked as controller."""
    for reference in metadata.owner_references:
        if reference.controller:
            return reference
    return None


def matches(selector: dict[str, str], labels: dict[str, str]) -> bool:
    """Say whether `labels` carry every pair of `selector`; an empty one selects nothing here.

    Kubernetes guards its controllers the same way: a missing selector must not take every pod.
    """
    return bool(selector) and selector.items() <= labels.items()
