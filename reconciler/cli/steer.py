"""`reconciler approve | suspend | resume`: what a person says to the daemon about a source."""

from __future__ import annotations

from rich.console import Console

from reconciler.cli.api import patch
from reconciler.cli.naming import one
from reconciler.cli.reading import open_world
from reconciler.core.errors import ReconcilerError
from reconciler.model.gitops import Revision, Source
from reconciler.settings import Settings
from reconciler.sync.care import APPROVE_ANNOTATION


class NotHeld(ReconcilerError):
    """The revision does not wait for anybody."""


def run_approve(settings: Settings, console: Console, wanted: str) -> int:
    """Approve the plan that the revision `wanted` (name, or start of its id) waits with; return 0.

    Bound to the plan's hash: when the plan changes meanwhile, it waits again. Raises `NotHeld`,
    `DaemonUnreachable`.
    """
    with open_world(settings) as world:
        revision = held_revision(world.all(Revision), wanted)
    change = {"metadata": {"annotations": {APPROVE_ANNOTATION: revision.status.plan_hash}}}
    patch(settings, revision.key, change)
    reason = revision.status.message.rpartition("; `reconciler approve")[0]
    console.print(f"{revision.metadata.name} approved: {reason}")
    return 0


def held_revision(revisions: list[Revision], wanted: str) -> Revision:
    """Return the newest held revision that `wanted` names; raises `NotHeld`."""
    named = [
        each
        for each in revisions
        if each.metadata.name == wanted or (wanted and each.spec.revision.startswith(wanted))
    ]
    if not named:
        raise NotHeld(f"there is no revision {wanted!r}; `reconciler history` lists them")
    owners = sorted({each.spec.source for each in named})
    if len(owners) > 1:
        names = ", ".join(sorted(each.metadata.name for each in named))
        raise NotHeld(f"{wanted!r} is a revision of several sources; name one of {names}")
    newest = max(named, key=lambda r: r.spec.sequence)
    if newest.status.phase != "Held":
        raise NotHeld(f"{newest.metadata.name} is {newest.status.phase}, it waits for no approval")
    return newest


def run_suspend(settings: Settings, console: Console, name: str = "", *, suspend: bool) -> int:
    """Suspend the source `name`, or resume it; return 0. It may be left out when it is the one.

    Raises `DaemonUnreachable`, `SourceUnclear`.
    """
    with open_world(settings) as world:
        source = one(world.all(Source), name)
    patch(settings, source.key, {"spec": {"suspend": suspend}})
    name = source.metadata.name
    console.print(f"source {name} {'suspended' if suspend else 'resumed'}")
    return 0
