"""One revision as one trace: a span for each phase below one for the whole. Pure.

Called by `tracing.py`. The revision's steps have times in whole seconds and durations in
milliseconds: spans follow one another from the first step's time. Identifiers come from the
Revision's own, so that the same revision is always the same trace.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.model.gitops import Revision, RevisionStep
from reconciler.model.time import parse_time

ENDS = frozenset(("Healthy", "Rejected", "Failed", "RolledBack"))
"""The phases that end a trace."""

_BAD = frozenset(("Rejected", "Failed", "RolledBack"))
_NAMES = {
    "Fetched": "fetch",
    "Verified": "verify",
    "Rendered": "render",
    "Validated": "validate",
    "Planned": "plan",
    "Held": "hold",
    "Pulled": "pull",
    "Applied": "apply",
}
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Span:
    """A named stretch of time in nanoseconds since 1970; `error` is why it ended badly, or ""."""

    name: str
    span_id: int
    start: int
    end: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """The spans of one revision, `root` above all others."""

    trace_id: int
    root: Span
    children: tuple[Span, ...]
    attributes: Mapping[str, str]


def trace_of(revision: Revision) -> Trace:
    """Return the trace of a revision that has reached at least one step."""
    identity = revision.metadata.uid or revision.metadata.name
    steps = revision.status.steps
    moment = int(parse_time(steps[0].time).timestamp()) * _SECOND if steps[0].time else 0
    began = now = moment - _nanoseconds(steps[0].duration_seconds)
    children: list[Span] = []
    for name, parts in _phases(steps):
        end = now + sum(_nanoseconds(step.duration_seconds) for step in parts)
        error = parts[-1].message if parts[-1].phase in _BAD else ""
        children.append(Span(name, _id(8, identity, name), now, end, error))
        now = end
    failed = next((span.error for span in children if span.error), "")
    root = Span("revision", _id(8, identity, "revision"), began, now, failed)
    return Trace(_id(16, identity), root, tuple(children), _attributes(revision))


def _phases(steps: Sequence[RevisionStep]) -> list[tuple[str, list[RevisionStep]]]:
    """Return the steps by span; what comes after the writes is one span, "ready"."""
    found: list[tuple[str, list[RevisionStep]]] = []
    for step in steps:
        applied = bool(found) and found[-1][0] in ("apply", "ready")
        name = "ready" if applied else _NAMES.get(step.phase, step.phase.lower())
        if found and found[-1][0] == name:
            found[-1][1].append(step)
        else:
            found.append((name, [step]))
    return found


def _attributes(revision: Revision) -> Mapping[str, str]:
    spec = revision.spec
    return {
        "reconciler.source": spec.source,
        "reconciler.revision": spec.revision,
        "reconciler.revision.name": revision.metadata.name,
        "reconciler.outcome": revision.status.phase,
        "vcs.ref.head.revision": spec.commit,
    }


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1000) * (_SECOND // 1000)


def _id(size: int, *parts: str) -> int:
    digest = hashlib.blake2b("/".join(parts).encode(), digest_size=size).digest()
    return int.from_bytes(digest, "big") or 1
