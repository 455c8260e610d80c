"""`reconciler history`: the revisions of the sources, newest first."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reconciler.cli.reading import open_world
from reconciler.model.gitops import Revision
from reconciler.settings import Settings

_SHORT = 12
_STYLES = {"Healthy": "green", "Rejected": "red", "Failed": "red"}


def run_history(settings: Settings, console: Console) -> int:
    """Print a line per revision: commit, author, time, outcome, duration of each phase."""
    with open_world(settings) as world:
        revisions = sorted(world.all(Revision), key=lambda r: (r.spec.source, -r.spec.sequence))
    if not revisions:
        console.print("no revision has been seen yet")
        return 0
    console.print(history_table(revisions))
    for revision in revisions:
        for error in revision.status.errors[:1] if revision is revisions[0] else ():
            console.print(Text(f"newest: {error.file}:{error.line}: {error.message}", "red"))
    return 0


def history_table(revisions: list[Revision]) -> Table:
    """Return the revisions, in the order given, as a table."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("SOURCE", "#", "REVISION", "AUTHOR", "TIME", "OUTCOME", "PHASES", "MESSAGE"):
        table.add_column(name, overflow="fold")
    for revision in revisions:
        spec, phase = revision.spec, revision.status.phase
        table.add_row(
            spec.source,
            str(spec.sequence),
            spec.revision[:_SHORT],
            Text(spec.author),
            spec.time or "",
            Text(phase or "Fetched", _STYLES.get(phase, "yellow")),
            durations(revision),
            Text(_said(revision)),
        )
    return table


def durations(revision: Revision) -> str:
    """Return what each phase took from the one before: "Planned 0.02s Healthy 3.1s"."""
    steps = revision.status.steps[1:]
    return " ".join(f"{step.phase} {step.duration_seconds:.2f}s" for step in steps)


def _said(revision: Revision) -> str:
    title = revision.spec.message.partition("\n")[0]
    status = revision.status
    why = "" if status.phase in ("", "Healthy") else status.message
    return f"{title} ({why})" if title and why else title or why
