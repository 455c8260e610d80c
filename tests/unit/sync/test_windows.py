from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconciler.model.gitops import Source
from reconciler.model.meta import ObjectMeta
from reconciler.model.sourcewords import PAUSE_ANNOTATION
from reconciler.sync.windows import paused_until


def at(day, hour, minute=0):
    """January 2026 began on a Thursday: the 2nd is a Friday."""
    return datetime(2026, 1, day, hour, minute, tzinfo=UTC)


def until(text, now):
    notes = {PAUSE_ANNOTATION: text}
    return paused_until(Source(metadata=ObjectMeta(name="main", annotations=notes)), now)


@pytest.mark.parametrize(
    ("text", "now", "end"),
    [
        ("09:00-10:30", at(1, 9), at(1, 10, 30)),
        ("09:00-10:30", at(1, 10, 30), None),
        ("22:00-06:00", at(1, 23), at(2, 6)),
        ("22:00-06:00", at(2, 5, 59), at(2, 6)),
        ("Fri 18:00-08:00", at(3, 7), at(3, 8)),
        ("Fri 18:00-08:00", at(1, 19), None),
        ("Fri-Sun 00:00-24:00", at(4, 12), at(5, 0)),
        ("Fri-Sun 00:00-24:00", at(5, 0), None),
        ("Sat-Mon 10:00-11:00", at(5, 10), at(5, 11)),
        ("09:00-10:00, 09:30-12:00", at(1, 9, 45), at(1, 12)),
        ("00:00-00:00", at(1, 3), at(2, 0)),
        ("", at(1, 9), None),
        ("25:00-26:00, noon, 09:77-10:00", at(1, 9), None),
    ],
)
def test_a_window_holds_from_its_begin_to_its_end(text, now, end):
    assert until(text, now) == end


def test_without_a_source_object_nothing_is_paused():
    assert paused_until(None, at(1, 9)) is None
