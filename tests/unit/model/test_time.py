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


def test_stored_form_is_reached_once() -> None:
    assert time.decode_time("2026-01-02T05:04:05.9+02:00") == "2026-01-02T03:04:05Z"
    assert time.decode_time("2026-01-02T03:04:05Z") == "2026-01-02T03:04:05Z"
    assert time.decode_time(None) is None
    assert time.decode_micro_time("2026-01-02T03:04:05Z") == "2026-01-02T03:04:05.000000Z"
