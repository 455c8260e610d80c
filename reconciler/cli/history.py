"""`reconciler history`: the revisions of the sources, newest first."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from reconciler.cli.naming import named
from reconciler.cli.reading import open_world
from reconciler.model.gitops import Revision, RevisionCasualty, Source
from reconciler.settings import Settings
from reconciler.sync.report import describe

_SHORT = 12
_ERRORS = 3
_CASUALTIES = 3
_LOG_LINES = 5
_STYLES = {"Healthy": "green", "Rejected": "red", "RolledBack": "red", "Failed": "red"}


def run_history(settings: Settings, console: Console, name: str = "") -> int:
    """Print each revision: commit, author, time, outcome, duration of each phase; return 0.

    Those of the source `name`, or of all. Raises `SourceUnclear`.
    """
    with open_world(settings) as world:
        sources = {each.metadata.name for each in named(world.all(Source), name)}
        revisions = [r for r in world.all(Revision) if not name or r.spec.source in sources]
    if not revisions:
        console.print("no revision has been seen yet")
        return 0
    for revision in newest_first(revisions):
        console.print(lines_of(revision), soft_wrap=True)
    return 0


def newest_first(revisions: Iterable[Revision]) -> list[Revision]:
    """Return the revisions of each source, newest first."""
    return sorted(revisions, key=lambda r: (r.spec.source, -r.spec.sequence))


def lines_of(revision: Revision) -> Text:
    """Return one revision as a heading and indented lines."""
    spec, status = revision.spec, revision.status
    phase = status.phase or "Fetched"
    text = Text.assemble(
        (f"{spec.source} #{spec.sequence} ", "bold"),
        f"{spec.revision[:_SHORT]}  ",
        (phase, _STYLES.get(phase, "yellow")),
        f"  {spec.time or ''}  {spec.author}",
    )
    for line in _details(revision):
        text.append(f"\n    {line}")
    return text


def durations(revision: Revision) -> str:
    """Return what each phase took from the one before: "Planned 0.02s, Healthy 3.10s"."""
    steps = revision.status.steps[1:]
    return ", ".join(f"{step.phase} {step.duration_seconds:.2f}s" for step in steps)


def _details(revision: Revision) -> list[str]:
    status = revision.status
    title = revision.spec.message.partition("\n")[0]
    why = "" if status.phase in ("", "Healthy") else status.message
    lines = [title, durations(revision), why]
    errors = (describe(error) for error in status.errors[:_ERRORS])
    lines += [each for each in errors if each not in why]
    lines += [line for lost in status.casualties[:_CASUALTIES] for line in _casualty(lost)]
    return [line for line in lines if line]


def _casualty(lost: RevisionCasualty) -> list[str]:
    """Return how a container ended, and below it the last lines of its log."""
    code = f"exit code {lost.exit_code}" if lost.exit_code is not None else ""
    plural = "s" if lost.restarts != 1 else ""
    restarts = f"{lost.restarts} restart{plural}" if lost.restarts else ""
    words = ", ".join(part for part in (lost.reason, code, restarts) if part)
    said = lost.message.strip().partition("\n")[0]
    head = f"{lost.namespace}/{lost.pod} {lost.container}: {words}"
    log = lost.log.rstrip().splitlines()[-_LOG_LINES:]
    return [f"{head}: {said}" if said else head, *(f"  | {line}" for line in log)]
