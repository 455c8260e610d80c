"""What of the states that an adapter sees is news to the reader. Pure but for the clock."""

from __future__ import annotations

from datetime import datetime

from reconciler.core.clock import Clock
from reconciler.source.snapshot import Snapshot, SourceError, SourceProblem


class Announcer:
    """Passes on a state that differs from the last one passed on (law 3)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._revision: str | None = None
        self._problem: SourceProblem | None = None
        self._since: datetime | None = None

    @property
    def failing(self) -> bool:
        """True when the last state was a problem."""
        return self._problem is not None

    def news(self, state: Snapshot | SourceError) -> Snapshot | SourceProblem | None:
        """Return what to yield for `state`, or nothing.

        A problem keeps the time at which the first of an unbroken row of problems was seen; the
        first snapshot after a problem is news even if its revision is the last one.
        """
        if isinstance(state, SourceError):
            return self._problem_news(state)
        known = self._revision == state.revision and self._problem is None
        self._revision, self._problem, self._since = state.revision, None, None
        return None if known else state

    def _problem_news(self, error: SourceError) -> SourceProblem | None:
        self._since = self._since or self._clock.now()
        problem = SourceProblem(error.reason, error.message, self._since)
        if problem == self._problem:
            return None
        self._problem = problem
        return problem
