"""Who set a field of a live object, by its managedFields (server-side apply's record). Pure.

Called by the planner for fields that differ, so that a correction can name whom it corrects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from reconciler.model.meta import ManagedFieldsEntry
from reconciler.sync.fields import Item, Step


def owner_of(entries: Sequence[ManagedFieldsEntry], steps: Sequence[Step], besides: str) -> str:
    """Return the manager, other than `besides`, that owns the field at `steps`, or "".

    A manager that owns something below the field owns a part of it. Of several the last one in
    the record counts.
    """
    for entry in reversed(entries):
        if entry.manager != besides and entry.fields_v1 and _holds(entry.fields_v1, steps):
            return entry.manager
    return ""


def _holds(fields: Mapping[str, Any], steps: Sequence[Step]) -> bool:
    for step in steps:
        inside = _descend(fields, step)
        if inside is None:
            return False
        if not inside:
            return True
        fields = inside
    return True


def _descend(fields: Mapping[str, Any], step: Step) -> Mapping[str, Any] | None:
    if isinstance(step, str):
        return fields.get(f"f:{step}")
    if isinstance(step, int):
        return fields.get(f"i:{step}")
    for name, inside in fields.items():
        if name.startswith("k:") and _matches(name[2:], step):
            return inside  # type: ignore[no-any-return]
    return None


def _matches(encoded: str, item: Item) -> bool:
    wanted: dict[str, Any] = orjson.loads(encoded)
    return all(item.value.get(name, value) == value for name, value in wanted.items())
