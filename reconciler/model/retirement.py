"""Objects that go, but not yet: the annotations by which a pruned workload rests before its end.

Written by sync and `reconciler undelete`, copied to pods by the replication controller, obeyed by
the kubelet: a pod that rests keeps its sandbox and address, and none of its containers runs.
"""

from __future__ import annotations

from datetime import datetime

from reconciler.model.meta import KubeObject
from reconciler.model.time import parse_time

REMOVE_AT = "reconciler.dev/remove-at"
"""On an object that its source no longer declares: when it is removed."""

UNDELETED = "reconciler.dev/undeleted"
"""On an object that a person brought back: it stays, though no source declares it."""

STOPPED = "reconciler.dev/stopped"
"""On a pod, by its controller: none of its containers shall run. Without one it says nothing."""


def is_retired(obj: KubeObject) -> bool:
    """Return whether the object rests until it is removed."""
    return REMOVE_AT in obj.metadata.annotations


def removal_of(obj: KubeObject) -> datetime | None:
    """Return when a retired object is to be removed; None for any other, or when nobody can tell."""
    text = obj.metadata.annotations.get(REMOVE_AT, "")
    try:
        return parse_time(text) if text else None
    except ValueError:
        return None


def is_stopped(pod: KubeObject) -> bool:
    """Return whether no container of the pod may run: it, or its controller, is retired.

    A pod that was taken from its controller, by another label or an orphaning deletion, runs again:
    nobody is left who would ever end its rest.
    """
    meta = pod.metadata
    stopped = STOPPED in meta.annotations and any(each.controller for each in meta.owner_references)
    return stopped or is_retired(pod)
