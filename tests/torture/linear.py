"""Is a recorded history of a store linearizable? Pure.

The store numbers its writes, so the order of those that took effect is given; what is checked is
that this order respects real time, that each write replaced what it expected, and that every read
and every refused write can be placed at a moment between its call and its answer at which it was
true. Earliest placement decides that exactly: an operation's earliest place is bounded by what it
saw and by what had ended before it began.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from math import inf

PENDING = inf
"""The answer of an operation that a crash cut off: it may take effect at any later time."""


@dataclass(frozen=True, slots=True)
class Wrote:
    """A write of `name` that took effect as `revision`, replacing revision `base` (0: nothing)."""

    name: str
    base: int
    revision: int
    called: float
    answered: float = PENDING
    removes: bool = False


@dataclass(frozen=True, slots=True)
class Saw:
    """A read, or a refused write, that found `name` at `revision` (0: not there)."""

    name: str
    revision: int
    called: float
    answered: float


def violation(writes: Iterable[Wrote], sights: Sequence[Saw]) -> str:
    """Return what cannot be in any linear history; "" for a history that is linearizable."""
    ordered = sorted(writes, key=lambda write: write.revision)
    return _broken_chain(ordered) or _time_travel(ordered) or _impossible_sight(ordered, sights)


def _broken_chain(ordered: Sequence[Wrote]) -> str:
    state: dict[str, int] = {}
    last = 0
    for write in ordered:
        if write.revision == last:
            return f"revision {write.revision} was given twice"
        last = write.revision
        if write.base != state.get(write.name, 0):
            found = state.get(write.name, 0)
            return f"{write} took effect over revision {found}: an update was lost"
        state[write.name] = 0 if write.removes else write.revision
    return ""


def _time_travel(ordered: Sequence[Wrote]) -> str:
    """A write that was answered before another was called has the lower revision."""
    latest_call, later = -inf, None
    for write in ordered:
        if write.answered < latest_call:
            return f"{write} was answered before {later}, of a lower revision, was called"
        if write.called > latest_call:
            latest_call, later = write.called, write
    return ""


def _impossible_sight(ordered: Sequence[Wrote], sights: Sequence[Saw]) -> str:
    begins, ends = _lifetimes(ordered)
    place = {write.revision: at for at, write in enumerate(ordered, start=1)}
    steps = sorted([*ordered, *sights], key=lambda each: each.called)
    ended: list[tuple[float, int]] = []
    earliest = 0
    for step in steps:
        while ended and ended[0][0] < step.called:
            earliest = max(earliest, heappop(ended)[1])
        if isinstance(step, Wrote):
            if earliest >= place[step.revision]:
                return f"{step} comes after something that was seen only once it had happened"
            heappush(ended, (step.answered, place[step.revision]))
            continue
        span = _span(step, begins, ends, earliest)
        if span is None:
            return f"{step} saw a state that was over, or that never was"
        heappush(ended, (step.answered, span))
    return ""


def _lifetimes(
    ordered: Sequence[Wrote],
) -> tuple[dict[tuple[str, int], list[int]], dict[tuple[str, int], list[float]]]:
    """Return the places at which each state of a name begins, and those at which it is over."""
    begins: dict[tuple[str, int], list[int]] = {(write.name, 0): [0] for write in ordered}
    ends: dict[tuple[str, int], list[float]] = {}
    state: dict[str, int] = {}
    for at, write in enumerate(ordered, start=1):
        ends.setdefault((write.name, state.get(write.name, 0)), []).append(at)
        state[write.name] = 0 if write.removes else write.revision
        if write.removes:
            begins[write.name, 0].append(at)
        else:
            begins[write.name, write.revision] = [at]
    return begins, ends


def _span(
    sight: Saw,
    begins: dict[tuple[str, int], list[int]],
    ends: dict[tuple[str, int], list[float]],
    earliest: int,
) -> int | None:
    """Return the earliest place at which the sight is true, `None` when there is none."""
    state = (sight.name, sight.revision)
    if state not in begins:
        return 0 if not sight.revision else None
    over = [*ends.get(state, []), inf]
    for begin, end in zip(begins[state], over, strict=False):
        if max(begin, earliest) < end:
            return max(begin, earliest)
    return None
