"""What people say of a source by annotations of its Source object. Pure.

Obeyed by sync; admission warns of words that mean nothing. `reconciler.dev/on-failure` says what
becomes of a revision that fails. `reconciler.dev/pause-windows` has windows separated by commas, in
UTC: `22:00-06:00`, or with days of the week on which they begin: `Fri-Sun 18:00-08:00`,
`Sat 00:00-24:00`. A window that ends before it begins ends on the next day. A word that means
nothing pauses nothing.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

PAUSE_ANNOTATION = "reconciler.dev/pause-windows"
ON_FAILURE_ANNOTATION = "reconciler.dev/on-failure"
ON_FAILURE = ("rollback", "hold")

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = "|".join(_DAYS)
_WINDOW = re.compile(
    rf"(?:(?P<first>{_DAY})(?:-(?P<last>{_DAY}))? )?"
    r"(?P<h1>\d\d):(?P<m1>\d\d)-(?P<h2>\d\d):(?P<m2>\d\d)",
    re.ASCII,
)
_MINUTES_A_DAY = 24 * 60
_MINUTES_AN_HOUR = 60


def pause_windows(text: str) -> list[str]:
    """Return the windows that an annotation lists, whether they mean something or not."""
    return [part.strip() for part in text.split(",")] if text.strip() else []


def is_window(window: str) -> bool:
    """Return whether a text is a window."""
    return _bounds(window) is not None


def window_end(window: str, now: datetime) -> datetime | None:
    """Return when the window ends if it holds at `now`; None when it does not, or is none."""
    bounds = _bounds(window)
    if bounds is None:
        return None
    found, begin, end = bounds
    length = (end - begin) % _MINUTES_A_DAY or _MINUTES_A_DAY
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for day in (midnight, midnight - timedelta(days=1)):
        start = day + timedelta(minutes=begin)
        stop = start + timedelta(minutes=length)
        if start <= now < stop and _begins_on(day.weekday(), found["first"], found["last"]):
            return stop
    return None


def _bounds(window: str) -> tuple[re.Match[str], int, int] | None:
    """Return a window's parts, and the minutes of the day at which it begins and ends."""
    found = _WINDOW.fullmatch(window)
    if found is None:
        return None
    begin, end = _minute(found["h1"], found["m1"]), _minute(found["h2"], found["m2"])
    if begin is None or end is None or begin >= _MINUTES_A_DAY:
        return None
    return found, begin, end


def _minute(hours: str, minutes: str) -> int | None:
    total = int(hours) * _MINUTES_AN_HOUR + int(minutes)
    return total if int(minutes) < _MINUTES_AN_HOUR and total <= _MINUTES_A_DAY else None


def _begins_on(weekday: int, first: str | None, last: str | None) -> bool:
    if first is None:
        return True
    start = _DAYS.index(first)
    days = (_DAYS.index(last) - start) % len(_DAYS) if last else 0
    return (weekday - start) % len(_DAYS) <= days
