"""For how long retired objects still rest, whatever becomes of the wall clock meanwhile.

Held by the comparison; the planner asks it. An object names the time of its removal by the wall
clock. What has been seen of it once ends by the monotonic clock, so that a clock that is set back
does not prolong a rest, nor one set forward end it early. After a start that was not seen: the rest
is then at most as long as a whole one.
"""

from __future__ import annotations

from datetime import datetime

from reconciler.core.clock import Clock
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.model.retirement import removal_of
from reconciler.sync.ending import kept_for, rest_left


class Rests:
    """The ends of the rests of one source; `keep` is the length of a whole one, in seconds."""

    def __init__(self, clock: Clock, keep: float) -> None:
        self._clock = clock
        self._keep = keep
        self._ends: dict[ObjectKey, tuple[datetime, float]] = {}

    def left(self, live: KubeObject, now: datetime) -> float | None:
        """Return for how many seconds a retired object still rests; None for any other."""
        named, by_wall = removal_of(live), rest_left(live, now)
        if named is None or by_wall is None:
            self._ends.pop(live.key, None)
            return None
        known = self._ends.get(live.key)
        if known is None or known[0] != named:
            left = min(by_wall, kept_for(live, self._keep))
            known = self._ends[live.key] = named, self._clock.monotonic() + left
        return known[1] - self._clock.monotonic()
