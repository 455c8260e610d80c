"""Finds the smallest part of a history that still breaks the same law."""

from __future__ import annotations

from collections.abc import Callable

from tests.sim.history import History
from tests.sim.play import Verdict, play

_TRIES = 200


def law(broken: str) -> str:
    """Return the law's name in what a verdict says."""
    return broken.partition(":")[0]


def shrunk(history: History, broken: str, played: Callable[[History], Verdict] = play) -> History:
    """Leave out steps, many at a time at first, as long as the history breaks the same law."""
    kept = history.kept
    size = max(1, len(kept) // 2)
    tries = 0
    while tries < _TRIES:
        smaller = None
        for start in range(1, len(kept), size):
            candidate = kept[:start] + kept[start + size :]
            tries += 1
            if law(played(history.only(candidate)).broken) == law(broken):
                smaller = candidate
                break
        if smaller is not None:
            kept = smaller
        elif size == 1:
            break
        else:
            size //= 2
    return history.only(kept)
