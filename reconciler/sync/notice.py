"""What a person is told who writes a declared object by hand: its file, and what becomes of it.

Called by the loop for the API, which puts the text into a Warning header. Pure.
"""

from __future__ import annotations

from datetime import datetime

from reconciler.desired.objects import DesiredObject
from reconciler.model.meta import KubeObject
from reconciler.model.time import format_time
from reconciler.sync.leeway import BREAK_GLASS_ANNOTATION, DRIFT_ANNOTATION, break_glass, drift_mode


def notice(
    wanted: DesiredObject, live: KubeObject | None, now: datetime, *, suspended: bool
) -> str:
    """Return what becomes of a write that left `live`; None when it deleted the object."""
    return f"Git declares this object in {wanted.place}: {_fate(wanted, live, now, suspended)}"


def _fate(wanted: DesiredObject, live: KubeObject | None, now: datetime, suspended: bool) -> str:
    until = break_glass(live, now) if live is not None else None
    mode = drift_mode(wanted)
    if until is not None:
        return f"it stays as it is until {format_time(until)} ({BREAK_GLASS_ANNOTATION})"
    if mode != "correct":
        reported = "the difference is reported, and stays" if mode == "report" else "it stays"
        return f"{reported} as it is until the file changes ({DRIFT_ANNOTATION}: {mode})"
    change = (
        "it is made again"
        if live is None or live.metadata.deletion_timestamp
        else "what differs from the file is taken back"
    )
    when = " when the source is resumed" if suspended else ""
    return f"{change}{when}; change the file instead"
