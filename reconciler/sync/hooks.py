"""Pods that run once for each revision that changes something. Pure.

Called by the planner. A hook carries the mark of the tree that it ran for: another tree replaces
the pod, so that it runs again; a commit that changes no declaration does not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from reconciler.desired.objects import DesiredObject
from reconciler.desired.objecttree import instructed
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.model.pod import Pod

HOOK_ANNOTATION = "reconciler.dev/hook"
TIMEOUT_ANNOTATION = "reconciler.dev/hook-timeout-seconds"
RUN_ANNOTATION = "reconciler.dev/hook-run"
RUN_PATH = f"metadata.annotations[{RUN_ANNOTATION}]"
PHASES = ("pre-apply", "post-apply")

DEFAULT_TIMEOUT = 300


def is_hook(obj: KubeObject) -> bool:
    """Return whether the object is a pod that must succeed, not serve."""
    return obj.kind == "Pod" and obj.metadata.annotations.get(HOOK_ANNOTATION) in PHASES


def run_of(desired: Mapping[ObjectKey, DesiredObject]) -> str:
    """Return the mark of a tree, the same for equal declarations; "" without any hook."""
    if not any(is_hook(each.obj) for each in instructed(desired)):
        return ""
    contents = "".join(sorted(each.content for each in desired.values()))
    return hashlib.blake2b(contents.encode(), digest_size=8).hexdigest()


def marked(desired: Mapping[ObjectKey, DesiredObject]) -> Mapping[ObjectKey, DesiredObject]:
    """Return a revision's objects with its hooks as they are applied."""
    run = run_of(desired)
    if not run:
        return desired
    return {key: hooked(each, run) for key, each in desired.items()}


def hooked(wanted: DesiredObject, run: str) -> DesiredObject:
    """Return the hook as it is applied for the tree `run`: marked, and bounded in time."""
    pod = wanted.obj
    if not isinstance(pod, Pod) or not is_hook(pod):
        return wanted
    notes = {**pod.metadata.annotations, RUN_ANNOTATION: run}
    deadline = pod.spec.active_deadline_seconds or _timeout(notes)
    body = dict(wanted.manifest)
    body["metadata"] = {**body["metadata"], "annotations": dict(notes)}
    body["spec"] = {**body["spec"], "activeDeadlineSeconds": deadline}
    obj = pod.replace(
        metadata=pod.metadata.replace(annotations=notes),
        spec=pod.spec.replace(active_deadline_seconds=deadline),
    )
    return DesiredObject(
        wanted.key, body, obj, wanted.content + run, wanted.path, wanted.line, wanted.column,
        wanted.document, wanted.within, wanted.layers,
    )  # fmt: skip


def ran_for_another(wanted: DesiredObject, live: KubeObject) -> bool:
    """Return whether the live hook belongs to another tree than the (`hooked`) wanted one."""
    if not is_hook(wanted.obj):
        return False
    mark = wanted.obj.metadata.annotations.get(RUN_ANNOTATION)
    return mark is not None and live.metadata.annotations.get(RUN_ANNOTATION) != mark


def _timeout(notes: Mapping[str, Any]) -> int:
    text = str(notes.get(TIMEOUT_ANNOTATION, ""))
    return int(text) if text.isascii() and text.isdigit() and int(text) else DEFAULT_TIMEOUT
