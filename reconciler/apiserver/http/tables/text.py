"""Words that cells share: ages, lists, absent values. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from reconciler.model.time import parse_time

NONE = "<none>"
UNKNOWN = "<unknown>"
_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400


def age(timestamp: str | None, now: datetime) -> str:
    """Return how long ago a time is, as duration.HumanDuration says it."""
    if not timestamp:
        return UNKNOWN
    return duration(int((now - parse_time(timestamp)).total_seconds()))


def duration(seconds: int) -> str:
    """Return a duration in at most two units, fewer the longer it is."""
    if seconds < -1:
        return "<invalid>"
    seconds = max(seconds, 0)
    for limit, unit, name, part, part_name in _STEPS:
        if seconds < limit:
            whole, rest = seconds // unit, seconds % unit // part
            return f"{whole}{name}{rest}{part_name}" if rest and part_name else f"{whole}{name}"
    return f"{seconds // _YEAR}y"


# Up to which bound: the unit, its name, the unit of the rest, its name (empty: no rest is told).
_STEPS = (
    (2 * _MINUTE, 1, "s", 1, ""),
    (10 * _MINUTE, _MINUTE, "m", 1, "s"),
    (3 * _HOUR, _MINUTE, "m", 1, ""),
    (8 * _HOUR, _HOUR, "h", _MINUTE, "m"),
    (2 * _DAY, _HOUR, "h", 1, ""),
    (8 * _DAY, _DAY, "d", _HOUR, "h"),
    (2 * _YEAR, _DAY, "d", 1, ""),
    (8 * _YEAR, _YEAR, "y", _DAY, "d"),
)


def labels(pairs: Mapping[str, str]) -> str:
    """Return labels as a selector prints them."""
    return ",".join(f"{key}={pairs[key]}" for key in sorted(pairs)) or NONE


def joined(items: Iterable[str]) -> str:
    """Return a list, `<none>` when it is empty."""
    return ",".join(items) or NONE
