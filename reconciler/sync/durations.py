"""Revisions as measures: how long each phase took, and how each revision ended, by source.

Fed by `progress.py`; the API prints `text`. A revision's name is no label: their number grows.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.core.measures import Counter, Histogram, exposition
from reconciler.model.gitops import Revision, RevisionStep

_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
_OUTCOMES = frozenset(("Healthy", "Rejected", "Failed", "RolledBack", "Held"))
_ENDS = frozenset(("Healthy", "Rejected", "RolledBack"))


class Durations:
    """The measures of all sources since this start."""

    def __init__(self) -> None:
        self._phases = Histogram(
            "reconciler_revision_phase_duration_seconds",
            "Seconds from one phase of a revision to the next, by the phase reached.",
            ("source", "phase"),
            _BOUNDS,
        )
        self._whole = Histogram(
            "reconciler_revision_duration_seconds",
            "Seconds from a revision's fetch to its end, by how it ended.",
            ("source", "outcome"),
            _BOUNDS,
        )
        self._outcomes = Counter(
            "reconciler_revision_outcomes_total",
            "Revisions that were Healthy, Held, Failed, Rejected or RolledBack.",
            ("source", "outcome"),
        )

    def reached(self, revision: Revision, steps: Sequence[RevisionStep]) -> None:
        """Take in new steps of a revision."""
        source = revision.spec.source
        for step in steps:
            self._phases.observe(step.duration_seconds, source, step.phase)
            if step.phase in _OUTCOMES:
                self._outcomes.count(source, step.phase)
            if step.phase in _ENDS:
                whole = sum(each.duration_seconds for each in revision.status.steps)
                self._whole.observe(whole, source, step.phase)

    def text(self) -> str:
        """Return the measures as Prometheus reads them."""
        return exposition((self._phases, self._whole, self._outcomes))
