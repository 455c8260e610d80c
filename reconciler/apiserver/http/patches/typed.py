"""What server-side apply finds wrong with a manifest by its schema alone. Pure.

Called by `patching.py` before anything is merged. The rules and words are those of structured
merge (sigs.k8s.io/structured-merge-diff): fields that are not declared, values of a wrong type,
items of keyed lists and sets that cannot be told apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.apiserver.http import gotext
from reconciler.model.base import ListMap, ListSet
from reconciler.model.fieldset import key_value
from reconciler.model.schema import Schema

_TEXTS = ("string", "[]uint8")
_NUMBERS = ("int32", "int64", "int", "float64")
_GO_TYPES = {
    bool: "bool", int: "int64", float: "float64", str: "string",
    dict: "map[string]interface {}", list: "[]interface {}",
}  # fmt: skip


def faults(place: Schema, value: Any, path: str = "") -> Iterator[str]:
    """Yield each fault of a value with its path; null is absence."""
    if value is None:
        return
    match place.shape:
        case "scalar":
            yield from _scalar(place, value, path)
        case "list" if not isinstance(value, Sequence) or isinstance(value, str):
            yield f"{path}: expected list, got &{{{gotext.value(value)}}}"
        case "list":
            yield from _list(place, value, path)
        case "struct" | "map" if not isinstance(value, Mapping):
            yield f"{path}: expected map, got &{{{gotext.value(value)}}}"
        case "struct" | "map":
            for name, member in value.items():
                yield from _member(place, name, member, f"{path}.{name}")


def _member(place: Schema, name: str, value: Any, path: str) -> Iterator[str]:
    inner = place.fields.get(name) if place.shape == "struct" else place.item
    if inner is not None:
        yield from faults(inner, value, path)
    elif place.shape == "struct":
        yield f"{path}: field not declared in schema"


def _scalar(place: Schema, value: Any, path: str) -> Iterator[str]:
    """Yield the fault of a scalar; quantities, times, and numbers or names may be of any type."""
    if place.union:
        return
    got = f"&value.valueUnstructured{{Value:{_literal(value)}}}"
    if place.go_type in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int | float):
            go_type = _GO_TYPES.get(type(value), "string")
            yield f"{path}: expected numeric (int or float), got {go_type}"
    elif place.go_type in _TEXTS and not isinstance(value, str):
        yield f"{path}: expected string, got {got}"
    elif place.go_type == "bool" and not isinstance(value, bool):
        yield f"{path}: expected boolean, got {got}"


def _list(place: Schema, value: Sequence[Any], path: str) -> Iterator[str]:
    item = place.item
    seen: set[str] = set()
    for index, each in enumerate(value):
        name = str(index)
        match place.merge:
            case ListMap(keys=keys) if isinstance(each, Mapping):
                missing = next((key for key in keys if key_value(each, key) is None), None)
                if missing is not None:
                    yield (
                        f"{path}: element {index}: associative list with keys has an element that"
                        f' omits key field "{missing}" (and doesn\'t have default value)'
                    )
                    continue
                name = ",".join(f"{key}={json.dumps(key_value(each, key))}" for key in sorted(keys))
            case ListSet():
                name = f"={json.dumps(each)}"
        if name in seen:
            yield f"{path}: duplicate entries for key [{name}]"
        seen.add(name)
        if item is not None:
            yield from faults(item, each, f"{path}[{name}]")


def _literal(value: Any) -> str:
    """Return a value as Go's %#v writes it."""
    match value:
        case dict():
            members = (f"{json.dumps(key)}:{_literal(value[key])}" for key in sorted(value))
            return f"map[string]interface {{}}{{{', '.join(members)}}}"
        case list():
            return f"[]interface {{}}{{{', '.join(map(_literal, value))}}}"
        case None:
            return "interface {}(nil)"
        case _:
            return json.dumps(value)
