"""`reconciler validate`: check manifests offline. Called by `cli.main`; touches nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from reconciler.core.clock import SystemClock
from reconciler.desired.age import AgeKeys
from reconciler.desired.load import Loader
from reconciler.desired.objects import Desired
from reconciler.desired.problem import Problem
from reconciler.source.offline import read_once
from reconciler.source.snapshot import SourceError

DONE, INVALID = 0, 3


def run_validate(paths: Sequence[Path], console: Console, keys: Path | None = None) -> int:
    """Check the manifests at `paths` and print each problem; return 0, or 3 if there are any.

    `keys` is the file of age identities for what is encrypted.
    """
    try:
        snapshot = read_once(paths, SystemClock())
        desired = Loader(keys=AgeKeys(keys)).load(snapshot)
    except SourceError as error:
        console.print(Text(error.message, style="red"))
        return INVALID
    print_problems(desired, console)
    if desired.problems:
        return INVALID
    files, objects = len(snapshot.files), len(desired.objects)
    console.print(f"{_counted(objects, 'object')} in {_counted(files, 'file')}: all valid")
    return DONE


def print_problems(desired: Desired, console: Console) -> None:
    """Print every problem of a revision with its place, and how many there are."""
    for problem in desired.problems:
        console.print(_lines(problem), soft_wrap=True)
    if desired.problems:
        files = len({problem.path for problem in desired.problems})
        count = _counted(len(desired.problems), "problem")
        console.print(Text(f"{count} in {_counted(files, 'file')}", style="bold red"))


def _lines(problem: Problem) -> Text:
    """Return `file:line:column: field: message`, then the object and the likely fix."""
    text = Text()
    text.append(f"{problem.place}: ", style="bold")
    if problem.field:
        text.append(f"{problem.field}: ", style="cyan")
    text.append(problem.message)
    if problem.object:
        text.append(f"  [{problem.object}]", style="dim")
    if problem.hint:
        text.append(f"\n    hint: {problem.hint}", style="green")
    return text


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
