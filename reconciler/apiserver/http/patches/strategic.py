"""Strategic merge patch: merges lists by the keys that the models name. Pure.

Called by `patching.py`. It knows the directives `$patch` (replace, delete, merge), `$retainKeys`,
`$setElementOrder/<list>` and `$deleteFromPrimitiveList/<list>`.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from reconciler.apiserver.http import gotext
from reconciler.core.errors import ReconcilerError
from reconciler.model.base import ListMap, ListSet, PatchOnly
from reconciler.model.schema import Schema

_DIRECTIVE = "$patch"
_RETAIN = "$retainKeys"
_ORDER = "$setElementOrder/"
_DELETE = "$deleteFromPrimitiveList/"

Json = dict[str, Any]


class BadPatch(ReconcilerError):
    """The patch does not fit the object; the message is Kubernetes' own."""


def patch(value: Mapping[str, Any], change: Mapping[str, Any], place: Schema) -> Json:
    """Return `value`, which has the layout `place`, with `change` merged in; raises `BadPatch`."""
    directive = change.get(_DIRECTIVE)
    if directive == "replace":
        return {key: _plain(member) for key, member in change.items() if not key.startswith("$")}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise BadPatch(f"invalid patch: unknown patch type {directive}")
    result = _retained(value, change)
    _delete_from_lists(result, change)
    for key, member in change.items():
        if not key.startswith("$"):
            _set(result, key, member, _inner(place, key), change.get(_ORDER + key))
    for key, order in change.items():
        name = key.removeprefix(_ORDER)
        if key.startswith(_ORDER) and name not in change and isinstance(result.get(name), list):
            result[name] = _ordered(result[name], order, value.get(name), _inner(place, name))
    return result


def _inner(place: Schema | None, key: str) -> Schema | None:
    if place is None:
        return None
    return place.fields.get(key) if place.shape == "struct" else place.item


def _retained(value: Mapping[str, Any], change: Mapping[str, Any]) -> Json:
    """Return a copy of the value with the members that the patch lets stand."""
    keep = change.get(_RETAIN)
    if keep is None:
        return dict(value)
    return {key: member for key, member in value.items() if key in keep}


def _delete_from_lists(result: Json, change: Mapping[str, Any]) -> None:
    for key, gone in change.items():
        name = key.removeprefix(_DELETE)
        if not key.startswith(_DELETE):
            continue
        if not isinstance(gone, list):
            raise BadPatch("invalid patch format of primitive list")
        if isinstance(result.get(name), list):
            left_out = set(map(_identity, gone))
            result[name] = [item for item in result[name] if _identity(item) not in left_out]


def _set(result: Json, key: str, member: Any, place: Schema | None, order: Any) -> None:
    """Merge one member of a patch into the result."""
    if member is None:
        result.pop(key, None)
        return
    present = result.get(key)
    if isinstance(member, dict):
        if place is not None and place.shape == "list":
            raise BadPatch("cannot restore slice from map")
        if _is_deletion(member):
            result.pop(key, None)
            return
        base = present if isinstance(present, dict) else {}
        result[key] = patch(base, member, place) if place is not None else _plain(member)
    elif isinstance(member, list):
        merged = _list(present if isinstance(present, list) else [], member, place, order)
        result[key] = merged
    else:
        result[key] = member


def _is_deletion(member: Mapping[str, Any]) -> bool:
    return member.get(_DIRECTIVE) == "delete" and len(member) == 1


def _list(present: list[Any], change: list[Any], place: Schema | None, order: Any) -> list[Any]:
    merge = place.merge if place is not None else None
    if isinstance(merge, ListSet) and merge.patch:
        there = set(map(_identity, present))
        added = {_identity(item): item for item in change if _identity(item) not in there}
        return _ordered([*present, *added.values()], order or change, present, place)
    key = _key(merge)
    if key is None or place is None or place.item is None:
        return [_plain(item) for item in change]
    if any(isinstance(item, dict) and _is_replacement(item) for item in change):
        return [_plain(item) for item in change if not _is_replacement(item)]
    if order is not None:
        _check_order(change, order, key)
    merged = _keyed(present, change, place.item, key)
    return _ordered(merged, order or change, present, place)


def _is_replacement(item: Mapping[str, Any]) -> bool:
    return item.get(_DIRECTIVE) == "replace" and len(item) == 1


def _key(merge: Any) -> str | None:
    if isinstance(merge, ListMap):
        return merge.patch_key if merge.patch else None
    return merge.key if isinstance(merge, PatchOnly) else None


def _keyed(present: list[Any], change: list[Any], item: Schema, key: str) -> list[Any]:
    """Merge items by `key`: a new one goes to the end."""
    result = list(present)
    places: defaultdict[Any, list[int]] = defaultdict(list)
    for at, each in enumerate(result):
        places[_identity(each.get(key))].append(at)
    for wanted in change:
        name = _identity(_name(wanted, key))
        if wanted.get(_DIRECTIVE) == "delete":
            for at in places.pop(name, ()):
                result[at] = None
        elif not places[name]:
            places[name].append(len(result))
            result.append(patch({}, wanted, item))
        else:
            at = places[name][0]
            result[at] = patch(result[at], wanted, item)
    return [each for each in result if each is not None]


def _name(item: Any, key: str) -> Any:
    if not isinstance(item, dict) or key not in item:
        raise BadPatch(f"map: {gotext.value(item)} does not contain declared merge key: {key}")
    return item[key]


def _identity(value: Any) -> Any:
    """Return what tells an item from others; also of what no item should be, as decoding tells."""
    return orjson.dumps(value) if isinstance(value, dict | list) else value


def _check_order(change: list[Any], order: Sequence[Any], key: str) -> None:
    """Refuse an order that does not have all items of the patch, in their order."""
    names = [_name(each, key) for each in order]
    wanted = [_name(each, key) for each in change if each.get(_DIRECTIVE) != "delete"]
    left = iter(names)
    if not all(name in left for name in wanted):
        raise BadPatch(
            f"The order in patch list:\n{gotext.value(change)}\n"
            f" doesn't match $setElementOrder list:\n{gotext.value(list(order))}\n"
        )


def _ordered(items: list[Any], order: Any, before: Any, place: Schema | None) -> list[Any]:
    """Return the items in the wanted order; others stay relative to where they were."""
    if not order:
        return items
    key = _key(place.merge) if place is not None else None

    def name(item: Any) -> Any:
        return _identity(item.get(key) if key is not None and isinstance(item, dict) else item)

    wanted = {name(item): rank for rank, item in enumerate(order)}
    was = {name(item): rank for rank, item in enumerate(before or ())}
    ours = sorted((i for i in items if name(i) in wanted), key=lambda item: wanted[name(item)])
    theirs = deque(item for item in items if name(item) not in wanted)
    result: list[Any] = []
    for item in ours:
        while theirs and name(item) in was and was.get(name(theirs[0]), -1) < was[name(item)]:
            result.append(theirs.popleft())
        result.append(item)
    return [*result, *theirs]


def _plain(value: Any) -> Any:
    """Return a value without directives, as it stands where there is nothing to merge with."""
    if isinstance(value, dict):
        return {
            key: _plain(member)
            for key, member in value.items()
            if not key.startswith("$") and member is not None
        }
    if isinstance(value, list):
        return [
            _plain(item)
            for item in value
            if not (isinstance(item, dict) and item.get(_DIRECTIVE) == "delete")
        ]
    return value
