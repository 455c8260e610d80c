"""Events on revisions and sources: `kubectl describe revision`, `kubectl get events`.

Fed by the informers of both kinds. Each phase of a revision is told once, each approval, each
change of a source's own state; the recorder damps what repeats. Pure but for the recorder.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.client.events import ComponentRecorder
from reconciler.client.informer import Informer
from reconciler.client.protocol import EventType
from reconciler.model.gitops import Revision, RevisionStep, Source
from reconciler.sync.care import APPROVE_ANNOTATION
from reconciler.sync.progress import Steps

_BAD = frozenset(("Rejected", "Failed", "RolledBack", "Held"))
_QUIET = frozenset(("Verified", "Rendered"))
_STATES = {
    "Unreachable": "Warning",
    "Suspended": "Normal",
    "Paused": "Normal",
    "Pulling": "Normal",
}
_WORDS = {
    "Fetched": "the source is at this revision",
    "Validated": "every file was read and is valid",
    "Planned": "the plan is made",
    "Applied": "every write is done",
    "Healthy": "everything that it declares is healthy",
}


class Chronicle:
    """Tells of revisions and sources from when it is made."""

    def __init__(
        self, steps: Steps, revisions: Informer[Revision], sources: Informer[Source],
        recorder: ComponentRecorder,
    ) -> None:  # fmt: skip
        self._recorder = recorder
        steps.listen(self._reached)
        revisions.subscribe(self._revision_changed)
        sources.subscribe(self._source_changed)

    def _reached(self, revision: Revision, steps: Sequence[RevisionStep]) -> None:
        for step in steps:
            if step.phase in _QUIET and not step.message:
                continue
            kind = "Warning" if step.phase in _BAD else "Normal"
            words = step.message or _WORDS.get(step.phase, step.phase)
            self._recorder.event(revision, kind, step.phase, words)

    def _revision_changed(self, _: EventType, old: Revision | None, new: Revision | None) -> None:
        if old is None or new is None:
            return
        said = new.metadata.annotations.get(APPROVE_ANNOTATION)
        if said and said != old.metadata.annotations.get(APPROVE_ANNOTATION):
            fits = said == new.status.plan_hash
            words = "its plan is approved" if fits else "an approval of another plan: it holds on"
            self._recorder.event(new, "Normal" if fits else "Warning", "Approved", words)

    def _source_changed(self, _: EventType, old: Source | None, new: Source | None) -> None:
        if old is None or new is None:
            return
        before, now = old.status.phase, new.status.phase
        if now == before:
            return
        if now in _STATES:
            self._recorder.event(new, _STATES[now], now, new.status.message or now)
        elif before in _STATES and before != "Pulling":
            self._recorder.event(new, "Normal", "Resumed", f"it is {before} no longer")
