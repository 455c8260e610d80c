"""`reconciler sync`: make the running daemon look at its source now, and wait for the outcome."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.text import Text

from reconciler.cli.api import patch
from reconciler.cli.naming import named
from reconciler.cli.reading import World, open_world
from reconciler.core.ownership import find_owner
from reconciler.model.gitops import Source
from reconciler.model.time import parse_time
from reconciler.settings import Settings
from reconciler.sync.steering import REQUEST_ANNOTATION

OWNERSHIP = "reconciler"
"""The name that a daemon owns, as `app.OWNERSHIP`, which costs too much to import here."""

_POLL_SECONDS = 0.05
_NEWS_SECONDS = 1.0
_DEADLINE_SECONDS = 60.0
_NEVER = "1970-01-01T00:00:00Z"
_BAD = frozenset(("Failed", "Rejected", "Unreachable", "RolledBack"))
_ENDED = _BAD | {"Healthy", "Held", "Suspended"}


def run_sync(settings: Settings, console: Console, name: str = "") -> int:
    """Ask the daemon to look at the source `name`, or at all, and print how they are afterwards.

    Returns 0 when each revision is applied and on its way or Healthy, 1 when there is no daemon,
    a source cannot be read, or a revision was rejected or failed. Raises `SourceUnclear`,
    `DaemonUnreachable`.
    """
    owner = find_owner(OWNERSHIP)
    if owner is None:
        console.print("no daemon runs on this host")
        return 1
    with open_world(settings) as world:
        chosen = named(world.all(Source), name)
        sources = [each.metadata.name for each in chosen]
        asked = datetime.now(UTC)
        if name:
            request = {"metadata": {"annotations": {REQUEST_ANNOTATION: asked.isoformat()}}}
            patch(settings, chosen[0].key, request)
        else:
            os.kill(owner.pid, signal.SIGHUP)
        found = [(each, wait_for_sync(world, each, asked)) for each in sources]
    for each, source in found:
        head = f"{each}: " if len(found) > 1 else ""
        console.print(Text(head + _outcome(source)))
    return 1 if any(s is None or s.status.phase in _BAD for _, s in found) else 0


def _outcome(source: Source | None) -> str:
    if source is None:
        return f"the daemon did not answer within {_DEADLINE_SECONDS:.0f} s"
    status = source.status
    return f"{status.observed_revision[:12]} {status.phase} {status.message}".rstrip()


def wait_for_sync(
    world: World,
    name: str,
    asked: datetime,
    *,
    seconds: float = _DEADLINE_SECONDS,
    news: float = _NEWS_SECONDS,
) -> Source | None:
    """Return the source once it shows the outcome of a sync asked for at `asked`.

    The daemon compares all objects at once (`lastSyncTime`, in whole seconds) and looks at the
    source meanwhile: for `news` seconds a new revision may still come. None when the daemon did
    not answer within `seconds`; a revision that is still on its way then is returned as it is.
    """
    since, before = asked.replace(microsecond=0), ""
    end, settled = asked + timedelta(seconds=seconds), asked + timedelta(seconds=news)
    answered = None
    while (now := datetime.now(UTC)) < end:
        world.refresh()
        source = next((s for s in world.all(Source) if s.metadata.name == name), None)
        if source is not None and parse_time(source.status.last_sync_time or _NEVER) >= since:
            answered, seen = source, source.status.observed_revision
            before = before or seen
            if source.status.phase in _ENDED and (now >= settled or seen != before):
                return source
        time.sleep(_POLL_SECONDS)
    return answered
