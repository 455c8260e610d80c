"""RFC 3339 times as Kubernetes writes them: UTC, whole seconds or microseconds.

Called by whoever puts a time into an object. Pure: the present comes from a `Clock`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)


LONGEST_SECONDS = ((1 << 63) - 1) // 10**9
"""The seconds that Go's time.Duration can hold: 292 years."""


def span(seconds: int) -> timedelta:
    """Return whole seconds that somebody wrote as an int64, at most `LONGEST_SECONDS` of them.

    Kubernetes bounds neither grace periods nor tolerations; Python's own spans are shorter.
    """
    return timedelta(seconds=max(-LONGEST_SECONDS, min(seconds, LONGEST_SECONDS)))


def format_time(moment: datetime) -> str:
    """Return `moment` as metav1.Time writes it: "2026-01-02T03:04:05Z"."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def format_micro_time(moment: datetime) -> str:
    """Return `moment` as metav1.MicroTime writes it: "2026-01-02T03:04:05.000000Z"."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def parse_time(text: str) -> datetime:
    """Return the moment that `text` names, in UTC; raises `ValueError` when it is no RFC 3339."""
    if _RFC3339.fullmatch(text) is None:
        raise ValueError(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse')
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(_out_of_range(text, error)) from error


def _out_of_range(text: str, error: Exception) -> str:
    """Return what Go says of a time with a part that no time has."""
    part, _, _ = str(error).partition(" ")
    named = part if part in ("month", "day", "hour", "minute", "second") else "year"
    return f'parsing time "{text}": {named} out of range'


def decode_time(value: Any) -> Any:
    """Bring a JSON value for a Time to whole seconds in UTC; null stays absence."""
    return _whole_seconds(value) if type(value) is str else value


@lru_cache(maxsize=1024)
def _whole_seconds(text: str) -> str:
    """Objects that are read together were mostly written within the same few seconds."""
    moment = parse_time(text)
    return text if _SECONDS.fullmatch(text) else format_time(moment)


def decode_micro_time(value: Any) -> Any:
    """Bring a JSON value for a MicroTime to microseconds in UTC."""
    return format_micro_time(parse_time(value)) if type(value) is str else value


_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """Return the seconds of a Go duration ("10s", "1m30s"); what is no duration counts nothing."""
    return sum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(text))
