"""Pods that a revision made and that fail: what is wrong, and what is kept of it. Pure.

Called by the loop. A controller that makes such pods is judged by them before its progress
deadline: a container that crashed again and again, that the engine refuses to start, whose image
or configuration cannot be had, does not heal by waiting.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from reconciler.model.gitops import RevisionCasualty
from reconciler.model.inplace import UPDATED
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.model.pod import Pod
from reconciler.model.podstatus import (
    REFUSED,
    START_FAILING,
    ContainerStateTerminated,
    ContainerStatus,
)
from reconciler.model.time import parse_time

CRASHES = 3
"""Restarts after which a container in CrashLoopBackOff is given up."""

_HOPELESS = frozenset(
    ("ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError")
)
_MAX_CASUALTIES = 20
_MAX_WORDS = 2048


def controller_of(pod: Pod) -> ObjectKey | None:
    """Return the key of the ReplicationController that made the pod, if one did."""
    for owner in pod.metadata.owner_references:
        if owner.controller and owner.kind == "ReplicationController":
            return ObjectKey("ReplicationController", pod.metadata.namespace, owner.name)
    return None


def is_of(pod: Pod, since: datetime) -> bool:
    """Return whether a revision begun at `since` made the pod, or its controller updated it."""
    made = pod.metadata.annotations.get(UPDATED) or pod.metadata.creation_timestamp
    return made is not None and parse_time(made) >= since


def doom(pod: Pod) -> str:
    """Return why a pod is not expected to heal, or ""."""
    if pod.metadata.deletion_timestamp:
        return ""
    for status in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        if reason := _hopeless(status):
            return f"pod {pod.metadata.name}: container {status.name}: {reason}"
    stuck = (each for each in pod.status.conditions if each.type == START_FAILING)
    return next((f"pod {pod.metadata.name}: {each.message}" for each in stuck), "")


def pods_behind(live: Iterable[KubeObject], keys: Collection[ObjectKey]) -> list[Pod]:
    """Return the pods that `keys` name, or that the controllers among them made."""
    pods = (obj for obj in live if isinstance(obj, Pod))
    return [pod for pod in pods if pod.key in keys or controller_of(pod) in keys]


def casualties(pods: Iterable[Pod]) -> tuple[RevisionCasualty, ...]:
    """Return the containers of `pods` that are in trouble, with how they ended last."""
    found = [
        _casualty(pod, status)
        for pod in sorted(pods, key=lambda pod: pod.key)
        for status in (*pod.status.init_container_statuses, *pod.status.container_statuses)
        if not status.ready and (_in_trouble(status) or _ended(status) is not None)
    ]
    return tuple(found[:_MAX_CASUALTIES])


def last_container(pod: Pod, name: str) -> str:
    """Return the id of the newest container of that name that has run, or ""."""
    for status in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        if status.name == name:
            ended = _ended(status)
            return (ended.container_id if ended is not None else "") or status.container_id
    return ""


def _in_trouble(status: ContainerStatus) -> bool:
    waiting = status.state.waiting
    return bool(_hopeless(status)) or (waiting is not None and waiting.reason in REFUSED)


def _hopeless(status: ContainerStatus) -> str:
    waiting = status.state.waiting
    if waiting is None:
        return ""
    if waiting.reason in _HOPELESS:
        return f"{waiting.reason}: {waiting.message}".rstrip(": ")
    if waiting.reason == "CrashLoopBackOff" and status.restart_count >= CRASHES:
        ended = _ended(status)
        code = f" with exit code {ended.exit_code}" if ended is not None else ""
        return f"ended {status.restart_count + 1} times, last{code}"
    return ""


def _ended(status: ContainerStatus) -> ContainerStateTerminated | None:
    return status.state.terminated or status.last_state.terminated


def _casualty(pod: Pod, status: ContainerStatus) -> RevisionCasualty:
    ended, waiting = _ended(status), status.state.waiting
    words = ended.message if ended is not None and ended.message else ""
    return RevisionCasualty(
        namespace=pod.metadata.namespace,
        pod=pod.metadata.name,
        container=status.name,
        restarts=status.restart_count,
        exit_code=ended.exit_code if ended is not None else None,
        reason=(waiting.reason if waiting is not None else "") or (ended.reason if ended else ""),
        message=(words or (waiting.message if waiting is not None else ""))[-_MAX_WORDS:],
    )
