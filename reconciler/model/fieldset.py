"""Sets of field paths in the form of managedFields (FieldsV1), and the layout that gives them.

Used by `merge.py` and `ownership.py`. Pure. A set is the JSON form itself, a tree of path
elements (`f:name`, `k:{"name":"c"}`, `v:"x"`): a node without children is a member, one with
children is a member when it has the child "."; the root is never one. Trees are shared: nobody
writes into one that it did not make.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from sys import intern
from typing import Any, Literal

import orjson

from reconciler.model import schema
from reconciler.model.base import ListMap, ListSet, Model
from reconciler.model.schema import Schema

FieldSet = dict[str, Any]

Kind = Literal["leaf", "struct", "map", "keyed", "set"]

_LEAF: FieldSet = {}
_KEY_DEFAULTS = {"protocol": "TCP"}


class Layout:
    """How server-side apply sees one place: what owns a part of it, and by which name.

    A `leaf` is owned whole (scalars, atomic lists and maps); a `struct` and a `map` by their
    members, a `keyed` list by its items' keys, a `set` by its values.
    """

    __slots__ = ("_describe", "_fields", "_named", "item", "keys", "kind")

    def __init__(
        self,
        kind: Kind,
        *,
        model: type[Model] | None = None,
        item: Layout | None = None,
        keys: tuple[str, ...] = (),
    ) -> None:
        self.kind = kind
        self.item = item
        self.keys = tuple(sorted(keys))
        self._describe = model
        self._fields: dict[str, Layout] | None = None
        self._named: dict[str, tuple[str, Layout]] | None = None

    @property
    def fields(self) -> dict[str, Layout]:
        """The members of a struct by JSON name; empty for all else."""
        if self._fields is None:
            known = schema.fields_of(self._describe) if self._describe else {}
            self._fields = {name: _layout(place) for name, place in known.items()}
        return self._fields

    @property
    def named(self) -> dict[str, tuple[str, Layout]]:
        """The path element and layout of each member of a struct by JSON name."""
        if self._named is None:
            self._named = {name: (f"f:{name}", place) for name, place in self.fields.items()}
        return self._named

    def member(self, name: str) -> Layout:
        """Return the layout of a member of a struct or map; of an unknown one, a leaf."""
        if self.kind == "struct":
            return self.fields.get(name, LEAF)
        return self.item or LEAF

    def inner(self, element: str) -> Layout:
        """Return the layout at a path element."""
        return self.member(element[2:])

    def parts(self, value: Any) -> dict[str, Any] | None:
        """Return members or items by path element; None for a leaf, and for what counts as one."""
        if self.kind == "leaf" or not value:
            return None
        if self.kind in ("struct", "map"):
            return {"f:" + name: member for name, member in value.items()}
        return self.items(value)

    def element(self, item: Any) -> str | None:
        """Return the path element of an item of a keyed list or a set; None without its key."""
        if self.kind == "set":
            return f"v:{_json(item)}"
        if len(self.keys) == 1:
            value = _key_value(item, self.keys[0])
            if value.__class__ is str:
                return _named_item(self.keys[0], value)
            return None if value is None else f'k:{{"{self.keys[0]}":{_json(value)}}}'
        values = [_key_value(item, key) for key in self.keys]
        if None in values:
            return None
        pairs = zip(self.keys, values, strict=True)
        text = ",".join([f'"{key}":{_json(value)}' for key, value in pairs])
        return f"k:{{{text}}}"

    def items(self, value: Sequence[Any]) -> dict[str, Any] | None:
        """Return the items of a keyed list or a set by their path elements.

        None when they cannot be told apart (a key is missing or given twice, which Kubernetes
        allows in some lists): such a list is treated whole, as a leaf.
        """
        found: dict[str, Any] = {}
        for item in value:
            name = self.element(item)
            if name is None or name in found:
                return None
            found[name] = item
        return found


LEAF = Layout("leaf")


@cache
def layout_of(model: type[Model]) -> Layout:
    """Return the layout of a model class."""
    return Layout("struct", model=model)


def _layout(place: Schema) -> Layout:
    if place.atomic:
        return LEAF
    if place.model is not None:
        return layout_of(place.model)
    if place.shape == "map" and place.item is not None:
        return Layout("map", item=_layout(place.item))
    if isinstance(place.merge, ListMap) and place.item is not None:
        return Layout("keyed", item=_layout(place.item), keys=place.merge.keys)
    return Layout("set") if isinstance(place.merge, ListSet) else LEAF


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


@lru_cache(maxsize=4096)
def _named_item(key: str, value: str) -> str:
    """Return the element of an item by its name: the same few come again and again."""
    return f'k:{{"{key}":{_json(value)}}}'


def _key_value(item: Any, key: str) -> Any:
    value = item.get(key) if isinstance(item, dict) else None
    return _KEY_DEFAULTS.get(key) if value is None else value


def of_manifest(layout: Layout, value: Mapping[str, Any]) -> FieldSet:
    """Return the fields that a manifest sets, as server-side apply counts them."""
    if layout.kind != "struct":
        return _of_map(layout.item or LEAF, value)
    found: FieldSet = {}
    named = layout.named
    for name, member in value.items():
        element, place = named.get(name) or (f"f:{name}", LEAF)
        if place.kind == "leaf" or member is None or member == {}:
            found[element] = _LEAF
            continue
        inner = _inside(place, member)
        if inner is None:
            found[element] = _LEAF
        elif inner:
            found[element] = inner
    return found


def _of_map(item: Layout, value: Mapping[str, Any]) -> FieldSet:
    """Return the members of a map, each of which is owned itself."""
    elements = [intern(f"f:{name}") for name in value]  # labels: the same few in every object
    if item.kind == "leaf":
        return dict.fromkeys(elements, _LEAF)
    nodes = [_inside(item, member) if member else None for member in value.values()]
    return {
        element: _as_member(node or _LEAF) for element, node in zip(elements, nodes, strict=True)
    }


def _inside(place: Layout, value: Any) -> FieldSet | None:
    """Return the set below a value that is no leaf; None when it must be owned whole."""
    if place.kind in ("struct", "map"):
        return of_manifest(place, value) if isinstance(value, dict) else None
    items = place.items(value) if isinstance(value, list | tuple) else None
    if items is None:
        return None
    inner = place.item
    if inner is None or inner.kind == "leaf":
        return dict.fromkeys(items, _LEAF)
    return {name: _as_member(of_manifest(inner, item)) for name, item in items.items()}


def everything(place: Layout, value: Any) -> FieldSet:
    """Return a node with every field of `value` and all that holds them: what was added whole."""
    parts = place.parts(value)
    if not parts:
        return _LEAF
    return {
        ".": _LEAF,
        **{name: everything(place.inner(name), part) for name, part in parts.items()},
    }


def is_member(node: FieldSet) -> bool:
    """Say whether the path of `node` itself is in the set."""
    return not node or "." in node


def _as_member(node: FieldSet) -> FieldSet:
    return {".": _LEAF, **node} if node else _LEAF


def _node(children: FieldSet, *, member: bool) -> FieldSet | None:
    if member:
        return _as_member(children)
    return children or None


def union(one: FieldSet, other: FieldSet) -> FieldSet:
    """Return the paths of either set."""
    if not one or one is other:
        return other
    if not other:
        return one
    joined = dict(one)
    for name, node in other.items():
        mine = joined.get(name)
        joined[name] = node if mine is None else _union_node(mine, node)
    return joined


def _union_node(one: FieldSet, other: FieldSet) -> FieldSet:
    member = is_member(one) or is_member(other)
    children = union(_children(one), _children(other))
    return _as_member(children) if member else children


def difference(one: FieldSet, other: FieldSet) -> FieldSet:
    """Return the paths of `one` that `other` does not have."""
    return _combine(one, other, keep_alone=True, member=lambda mine, theirs: mine and not theirs)


def intersection(one: FieldSet, other: FieldSet) -> FieldSet:
    """Return the paths of both sets."""
    return _combine(one, other, keep_alone=False, member=lambda mine, theirs: mine and theirs)


def _combine(
    one: FieldSet, other: FieldSet, *, keep_alone: bool, member: Callable[[bool, bool], bool]
) -> FieldSet:
    result: FieldSet = {}
    for name, mine in one.items():
        theirs = other.get(name)
        if theirs is None:
            if keep_alone:
                result[name] = mine
            continue
        inner = _combine(_children(mine), _children(theirs), keep_alone=keep_alone, member=member)
        kept = _node(inner, member=member(is_member(mine), is_member(theirs)))
        if kept is not None:
            result[name] = kept
    return result


def _children(node: FieldSet) -> FieldSet:
    if "." not in node:
        return node
    return {name: child for name, child in node.items() if name != "."}


def paths(fields: FieldSet, prefix: str = "") -> Iterator[str]:
    """Yield each path of the set as Kubernetes prints it: `.spec.ports[port=80].name`."""
    for name, node in fields.items():
        if name == ".":
            continue
        path = prefix + _printed(name)
        if is_member(node):
            yield path
        yield from paths(node, path)


def _printed(element: str) -> str:
    kind, text = element[:2], element[2:]
    if kind == "f:":
        return f".{text}"
    if kind == "v:":
        return f"[={text}]"
    pairs = orjson.loads(text)
    return f"[{','.join(f'{key}={_json(value)}' for key, value in pairs.items())}]"
