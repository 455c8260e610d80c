"""The checker finds what it is there to find, and accepts what is right."""

from __future__ import annotations

import pytest

from tests.torture.linear import Saw, Wrote, violation

FIRST = Wrote("a", 0, 1, called=1, answered=2)
SECOND = Wrote("a", 1, 2, called=3, answered=4)

GOOD = {
    "one after the other": ([FIRST, SECOND], [Saw("a", 0, 0, 0.5), Saw("a", 2, 5, 6)]),
    "a read beside a write may see either": (
        [FIRST, SECOND],
        [Saw("a", 1, 3, 4), Saw("a", 2, 3.5, 3.6)],
    ),
    "a write that was cut off may show": ([FIRST, Wrote("a", 1, 2, called=3)], [Saw("a", 2, 9, 9)]),
    "gone and made again": (
        [FIRST, Wrote("a", 1, 2, 3, 4, removes=True), Wrote("a", 0, 3, 5, 6)],
        [Saw("a", 0, 4.5, 4.6), Saw("a", 3, 7, 8)],
    ),
    "never written": ([], [Saw("b", 0, 1, 2)]),
}

BAD = {
    "a lost update": ([FIRST, Wrote("a", 0, 2, 3, 4)], [], "an update was lost"),
    "a revision twice": ([FIRST, Wrote("b", 0, 1, 3, 4)], [], "given twice"),
    "an acknowledged write that is gone": ([], [Saw("a", 1, 5, 6)], "never was"),
    "a stale read": ([FIRST, SECOND], [Saw("a", 1, 5, 6)], "was over"),
    "a read of the future": ([FIRST, SECOND], [Saw("a", 2, 1, 2.5)], "comes after something"),
    "going back between two reads": (
        [FIRST, Wrote("a", 1, 2, called=3, answered=9)],
        [Saw("a", 2, 4, 5), Saw("a", 1, 6, 7)],
        "was over",
    ),
    "two keys seen in two orders": (
        [Wrote("a", 0, 1, 1, 9), Wrote("b", 0, 2, 1, 9)],
        [Saw("b", 2, 2, 3), Saw("a", 0, 4, 5)],
        "was over",
    ),
    "revisions against time": (
        [Wrote("a", 0, 2, 1, 2), Wrote("b", 0, 1, 3, 4)],
        [],
        "was answered before",
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_right_histories_pass(name: str) -> None:
    assert violation(*GOOD[name]) == ""


@pytest.mark.parametrize("name", BAD)
def test_wrong_histories_are_found(name: str) -> None:
    writes, sights, reason = BAD[name]
    assert reason in violation(writes, sights)
