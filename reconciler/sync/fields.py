"""Differences of two objects, field by field, as people and logs name them. Pure.

Called by the planner for objects that differ; never on the path of those that do not. Values of
Secrets never get into a `FieldChange` (law 9).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.desired.positions import ITEM_KEYS
from reconciler.desired.redact import Names, is_secret, names_of, secret_fields
from reconciler.model.meta import KubeObject

Json = Any
ABSENT = "(not set)"
REDACTED = "(redacted)"
_SERVER_FIELDS = frozenset(
    ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")
)
_SECRET_FIELDS = frozenset(("data", "stringData"))


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a list, told from its neighbours by its field `key`."""

    value: Mapping[str, Json]
    key: str


Step = str | int | Item
"""A field's or map key's name, a list index, or an item of a list."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that changes from `old` to `new` (JSON values, or `ABSENT`).

    `path` is Kubernetes' field path with list items by their key: `spec.ports[http].nodePort`.
    `owner` is the field manager, other than the source, that set the live value, "" for none.
    """

    path: str
    old: Json
    new: Json
    owner: str = ""


def changed_fields(
    old: Mapping[str, Json], new: Mapping[str, Json]
) -> list[tuple[tuple[Step, ...], Json, Json]]:
    """Return (steps, old, new) for each leaf in which two objects of one kind differ.

    `status` and what the server keeps in `metadata` do not count. Sorted by path.
    """
    found = [
        change
        for name in sorted(old.keys() | new.keys())
        if name != "status"
        for change in _differ((name,), old.get(name, ABSENT), new.get(name, ABSENT))
    ]
    return [change for change in found if not _kept_by_server(change[0])]


def redacted(
    kind: str,
    steps: tuple[Step, ...],
    old: Json,
    new: Json,
    secret: frozenset[Names] = frozenset(),
) -> tuple[Json, Json]:
    """Return the two values as they may be shown; `secret` are the fields with Secrets' values."""
    hidden = kind == "Secret" and bool(_SECRET_FIELDS.intersection(steps[:1]))
    if not hidden and not (secret and is_secret(names_in(steps), secret)):
        return old, new
    return (
        ABSENT if old == ABSENT else REDACTED,
        ABSENT if new == ABSENT else REDACTED,
    )


def names_in(steps: Sequence[Step]) -> Names:
    """Return the names of the fields on the way, list items left out."""
    return tuple(step for step in steps if isinstance(step, str))


def path_of(steps: Sequence[Step]) -> str:
    """Write steps as a field path; a map key with a dot or slash stands in brackets."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        elif isinstance(step, str):
            text += f"[{step}]" if "." in step or "/" in step else f".{step}"
        else:
            text += f"[{step.value[step.key]}]"
    return text.removeprefix(".")


def without_values(errors: Iterable[tuple[str, str]], obj: KubeObject) -> list[tuple[str, str]]:
    """Return (path, message) pairs without the values that come from Secrets."""
    secret = secret_fields(obj.metadata.annotations)
    hidden = "refused; the message is not shown, for the value comes from a Secret"
    return [
        (path, hidden if secret and (not path or is_secret(names_of(path), secret)) else message)
        for path, message in errors
    ]


def _kept_by_server(steps: tuple[Step, ...]) -> bool:
    return len(steps) > 1 and steps[0] == "metadata" and steps[1] in _SERVER_FIELDS


def _differ(
    steps: tuple[Step, ...], old: Json, new: Json
) -> Iterator[tuple[tuple[Step, ...], Json, Json]]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            yield from _differ((*steps, name), old.get(name, ABSENT), new.get(name, ABSENT))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _differ_lists(steps, old, new)
    else:
        yield steps, old, new


def _differ_lists(
    steps: tuple[Step, ...], old: list[Json], new: list[Json]
) -> Iterator[tuple[tuple[Step, ...], Json, Json]]:
    key = _common_key(old, new)
    if key is None:
        yield steps, old, new
        return
    before = {item[key]: item for item in old}
    after = {item[key]: item for item in new}
    for value in [*before, *(each for each in after if each not in before)]:
        was, becomes = before.get(value, ABSENT), after.get(value, ABSENT)
        item = was if isinstance(was, dict) else becomes
        yield from _differ((*steps, Item(item, key)), was, becomes)


def _common_key(old: list[Json], new: list[Json]) -> str | None:
    """Return the field that tells the items apart: two mounts of one volume differ in the path."""
    for key in ITEM_KEYS:
        if _unique(old, key) and _unique(new, key):
            return key
    return None


def _unique(items: list[Json], key: str) -> bool:
    values = [item.get(key) for item in items if isinstance(item, dict)]
    scalars = all(isinstance(value, str | int) for value in values)
    return len(values) == len(items) and scalars and len(set(values)) == len(values)
