"""When no new revision is taken up: pause windows. Pure.

Called by the loop. `reconciler.dev/pause-windows` on the Source object has windows separated by
commas, in UTC: `22:00-06:00`, or with days of the week on which they begin: `Fri-Sun 18:00-08:00`,
`Sat 00:00-24:00`. A window that ends before it begins ends on the next day. A word that means
nothing pauses nothing.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from reconciler.model.gitops import Source

PAUSE_ANNOTATION = "reconciler.dev/pause-windows"

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = "|".join(_DAYS)
_WINDOW = re.compile(
    rf"(?:(?P<first>{_DAY})(?:-(?P<last>{_DAY}))? )?"
    r"(?P<h1>\d\d):(?P<m1>\d\d)-(?P<h2>\d\d):(?P<m2>\d\d)",
    re.ASCII,
)
_MINUTES_A_DAY = 24 * 60
_MINUTES_AN_HOUR = 60


def paused_until(source: Source | None, now: datetime) -> datetime | None:
    """Return when the pause ends that holds at `now`, None when none does."""
    text = source.metadata.annotations.get(PAUSE_ANNOTATION, "") if source is not None else ""
    ends = [end for part in text.split(",") if (end := _end(part.strip(), now)) is not None]
    return max(ends, default=None)


def _end(window: str, now: datetime) -> datetime | None:
    found = _WINDOW.fullmatch(window)
    if found is None:
        return None
    begin, end = _minute(found["h1"], found["m1"]), _minute(found["h2"], found["m2"])
    if begin is None or end is None or begin >= _MINUTES_A_DAY:
        return None
    length = (end - begin) % _MINUTES_A_DAY or _MINUTES_A_DAY
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for day in (midnight, midnight - timedelta(days=1)):
        start = day + timedelta(minutes=begin)
        stop = start + timedelta(minutes=length)
        if start <= now < stop and _begins_on(day.weekday(), found["first"], found["last"]):
            return stop
    return None


def _minute(hours: str, minutes: str) -> int | None:
    total = int(hours) * _MINUTES_AN_HOUR + int(minutes)
    return total if int(minutes) < _MINUTES_AN_HOUR and total <= _MINUTES_A_DAY else None


def _begins_on(weekday: int, first: str | None, last: str | None) -> bool:
    if first is None:
        return True
    start = _DAYS.index(first)
    days = (_DAYS.index(last) - start) % len(_DAYS) if last else 0
    return (weekday - start) % len(_DAYS) <= days
