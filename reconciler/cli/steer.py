"""`reconciler approve | suspend | resume`: what a person says to the daemon about a source."""

from __future__ import annotations

from rich.console import Console

from reconciler.cli.api import patch
from reconciler.cli.reading import open_world
from reconciler.core.errors import ReconcilerError
from reconciler.model.gitops import Revision
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
    patch(settings, "revisions", revision.metadata.name, change)
    console.print(f"{revision.metadata.name} approved: {revision.status.message}")
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
    newest = max(named, key=lambda r: r.spec.sequence)
    if newest.status.phase != "Held":
        raise NotHeld(f"{newest.metadata.name} is {newest.status.phase}, it waits for no approval")
    return newest


def run_suspend(settings: Settings, console: Console, *, suspend: bool) -> int:
    """Suspend the source, or resume it; return 0. Raises `DaemonUnreachable`."""
    patch(settings, "sources", settings.source_name, {"spec": {"suspend": suspend}})
    console.print(f"source {settings.source_name} {'suspended' if suspend else 'resumed'}")
    return 0
