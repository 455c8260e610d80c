"""Refusals, failures and plans in the words of a Revision object. Pure.

Called by the loop; the command line prints the same objects.
"""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.desired.problem import Problem
from reconciler.model.gitops import RevisionCounts, RevisionError
from reconciler.sync.actions import Adopt, Apply, Create, End, Replace
from reconciler.sync.execute import Failure
from reconciler.sync.plan import Plan
from reconciler.sync.refusal import Refusal


def counts_of(plan: Plan, objects: int) -> RevisionCounts:
    """Return how many of `objects` declared ones the plan creates, changes and leaves alone."""
    created = sum(isinstance(action, Create) for action in plan.actions)
    updated = sum(isinstance(action, Apply | Adopt | Replace) for action in plan.actions)
    pruned = sum(isinstance(action, End) for action in plan.actions)
    return RevisionCounts(
        objects=objects,
        created=created,
        updated=updated,
        unchanged=max(0, objects - created - updated),
        pruned=pruned,
    )


def problem_errors(problems: Iterable[Problem]) -> tuple[RevisionError, ...]:
    """Return what is wrong in the files of a revision, with the likely fix where there is one."""
    return tuple(
        RevisionError(
            file=problem.path,
            line=problem.line,
            column=problem.column,
            object=problem.object,
            field=problem.field,
            message=f"{problem.message} ({problem.hint})" if problem.hint else problem.message,
        )
        for problem in problems
    )


def refusal_errors(refusals: Iterable[Refusal]) -> tuple[RevisionError, ...]:
    """Return the reasons why a plan cannot be followed."""
    return tuple(
        RevisionError(
            file=refusal.origin.path if refusal.origin else "",
            line=refusal.origin.line if refusal.origin else 0,
            object=str(refusal.key) if refusal.key else "",
            field=refusal.path,
            message=refusal.message,
        )
        for refusal in refusals
    )


def failure_errors(failures: Iterable[Failure]) -> tuple[RevisionError, ...]:
    """Return what the API refused."""
    return tuple(
        RevisionError(
            file=failure.origin.path if failure.origin else "",
            line=failure.origin.line if failure.origin else 0,
            object=str(failure.key),
            field=failure.path,
            message=failure.message,
        )
        for failure in failures
    )


def describe(error: RevisionError) -> str:
    """Return one line: file:line:column, object, field path, message."""
    place = ":".join(str(part) for part in (error.file, error.line, error.column) if part)
    return ": ".join(part for part in (place, error.object, error.field, error.message) if part)
