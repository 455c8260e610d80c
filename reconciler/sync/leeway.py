"""How much a declared object may differ from its declaration, as its annotations say. Pure.

Called by the planner for objects that differ. `reconciler.dev/drift` is a word of Git (what a
person writes on the live object under that name is itself drift); the break-glass time is a word
of whoever changed the live object by hand, and ends by itself.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from reconciler.desired.objects import DesiredObject
from reconciler.model.meta import KubeObject
from reconciler.model.retirement import UNDELETED
from reconciler.model.time import parse_time

DRIFT_ANNOTATION = "reconciler.dev/drift"
IGNORED_ANNOTATION = "reconciler.dev/drift-ignore"
BREAK_GLASS_ANNOTATION = "reconciler.dev/break-glass-until"
PRUNE_ANNOTATION = "reconciler.dev/prune"

DriftMode = Literal["correct", "report", "ignore"]


def drift_mode(wanted: DesiredObject) -> DriftMode:
    """Return what becomes of somebody else's change; a word that means nothing corrects."""
    match wanted.obj.metadata.annotations.get(DRIFT_ANNOTATION):
        case "report":
            return "report"
        case "ignore":
            return "ignore"
        case _:
            return "correct"


def break_glass(live: KubeObject, now: datetime | None) -> datetime | None:
    """Return until when the live object is left as people made it; None when it is not, or over."""
    text = live.metadata.annotations.get(BREAK_GLASS_ANNOTATION)
    if not text or now is None:
        return None
    try:
        until = parse_time(text)
    except ValueError:
        return None
    return until if until > now else None


def stays(live: KubeObject) -> bool:
    """Return whether an object stays although its source no longer declares it."""
    notes = live.metadata.annotations
    return notes.get(PRUNE_ANNOTATION) == "disabled" or UNDELETED in notes


def ignored_pointers(wanted: DesiredObject) -> tuple[str, ...]:
    """Return the JSON pointers of the fields that Git sets first and never again."""
    text = wanted.obj.metadata.annotations.get(IGNORED_ANNOTATION, "")
    return tuple(part.strip() for part in text.split(",") if part.strip().startswith("/"))


def with_live_values(
    manifest: Mapping[str, Any], live: Mapping[str, Any], pointers: tuple[str, ...]
) -> Mapping[str, Any]:
    """Return `manifest` with the live values at `pointers` (RFC 6901) that both have."""
    if not pointers:
        return manifest
    body: dict[str, Any] = copy.deepcopy(dict(manifest))
    for pointer in pointers:
        steps = [s.replace("~1", "/").replace("~0", "~") for s in pointer.split("/")[1:]]
        holder, value = _at(body, steps[:-1]), _at(live, steps)
        if value is not _NOTHING and _at(body, steps) is not _NOTHING:
            holder[int(steps[-1]) if isinstance(holder, list) else steps[-1]] = value
    return body


_NOTHING = object()


def _at(value: Any, steps: list[str]) -> Any:
    for step in steps:
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return _NOTHING
    return value
