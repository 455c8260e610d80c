"""Structured merge of JSON values by the layout of their kind: merge, remove, compare.

The value side of server-side apply (`ownership.py` has the owners); sync's planner uses it to see
what an apply would do. Pure: JSON values in, new JSON values out, the inputs are never changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.model.fieldset import FieldSet, Layout, everything, is_member


def merge(layout: Layout, live: Any, applied: Any) -> Any:
    """Return `live` with every field that `applied` sets.

    Items of a keyed list and members of a set keep the order that `applied` gives them; those of
    `live` alone stay where they were.
    """
    if applied is None or live is None or layout.kind == "leaf":
        return applied
    if layout.kind in ("struct", "map"):
        return _merge_members(layout, live, applied)
    return _merge_items(layout, live, applied)


def _merge_members(layout: Layout, live: Mapping[str, Any], applied: Mapping[str, Any]) -> Any:
    merged = dict(live)
    for name, value in applied.items():
        present = merged.get(name)
        if present is None:
            merged[name] = value
        elif present != value:
            merged[name] = merge(layout.member(name), present, value)
    return merged


def _merge_items(layout: Layout, live: Sequence[Any], applied: Sequence[Any]) -> Sequence[Any]:
    mine, theirs = layout.items(live), layout.items(applied)
    if mine is None or theirs is None:
        return applied
    return [_merged_item(layout, mine, theirs, name) for name in _order(mine, theirs)]


def _merged_item(
    layout: Layout, live: Mapping[str, Any], applied: Mapping[str, Any], name: str
) -> Any:
    if name not in applied:
        return live[name]
    if name not in live or layout.item is None:
        return applied[name]
    return merge(layout.item, live[name], applied[name])


def _order(live: Mapping[str, Any], applied: Mapping[str, Any]) -> Iterator[str]:
    """Yield all names: the applied ones in their order, each other one before its successor."""
    pending = iter(applied)
    shared = iter([name for name in applied if name in live])
    awaited = next(shared, None)
    for name in live:
        if name not in applied:
            yield name
        elif name == awaited:
            for other in pending:
                yield other
                if other == name:
                    break
            awaited = next(shared, None)
    yield from pending


def remove(layout: Layout, value: Any, lost: FieldSet, owned: FieldSet) -> Any:
    """Return `value` without what is in `lost` and in `owned` no more.

    Fields of structs count as lost or owned together with anything inside them, so that a struct
    whose last owner is gone takes its defaulted fields with it.
    """
    if layout.kind in ("struct", "map"):
        return _remove_members(layout, value, lost, owned)
    return _remove_items(layout, value, lost, owned)


def _remove_members(
    layout: Layout, value: Mapping[str, Any], lost: FieldSet, owned: FieldSet
) -> Mapping[str, Any]:
    kept: dict[str, Any] | None = None
    for element, node in lost.items():
        name = element[2:]
        if element == "." or name not in value:
            continue
        present = _without(
            layout.member(name),
            value[name],
            node,
            owned.get(element),
            named=layout.kind == "struct",
        )
        if present is value[name]:
            continue
        kept = dict(value) if kept is None else kept
        if present is _GONE:
            del kept[name]
        else:
            kept[name] = present
    return value if kept is None else kept


def _remove_items(
    layout: Layout, value: Sequence[Any], lost: FieldSet, owned: FieldSet
) -> Sequence[Any]:
    items = layout.items(value)
    if items is None:
        return value
    left = (
        _without(layout.item, item, lost[name], owned.get(name), named=False)
        if name in lost
        else item
        for name, item in items.items()
    )
    kept = [item for item in left if item is not _GONE]
    return value if len(kept) == len(value) and _same(kept, value) else kept


_GONE = object()


def _without(
    layout: Layout | None, value: Any, lost: FieldSet, owned: FieldSet | None, *, named: bool
) -> Any:
    """Return what is left of one member or item; `named` says that it is a struct's field."""
    is_lost = named or is_member(lost)
    is_owned = owned is not None and (named or is_member(owned))
    if is_lost and not is_owned:
        return _GONE
    if layout is None or layout.kind == "leaf" or not value:
        return value
    return remove(layout, value, lost, owned or {})


def _same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return all(mine is theirs for mine, theirs in zip(one, other, strict=True))


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a value became another: paths that were added or modified, and paths that went."""

    changed: FieldSet
    removed: FieldSet


def compare(layout: Layout, old: Any, new: Any) -> Comparison:
    """Return the paths in which `new` differs from `old`; the order of keyed items is none."""
    changed: FieldSet = {}
    removed: FieldSet = {}
    before, after = layout.parts(old) or {}, layout.parts(new) or {}
    for name, value in after.items():
        if name not in before:
            changed[name] = everything(layout.inner(name), value)
        elif before[name] != value:
            inner = _compare_part(layout.inner(name), before[name], value)
            if inner.changed is not None:
                changed[name] = inner.changed
            if inner.removed is not None:
                removed[name] = inner.removed
    for name, value in before.items():
        if name not in after:
            removed[name] = everything(layout.inner(name), value)
    return Comparison(changed, removed)


@dataclass(frozen=True, slots=True)
class _Part:
    """The comparison of one member: nodes, or None where nothing is to be said."""

    changed: FieldSet | None
    removed: FieldSet | None


def _compare_part(place: Layout, old: Any, new: Any) -> _Part:
    old_parts, new_parts = place.parts(old), place.parts(new)
    whole = (old and old_parts is None) or (new and new_parts is None) or not (old or new)
    if whole:
        return _Part({}, None)
    inner = compare(place, old, new)
    return _Part(inner.changed or None, inner.removed or None)
