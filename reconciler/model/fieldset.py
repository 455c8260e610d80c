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
from typing import Any, Literal, NamedTuple

import orjson

from reconciler.model import schema
from reconciler.model.base import ListMap, ListSet, Model
from reconciler.model.schema import Schema

FieldSet = dict[str, Any]

Kind = Literal["leaf", "struct", "map", "keyed", "set"]

_LEAF: FieldSet = {}
_FORMS = 256
_KNOWN = 256
_KEY_DEFAULTS = {"protocol": "TCP"}


class Layout:
    """How server-side apply sees one place: what owns a part of it, and by which name.

    A `leaf` is owned whole (scalars, atomic lists and maps); a `struct` and a `map` by their
    members, a `keyed` list by its items' keys, a `set` by its values.
    """

    __slots__ = (
        "_describe",
        "_fields",
        "_forms",
        "_known",
        "_named",
        "item",
        "keys",
        "kind",
        "often_alike",
    )

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
        self.often_alike = model is not None and model.often_alike
        self._describe = model
        self._fields: dict[str, Layout] | None = None
        self._named: dict[str, tuple[str, Layout]] | None = None
        self._forms: dict[tuple[str, ...], _Form] = {}
        self._known: dict[bytes, FieldSet] = {}

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

    def form(self, names: tuple[str, ...]) -> _Form:
        """Return what a struct or map with these members owns: objects of a kind look alike."""
        known = self._forms.get(names)
        if known is None:
            known = _form(self, names)
            if len(self._forms) < _FORMS:  # clients choose the names
                self._forms[names] = known
        return known

    def known(self, value: Mapping[str, Any]) -> FieldSet:
        """Return the fields of a struct that many objects have alike, each text's once."""
        try:
            text = orjson.dumps(value)
        except TypeError:  # a caller's own values, which admission refuses later
            return of_manifest(self, value)
        found = self._known.get(text)
        if found is None:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            found = self._known[text] = of_manifest(self, value)
        return found

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
            value = key_value(item, self.keys[0])
            if value.__class__ is str:
                return _named_item(self.keys[0], value)
            return None if value is None else f'k:{{"{self.keys[0]}":{_json(value)}}}'
        values = [key_value(item, key) for key in self.keys]
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
        only = self.keys[0] if len(self.keys) == 1 else ""
        for item in value:
            key = item.get(only) if only and item.__class__ is dict else None
            name = _named_item(only, key) if key.__class__ is str else self.element(item)
            if name is None or name in found:
                return None
            found[name] = item
        return found


class _Form(NamedTuple):
    """What one set of members owns: `whole` if each is a leaf, `item` the same in a list.

    `inner` are the name, the path element and the layout of the members that may hold others.
    """

    whole: FieldSet
    item: FieldSet
    inner: tuple[tuple[str, str, Layout], ...]


def _form(layout: Layout, names: tuple[str, ...]) -> _Form:
    member = layout.named.get if layout.kind == "struct" else lambda _: None
    other = LEAF if layout.kind == "struct" else layout.item or LEAF
    # Interned: labels are the same few in every object.
    parts = [(name, *(member(name) or (intern(f"f:{name}"), other))) for name in names]
    whole = {element: _LEAF for _, element, _ in parts}
    return _Form(whole, _as_member(whole), tuple(part for part in parts if part[2].kind != "leaf"))


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


def key_value(item: Any, key: str) -> Any:
    """Return the key of an item of a keyed list; its default where the item leaves it out."""
    value = item.get(key) if isinstance(item, dict) else None
    return _KEY_DEFAULTS.get(key) if value is None else value


def of_manifest(layout: Layout, value: Mapping[str, Any]) -> FieldSet:
    """Return the fields that a manifest sets, as server-side apply counts them."""
    form = layout.form(tuple(value))
    return _filled(form, value, as_item=layout.kind != "struct") if form.inner else form.whole


def _filled(form: _Form, value: Mapping[str, Any], *, as_item: bool) -> FieldSet:
    """Return the fields of a value that holds others; members of a map are owned themselves."""
    found = dict(form.whole)
    for name, element, place in form.inner:
        member = value[name]
        if member is None or member == {}:
            continue
        inner = _inside(place, member)
        if inner:
            found[element] = _as_member(inner) if as_item else inner
        elif inner is not None and not as_item:
            del found[element]
    return found


def _inside(place: Layout, value: Any) -> FieldSet | None:
    """Return the set below a value that is no leaf; None when it must be owned whole."""
    if place.kind in ("struct", "map"):
        if not isinstance(value, dict):
            return None
        return place.known(value) if place.often_alike else of_manifest(place, value)
    items = place.items(value) if isinstance(value, list | tuple) else None
    if items is None:
        return None
    inner = place.item
    if inner is None or inner.kind == "leaf":
        return dict.fromkeys(items, _LEAF)
    return {name: _item(inner, item) for name, item in items.items()}


def _item(layout: Layout, value: Mapping[str, Any]) -> FieldSet:
    form = layout.form(tuple(value))
    if not form.inner:
        return form.item
    return _as_member(_filled(form, value, as_item=layout.kind != "struct"))


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
