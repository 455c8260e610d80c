"""How a Revision and its Source move from phase to phase. Pure: objects in, objects out.

Called by the journal, which keeps and writes the objects. A phase is entered once; Healthy is the
end of a revision's life, and what happens to its objects afterwards is drift, not history.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler.model.gitops import (
    Revision,
    RevisionCasualty,
    RevisionCounts,
    RevisionError,
    RevisionPhase,
    RevisionSpec,
    RevisionStatus,
    RevisionStep,
    Source,
    SourceStatus,
)
from reconciler.model.meta import Condition, ObjectMeta
from reconciler.source.snapshot import Snapshot

MAX_ERRORS = 100
"""Errors kept in a Revision; the log has all."""

_ONCE = frozenset(("Fetched", "Verified", "Rendered", "Validated", "Planned", "Pulled", "Applied"))
_ENDED = frozenset(("Healthy", "RolledBack"))
_MAX_MESSAGE = 4096
_COMMIT_LENGTHS = (40, 64)


@dataclass(frozen=True, slots=True)
class Particulars:
    """What there is to say of a phase besides its message; all but errors outlives the phase."""

    errors: Sequence[RevisionError] = ()
    counts: RevisionCounts | None = None
    plan_hash: str = ""
    casualties: Sequence[RevisionCasualty] = ()


def new_revision(source: str, snapshot: Snapshot, sequence: int, time: str) -> Revision:
    """Return the object of a revision seen for the first time; `time` is the commit's."""
    commit = snapshot.revision if len(snapshot.revision) in _COMMIT_LENGTHS else ""
    return Revision(
        metadata=ObjectMeta(name=f"{source}-{sequence}"),
        spec=RevisionSpec(
            source=source,
            revision=snapshot.revision,
            commit=commit if snapshot.author else "",
            author=snapshot.author,
            time=time,
            message=snapshot.message[:_MAX_MESSAGE],
            sequence=sequence,
            inputs=snapshot.inputs,
        ),
    )


def rollback_of(failed: Revision, good: Revision | None, revision: str, sequence: int) -> Revision:
    """Return the Revision that brings `revision`, of which `good` tells, back after `failed`."""
    spec = good.spec if good is not None else RevisionSpec(revision=revision)
    first = f"Roll back {failed.metadata.name} ({failed.spec.revision[:12]}) to {revision[:12]}"
    return Revision(
        metadata=ObjectMeta(name=f"{failed.spec.source}-{sequence}"),
        spec=spec.replace(
            source=failed.spec.source,
            message=f"{first}\n\n{spec.message}"[:_MAX_MESSAGE],
            sequence=sequence,
            rollback_of=failed.metadata.name,
        ),
    )


def stands_for(revision: Revision, name: str, inputs: str) -> bool:
    """Return whether a Revision is that of the state `name` with the variables `inputs`."""
    return revision.spec.revision == name and revision.spec.inputs == inputs


def quarantined(revisions: Iterable[Revision], revision: str, inputs: str = "") -> bool:
    """Return whether `revision` was rolled back and the source has not moved since."""
    ordered = sorted(revisions, key=lambda r: r.spec.sequence, reverse=True)
    newest = next((r for r in ordered if not r.spec.rollback_of), None)
    if newest is None or not stands_for(newest, revision, inputs):
        return False
    return newest.status.phase == "RolledBack"


def last_healthy(revisions: Iterable[Revision], besides: str, inputs: str = "") -> Revision | None:
    """Return the newest revision other than `besides` (with `inputs`) that became Healthy."""
    healthy = (
        r for r in revisions if r.status.phase == "Healthy" and not stands_for(r, besides, inputs)
    )
    return max(healthy, key=lambda r: r.spec.sequence, default=None)


def advance(
    revision: Revision,
    phase: RevisionPhase,
    at: str,
    *,
    seconds: float,
    message: str = "",
    more: Particulars | None = None,
) -> Revision:
    """Return `revision` in `phase`, reached at time `at` after `seconds` in the phase before.

    A phase that was reached before gets no second step. A revision that is Healthy or rolled back
    stays as it is, and none goes back to a phase before the writes ended that it has already
    passed (a restart).
    """
    status, more = revision.status, more or Particulars()
    known = any(step.phase == phase for step in status.steps)
    if status.phase in _ENDED or (known and phase in _ONCE):
        return revision
    step = RevisionStep(
        phase=phase, time=at, duration_seconds=round(seconds, 3), message=message[:_MAX_MESSAGE]
    )
    after = RevisionStatus(
        phase=phase,
        message=message[:_MAX_MESSAGE],
        steps=status.steps if known else (*status.steps, step),
        errors=tuple(more.errors)[:MAX_ERRORS],
        counts=more.counts or status.counts,
        plan_hash=more.plan_hash or status.plan_hash,
        casualties=tuple(more.casualties) or status.casualties,
    )
    return revision if after == status else revision.replace(status=after)


def supersede(revision: Revision, successor: str) -> Revision:
    """Return `revision` with the word that a newer one took its place before it was Healthy."""
    if revision.status.phase in ("Healthy", "Rejected", "RolledBack"):
        return revision
    message = f"superseded by {successor[:12]} while {revision.status.phase}"
    if revision.status.message.startswith("superseded by "):
        return revision
    return revision.replace(status=revision.status.replace(message=message))


def outdated(revisions: Iterable[Revision], keep: int) -> list[Revision]:
    """Return the revisions to forget: all but the newest `keep` and the last Healthy one."""
    ordered = sorted(revisions, key=lambda r: r.spec.sequence, reverse=True)
    healthy = next((r for r in ordered if r.status.phase == "Healthy"), None)
    return [r for r in ordered[keep:] if r is not healthy]


def with_condition(
    source: Source, kind: str, *, holds: bool, reason: str, message: str, at: str
) -> Source:
    """Return `source` with one condition set; its time changes only with its truth."""
    status = "True" if holds else "False"
    old = next((c for c in source.status.conditions if c.type == kind), None)
    since = old.last_transition_time if old is not None and old.status == status else at
    new = Condition(
        type=kind, status=status, last_transition_time=since, reason=reason, message=message
    )
    others = tuple(c for c in source.status.conditions if c.type != kind)
    conditions = tuple(sorted((*others, new), key=lambda c: c.type))
    return source.replace(status=source.status.replace(conditions=conditions))


def with_status(source: Source, **changes: object) -> Source:
    """Return `source` with status fields changed."""
    status: SourceStatus = source.status.replace(**changes)
    return source if status == source.status else source.replace(status=status)
