"""A plan as people and programs read it. Pure; called by `reconciler plan`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

from rich.text import Text

from reconciler.cli.fit import Fit
from reconciler.cli.planlines import Lines
from reconciler.cli.planpulls import Lacking
from reconciler.desired.asked import Spot
from reconciler.model.gitops import RevisionError
from reconciler.model.time import format_time
from reconciler.sync.actions import (
    Action,
    Adopt,
    Apply,
    Await,
    Create,
    End,
    Prune,
    Release,
    Replace,
    Retire,
)
from reconciler.sync.data import DataEffect
from reconciler.sync.fields import ABSENT, REDACTED, FieldChange
from reconciler.sync.plan import Plan
from reconciler.sync.report import counts_of
from reconciler.sync.workloads import PodEffect


@dataclass(frozen=True, slots=True)
class Warnings:
    """What a person should know of a plan before it is followed.

    `held` says why it would wait for approval, "" when it would not; `data` says what becomes of
    volumes' data, `fit` which pods find no room or make others leave, `pulls` which images come to
    which nodes first; `digest` is the plan's hash.
    """

    held: str = ""
    data: tuple[DataEffect, ...] = ()
    fit: Fit = field(default_factory=Fit)
    digest: str = ""
    pulls: tuple[Lacking, ...] = ()


_QUIET = Warnings()
_VALUE_LENGTH = 100
_VERBS: dict[type[Action], str] = {
    Create: "create",
    Apply: "change",
    Adopt: "adopt",
    Replace: "replace",
    Retire: "retire",
    Prune: "delete",
    Release: "release",
    Await: "wait",
}
_SIGNS = {
    "create": ("+", "green"),
    "change": ("~", "yellow"),
    "adopt": ("~", "yellow"),
    "replace": ("±", "magenta"),
    "retire": ("-", "yellow"),
    "delete": ("-", "red"),
    "release": ("-", "red"),
    "wait": (".", "cyan"),
}
_FATES = {
    "start": ("+", "green"),
    "stop": ("-", "red"),
    "replace": ("±", "magenta"),
    "in-place": ("~", "yellow"),
    "orphan": (".", "cyan"),
}


def as_text(
    plan: Plan,
    effects: Sequence[PodEffect],
    objects: int,
    lines: Lines,
    warnings: Warnings = _QUIET,
) -> Text:
    """Return the plan as lines: objects with their fields, pods, warnings, then a sum."""
    text = Text()
    for action in plan.actions:
        _action_lines(text, action, lines)
    for each in warnings.pulls:
        sign, style = ("!", "bold red") if each.never else ("+", "green")
        text.append(f"{sign} pull    ", style).append(each.image, "bold").append(
            f"  {each}\n", "dim"
        )
    if effects:
        text.append("pods\n", "bold")
    for effect in effects:
        _effect_line(text, effect, lines)
    for loss in warnings.data:
        _data_line(text, loss)
    for sentence in warnings.fit.preempted:
        text.append(f"preempted: {sentence}\n", "bold yellow")
    for sentence in warnings.fit.misfits:
        text.append(f"does not fit: {sentence}\n", "bold red")
    if warnings.held:
        text.append(f"waits for approval: {warnings.held}\n", "bold yellow")
    counts = counts_of(plan, objects)
    text.append(
        f"{counts.created} to create, {counts.updated} to change, {counts.pruned} to remove, "
        f"{counts.unchanged} unchanged"
    )
    return text


def as_json(
    plan: Plan, effects: Sequence[PodEffect], lines: Lines, warnings: Warnings = _QUIET
) -> str:
    """Return the plan as one JSON document: `actions`, `pods`, and what to know before."""
    document = {
        "actions": [_action_json(action, lines) for action in plan.actions],
        "pods": [_effect_json(effect, lines) for effect in effects],
        "data": [_data_json(each) for each in warnings.data],
        "pulls": [
            {"image": p.image, "node": p.node, "never": p.never, "unsure": p.unsure}
            for p in warnings.pulls
        ],
        "preempted": list(warnings.fit.preempted),
        "misfits": list(warnings.fit.misfits),
        "held": warnings.held,
        "hash": warnings.digest,
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def errors_as_json(errors: Sequence[RevisionError]) -> str:
    """Return why there is no plan as one JSON document: `errors`, each with its place."""
    found = [
        {
            "file": each.file,
            "line": each.line,
            "column": each.column,
            "object": each.object,
            "field": each.field,
            "message": each.message,
        }
        for each in errors
    ]
    return json.dumps({"errors": found}, indent=2, ensure_ascii=False)


def verb_of(action: Action) -> str:
    """Return what an action does, in one word."""
    return _VERBS[type(action)]


def _action_lines(text: Text, action: Action, lines: Lines) -> None:
    verb = verb_of(action)
    sign, style = _SIGNS[verb]
    text.append(f"{sign} {verb:7} ", style).append(f"{action.key}", "bold")
    text.append(f"  {_why(action)}\n", "dim")
    for change in _changes(action):
        text.append(f"    {change.path}: {_value(change.old)} → {_value(change.new)}")
        by = f" (was set by {change.owner})" if change.owner else ""
        text.append(f"  {lines.of(action.key, change)}{by}\n", "dim")


def _why(action: Action) -> str:
    match action:
        case Retire():
            return f"no longer declared; rests, is removed at {format_time(action.until)}"
        case Prune():
            orphan = "; its pods stay" if action.propagation == "Orphan" else ""
            return f"no longer declared{orphan}"
        case Release():
            return "no longer declared; it may not be deleted"
        case Await():
            return f"{action.reason}; {action.origin}"
        case Adopt():
            return f"{action.origin}; was {action.former or 'nobody'}'s"
        case Create() | Apply() | Replace():
            return str(action.origin)
        case _:
            assert_never(action)


def _changes(action: Action) -> tuple[FieldChange, ...]:
    return action.changes if isinstance(action, Apply | Adopt | Replace) else ()


def _value(value: Any) -> str:
    if value in (ABSENT, REDACTED):
        return str(value)
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _VALUE_LENGTH else text[: _VALUE_LENGTH - 1] + "…"


def _effect_line(text: Text, effect: PodEffect, lines: Lines) -> None:
    sign, style = _FATES[effect.fate]
    many = f" x{effect.count}" if effect.count > 1 else ""
    text.append(f"{sign} {effect.fate:7} ", style)
    text.append(f"{effect.namespace}/{effect.pod}{many}", "bold")
    text.append(f" [{', '.join(effect.containers)}]" if effect.containers else "")
    text.append(f"  {effect.cause}{' (with a gap)' if effect.gap else ''}", "dim")
    spot = lines.at(effect.of, effect.cause)
    text.append(f"  {spot}\n" if spot else "\n", "dim")


def _data_line(text: Text, effect: DataEffect) -> None:
    sign, style = ("-", "red") if effect.fate == "wipe" else (".", "cyan")
    text.append(f"{sign} {effect.fate:7} ", style)
    text.append(f"volume {effect.volume}", "bold")
    text.append(f" of claim {effect.claim}  reclaim policy {effect.policy}; {effect.cause} goes\n")


def _data_json(effect: DataEffect) -> dict[str, str]:
    return {
        "fate": effect.fate,
        "volume": effect.volume,
        "claim": effect.claim,
        "policy": effect.policy,
        "cause": str(effect.cause),
    }


def _action_json(action: Action, lines: Lines) -> dict[str, Any]:
    key = action.key
    body: dict[str, Any] = {
        "action": verb_of(action),
        "kind": key.kind,
        "namespace": key.namespace,
        "name": key.name,
        "reason": _why(action),
    }
    if isinstance(action, Retire):
        body["until"] = format_time(action.until)
    if not isinstance(action, End):
        body |= {"file": action.origin.path, "line": action.origin.line}
    if isinstance(action, Apply | Adopt | Replace):
        body["fields"] = [
            {
                "path": c.path,
                "old": c.old,
                "new": c.new,
                "owner": c.owner,
                **_place_json(lines.of(key, c)),
            }
            for c in action.changes
        ]
    return body


def _place_json(spot: Spot | None) -> dict[str, Any]:
    return {"file": spot.path, "line": spot.line} if spot is not None else {}


def _effect_json(effect: PodEffect, lines: Lines) -> dict[str, Any]:
    return {
        "fate": effect.fate,
        "namespace": effect.namespace,
        "pod": effect.pod,
        "count": effect.count,
        "containers": list(effect.containers),
        "cause": effect.cause,
        "gap": effect.gap,
        **_place_json(lines.at(effect.of, effect.cause)),
    }
