import re
from datetime import UTC, datetime, timedelta, timezone

import pytest

from reconciler.model import time


def test_times_are_written_in_utc() -> None:
    moment = datetime(2026, 1, 2, 5, 4, 5, 678901, timezone(timedelta(hours=2)))
    assert time.format_time(moment) == "2026-01-02T03:04:05Z"
    assert time.format_micro_time(moment) == "2026-01-02T03:04:05.678901Z"


def test_reading() -> None:
    assert time.parse_time("2026-01-02T05:04:05+02:00") == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    for text in ("", "2026-01-02", "2026-01-02T03:04:05", "now", "2026-13-02T03:04:05Z"):
        with pytest.raises(ValueError):  # noqa: PT011 - datetime's own words differ
            time.parse_time(text)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("2026-13-02T03:04:05Z", "month"),
        ("2026-02-30T03:04:05Z", "day"),
        ("2026-02-03T24:04:05Z", "hour"),
        ("2026-02-03T03:60:05Z", "minute"),
        ("2026-02-03T03:04:60Z", "second"),
        ("0001-01-01T00:00:00+01:00", "year"),
        ("9999-12-31T23:59:59-01:00", "year"),
        ("0000-01-01T00:00:00Z", "year"),
    ],
)
def test_a_part_out_of_range_is_named(text: str, part: str) -> None:
    told = f'parsing time "{text}": {part} out of range'
    for read in (time.parse_time, time.decode_time, time.decode_micro_time):
        with pytest.raises(ValueError, match=re.escape(told)):
            read(text)


def test_a_span_is_one_that_go_can_hold() -> None:
    assert time.span(30) == timedelta(seconds=30)
    assert time.span((1 << 63) - 1) == timedelta(seconds=time.LONGEST_SECONDS)
    assert time.span(-(1 << 63)) == -timedelta(seconds=time.LONGEST_SECONDS)


def test_stored_form_is_reached_once() -> None:
    assert time.decode_time("2026-01-02T05:04:05.9+02:00") == "2026-01-02T03:04:05Z"
    assert time.decode_time("2026-01-02T03:04:05Z") == "2026-01-02T03:04:05Z"
    assert time.decode_time(None) is None
    assert time.decode_micro_time("2026-01-02T03:04:05Z") == "2026-01-02T03:04:05.000000Z"
