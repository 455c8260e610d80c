"""`reconciler sync`: make the running daemon look at its source now, and wait for the outcome."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.text import Text

from reconciler.cli.reading import World, open_world
from reconciler.core.ownership import find_owner
from reconciler.model.gitops import Source
from reconciler.model.time import parse_time
from reconciler.settings import Settings

OWNERSHIP = "reconciler"
"""The name that a daemon owns, as `app.OWNERSHIP`, which costs too much to import here."""

_POLL_SECONDS = 0.05
_DEADLINE_SECONDS = 60.0
_ENDED = frozenset(("Healthy", "Failed", "Rejected", "Unreachable"))


def run_sync(settings: Settings, console: Console) -> int:
    """Signal the daemon (SIGHUP) and print what its source is afterwards.

    Returns 0 when the revision is applied and on its way or Healthy, 1 when there is no daemon,
    the source cannot be read, or the revision was rejected or failed.
    """
    owner = find_owner(OWNERSHIP)
    if owner is None:
        console.print("no daemon runs on this host")
        return 1
    with open_world(settings) as world:
        asked = datetime.now(UTC)
        os.kill(owner.pid, signal.SIGHUP)
        source = wait_for_sync(world, settings.source_name, asked)
    if source is None:
        console.print(f"the daemon did not answer within {_DEADLINE_SECONDS:.0f} s")
        return 1
    status = source.status
    console.print(Text(f"{status.observed_revision[:12]} {status.phase} {status.message}".rstrip()))
    return 1 if status.phase in ("Failed", "Rejected", "Unreachable") else 0


def wait_for_sync(
    world: World, name: str, asked: datetime, *, seconds: float = _DEADLINE_SECONDS
) -> Source | None:
    """Return the source once it shows the outcome of a sync asked for at `asked`.

    Times of the API have whole seconds. None when nothing was shown within `seconds`; a revision
    still on its way then is returned as it is.
    """
    since = asked.replace(microsecond=0)
    end = datetime.now(UTC) + timedelta(seconds=seconds)
    answered = None
    while datetime.now(UTC) < end:
        world.refresh()
        source = next((s for s in world.all(Source) if s.metadata.name == name), None)
        if source is not None and _answers(source, since):
            answered = source
            if source.status.phase in _ENDED:
                return source
        time.sleep(_POLL_SECONDS)
    return answered


def _answers(source: Source, since: datetime) -> bool:
    status = source.status
    if status.phase in ("Unreachable", "Rejected"):
        return True
    return bool(status.last_sync_time) and parse_time(status.last_sync_time or "") >= since
