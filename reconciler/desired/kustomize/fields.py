"""Fields of an object by kustomize's paths (`spec/template/spec/volumes/secret/secretName`). Pure.

A path goes through every item of a list on its way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

Change = Callable[[Any], Any]


class FieldSpec(NamedTuple):
    """A field of one kind ("" for every kind); `create` makes it where it is absent."""

    path: str
    kind: str = ""
    create: bool = False


def specs_for(specs: Sequence[FieldSpec], kind: str) -> list[FieldSpec]:
    """Return those of `specs` that hold for an object of a kind."""
    return [spec for spec in specs if spec.kind in ("", kind)]


def change(value: Any, spec: FieldSpec, new: Change) -> None:
    """Replace the field, wherever `spec` finds it, by `new(old)`; `old` is `None` when absent."""
    _walk(value, spec.path.split("/"), spec.create, new)


def _walk(value: Any, steps: Sequence[str], create: bool, new: Change) -> None:
    if isinstance(value, list):
        for item in value:
            _walk(item, steps, create, new)
        return
    if not isinstance(value, dict):
        return
    first, rest = steps[0].removesuffix("[]"), steps[1:]
    if not rest:
        if create or value.get(first) is not None:
            value[first] = new(value.get(first))
        return
    if value.get(first) is None:
        if not create:
            return
        value[first] = {}
    _walk(value[first], rest, create, new)
