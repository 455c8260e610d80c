"""The API types seen as JSON: what each field is, and how its lists and maps merge.

Called by merge and patch code, by the decoder for its messages, and by the OpenAPI writer. It
reads the model classes once and keeps what it learnt; it decodes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from reconciler.model import scalar
from reconciler.model.base import Atomic, ListMap, ListSet, Model, PatchOnly

Shape = Literal["struct", "map", "list", "scalar", "any"]
Merge = ListMap | ListSet | PatchOnly

_SCALARS: tuple[tuple[Any, str], ...] = (
    (scalar.Int32, "int32"),
    (scalar.Int64, "int64"),
    (scalar.IntOrString, "int32"),
    (scalar.Quantity, "resource.Quantity"),
    (scalar.Amount, "resource.Quantity"),
    (scalar.Bytes, "[]uint8"),
    (scalar.Time, "v1.Time"),
    (scalar.MicroTime, "v1.MicroTime"),
    (bool, "bool"),
    (int, "int"),
    (float, "float64"),
    (str, "string"),
)


@dataclass(frozen=True, slots=True)
class Schema:
    """One place in an object.

    `go_type` is the type as Go's decoder names it. `model` is set for a struct, `item` for the
    members of a map or list, `merge` for a list that is not atomic. `atomic` says that server-side
    apply owns a struct or map whole. `union` marks an IntOrString.
    """

    shape: Shape
    go_type: str
    model: type[Model] | None = None
    item: Schema | None = None
    merge: Merge | None = None
    atomic: bool = False
    union: bool = False

    @property
    def fields(self) -> dict[str, Schema]:
        """The members of a struct by JSON name, in the order of declaration; empty otherwise."""
        return fields_of(self.model) if self.model is not None else {}


def of(model: type[Model]) -> Schema:
    """Return the schema of a model class."""
    return Schema("struct", f"v1.{model.__name__}", model=model, atomic=model.atomic)


@cache
def fields_of(model: type[Model]) -> dict[str, Schema]:
    """Return the fields of a model class by JSON name, in the order of declaration."""
    hints = get_type_hints(model, include_extras=True)
    return {info.alias or name: _describe(hints[name]) for name, info in model.model_fields.items()}


@cache
def python_names(model: type[Model]) -> dict[str, str]:
    """Return the Python attribute of each JSON name of a model class."""
    return {info.alias or name: name for name, info in model.model_fields.items()}


def at(model: type[Model], path: Sequence[str | int]) -> Schema | None:
    """Return the schema at a path of JSON names and list positions, if there is one."""
    place: Schema | None = of(model)
    for step in path:
        if place is None:
            return None
        place = place.fields.get(str(step)) if place.shape == "struct" else place.item
    return place


def _describe(hint: Any) -> Schema:
    for known, go_type in _SCALARS:
        if hint == known:
            return Schema("scalar", go_type, union=known is scalar.IntOrString)
    origin = get_origin(hint)
    if origin is Annotated:
        return _marked(*get_args(hint))
    if origin in (Union, UnionType):
        inner = [arm for arm in get_args(hint) if arm is not NoneType]
        return _describe(Union[tuple(inner)])  # noqa: UP007 - the arms are known at run time only
    return _generic(hint, origin)


def _generic(hint: Any, origin: Any) -> Schema:
    if origin is Literal:
        return Schema("scalar", "string")
    if origin is tuple:
        item = _describe(get_args(hint)[0])
        return Schema("list", f"[]{item.go_type}", item=item)
    if origin is dict:
        item = _describe(get_args(hint)[1])
        return Schema("map", f"map[string]{item.go_type}", item=item)
    if isinstance(hint, type) and issubclass(hint, Model):
        return of(hint)
    return Schema("any", "interface {}")


def _marked(hint: Any, *marks: Any) -> Schema:
    bare = _describe(hint)
    merge = next((m for m in marks if isinstance(m, ListMap | ListSet | PatchOnly)), None)
    atomic = bare.atomic or any(isinstance(mark, Atomic) for mark in marks)
    return Schema(bare.shape, bare.go_type, bare.model, bare.item, merge, atomic, bare.union)
