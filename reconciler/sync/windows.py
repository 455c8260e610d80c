"""When no new revision is taken up: the pause windows of a source. Pure; called by the loop."""

from __future__ import annotations

from datetime import datetime

from reconciler.model.gitops import Source
from reconciler.model.sourcewords import PAUSE_ANNOTATION, pause_windows, window_end


def paused_until(source: Source | None, now: datetime) -> datetime | None:
    """Return when the pause ends that holds at `now`, None when none does."""
    text = source.metadata.annotations.get(PAUSE_ANNOTATION, "") if source is not None else ""
    ends = [end for part in pause_windows(text) if (end := window_end(part, now)) is not None]
    return max(ends, default=None)
