"""Strategic merge as kustomize does it (kyaml's merge2). Pure.

It differs from kube-apiserver's: the items of a patch go to the front of a keyed list. Items with
several keys (a port's number and protocol) keep their place, and merge when all keys are equal or
absent in both; where only one of the two has a key, the item of the patch is left out.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.desired.kustomize.resource import Json
from reconciler.model import kinds, schema
from reconciler.model.base import ListMap, ListSet, PatchOnly
from reconciler.model.schema import Schema

_DIRECTIVE = "$patch"


def strategic(value: Json, patch: Mapping[str, Any]) -> Json | None:
    """Return `value` with `patch` merged in, or `None` when the patch deletes it."""
    known = kinds.by_gvk(str(value.get("apiVersion", "")), str(value.get("kind", "")))
    place = schema.of(known.model) if known is not None else None
    merged: Json | None = _mapping(value, patch, place)
    return merged


def _mapping(value: Any, patch: Mapping[str, Any], place: Schema | None) -> Any:
    directive = patch.get(_DIRECTIVE)
    plain = {key: member for key, member in patch.items() if key != _DIRECTIVE}
    if directive == "delete":
        return None
    if directive == "replace":
        return _plain(plain)
    result = dict(value) if isinstance(value, dict) else {}
    for key, member in plain.items():
        if key.startswith("$"):
            continue
        merged = _member(result.get(key), member, _inner(place, key))
        if merged is None:
            result.pop(key, None)
        else:
            result[key] = merged
    return result


def _member(present: Any, member: Any, place: Schema | None) -> Any:
    if isinstance(member, dict):
        return _mapping(present, member, place)
    if isinstance(member, list):
        return _list(present if isinstance(present, list) else [], member, place)
    return member


def _inner(place: Schema | None, key: str) -> Schema | None:
    if place is None:
        return None
    return place.fields.get(key) if place.shape == "struct" else place.item


def _list(present: list[Any], patch: list[Any], place: Schema | None) -> list[Any]:
    merge = place.merge if place is not None else None
    if isinstance(merge, ListSet) and merge.patch:
        return [*[item for item in patch if item not in present], *present]
    names = _keys(merge)
    items = [item for item in patch if isinstance(item, dict)]
    if not names or len(items) != len(patch):
        return _plain(patch)  # type: ignore[no-any-return]
    if any(item.get(_DIRECTIVE) == "replace" for item in items):
        return [_plain(kept) for item in items if (kept := _undirected(item))]
    return _keyed(present, items, names, place.item if place is not None else None)


def _keys(merge: Any) -> tuple[str, ...]:
    """Return the names of the fields that tell the items of a list apart."""
    if isinstance(merge, ListMap) and merge.patch:
        others = tuple(key for key in merge.keys if key != merge.patch_key)
        return (merge.patch_key, *others)
    return (merge.key,) if isinstance(merge, PatchOnly) else ()


def _keyed(
    present: list[Any], patch: Sequence[Mapping[str, Any]], names: Sequence[str], item: Any
) -> list[Any]:
    front = []
    rest = list(present)
    for wanted in patch:
        at = next((i for i, each in enumerate(rest) if _same(each, wanted, names)), None)
        merged = _mapping(rest[at] if at is not None else None, wanted, item)
        if at is None:
            half = any(_may_be(each, wanted, names) for each in rest)
            front += [merged] if merged is not None and not half else []
        elif merged is not None and sum(name in wanted for name in names) > 1:
            rest[at] = merged
        else:
            del rest[at]
            front += [merged] if merged is not None else []
    return [*front, *rest]


def _same(one: Any, other: Mapping[str, Any], names: Sequence[str]) -> bool:
    """Return whether two items have equal keys; a key that neither has does not count."""
    return isinstance(one, dict) and all(one.get(name) == other.get(name) for name in names)


def _may_be(one: Any, other: Mapping[str, Any], names: Sequence[str]) -> bool:
    """Return whether the keys that both items have are equal: such a patch item is left out."""
    return isinstance(one, dict) and all(
        one[name] == other[name] for name in names if name in one and name in other
    )


def _undirected(item: Mapping[str, Any]) -> Json:
    return {key: member for key, member in item.items() if key != _DIRECTIVE}


def _plain(value: Any) -> Any:
    """Return a copy without directives and nulls."""
    if isinstance(value, dict):
        kept = {key: _plain(member) for key, member in value.items() if not key.startswith("$")}
        return {key: member for key, member in kept.items() if member is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return copy.copy(value)
