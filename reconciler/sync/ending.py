"""What becomes of an object that its source no longer declares. Pure.

Called by the planner. It is retired first: its pods stop, and it rests for a while, in which Git or
a person may bring it back as it was. What cannot rest goes at once.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from reconciler.model.gitops import Source
from reconciler.model.meta import KubeObject
from reconciler.model.pod import Pod
from reconciler.model.retirement import REMOVE_AT, UNDELETED, removal_of
from reconciler.sync.actions import Propagation, Prune, Retire
from reconciler.sync.fields import ABSENT, FieldChange
from reconciler.sync.identity import ON_PRUNE_ANNOTATION

KEEP_ANNOTATION = "reconciler.dev/prune-keep-seconds"
"""On an object: how long it rests when its declaration goes, whatever the settings say."""


_CLOCK_SET = 5.0
"""Seconds by which the end that an object names may differ from the end that it will have."""


def rest_left(live: KubeObject, now: datetime) -> float | None:
    """Return for how many seconds a retired object rests, by the wall clock; else None."""
    until = removal_of(live)
    return (until - now).total_seconds() if until is not None else None


def end_of(
    live: KubeObject, now: datetime | None, keep: float, left: float | None
) -> Prune | Retire | float:
    """Return how the object ends; for how many seconds it rests when nothing is to be done now.

    `keep` is for how many seconds what can rest does, `left` for how many this one still does, that
    is retired. It is told anew when the clock was set meanwhile. Without a `now` nothing rests.
    """
    named = removal_of(live)
    if named is not None and left is not None and now is not None:
        if left <= 0:
            return _prune(live)
        told = abs((named - now).total_seconds() - left) < _CLOCK_SET
        return left if told else _retire(live, now, left)
    seconds = kept_for(live, keep)
    if now is None or seconds <= 0 or not _rests(live):
        return _prune(live)
    return _retire(live, now, seconds)


def _retire(live: KubeObject, now: datetime, seconds: float) -> Retire:
    until = now.replace(microsecond=0) + timedelta(seconds=seconds)
    return Retire(live.key, live.metadata.uid, until)


def revival(live: KubeObject) -> tuple[FieldChange, ...]:
    """Return the changes that bring back an object which is declared again; () for all others."""
    notes = live.metadata.annotations
    return tuple(
        FieldChange(f"metadata.annotations[{name}]", notes[name], ABSENT)
        for name in (REMOVE_AT, UNDELETED)
        if name in notes
    )


def _prune(live: KubeObject) -> Prune:
    propagation: Propagation = "Orphan" if _orphans(live) else "Background"
    return Prune(live.key, live.metadata.uid, propagation)


def _rests(live: KubeObject) -> bool:
    """A pod that runs to its end could not go on; one that is orphaned is not to stop.

    A source does not rest: it would go on with what it declares.
    """
    if isinstance(live, Source):
        return False
    runs_to_its_end = isinstance(live, Pod) and live.spec.restart_policy != "Always"
    return not runs_to_its_end and not _orphans(live)


def _orphans(live: KubeObject) -> bool:
    return live.metadata.annotations.get(ON_PRUNE_ANNOTATION) == "orphan"


def kept_for(live: KubeObject, keep: float) -> float:
    """Return for how many seconds the object rests; `keep` is what the settings say."""
    text = live.metadata.annotations.get(KEEP_ANNOTATION, "")
    return float(text) if text.isascii() and text.isdigit() else keep
