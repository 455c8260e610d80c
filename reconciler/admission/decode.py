"""Plain JSON-like values to typed objects, with every error at once.

Called by `admit` for manifests and request bodies. Unknown fields and wrong types are errors with
their path; `null` means absent, as in Go. Duplicate keys are the parser's business: a dict has
none any more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson
from pydantic import ValidationError

from reconciler.admission.alike import ALIKE
from reconciler.admission.defaultpod import default_pull_policy
from reconciler.admission.errors import FieldError, Reason, Undecodable, go_quote
from reconciler.admission.remains import without_unknown
from reconciler.model import kinds, schema
from reconciler.model.base import Model
from reconciler.model.kinds import Resource
from reconciler.model.meta import KubeObject
from reconciler.model.pod import Pod, PodTemplate
from reconciler.model.replication import ReplicationController
from reconciler.model.schema import Schema

Path = tuple[str | int, ...]

# Dates and dataclasses are no JSON values here: `_foreign` takes them to a refusal.
_PLAIN = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS


def decode(value: Any, of: Resource | None = None) -> KubeObject:
    """Return the object that a manifest's plain value says; raises `Undecodable`.

    `of` is for a kind that is not in the table of kinds: the value is known to be of that one.
    """
    resource = of or identify(value)
    try:
        return _parse(resource.model, value)
    except ValidationError as error:
        return _again(resource, value, error)


def decode_lenient(value: Any, of: Resource | None = None) -> tuple[KubeObject, tuple[str, ...]]:
    """Decode as `decode`, but leave unknown fields out; return a warning for each of them, too.

    The warnings are those of fieldValidation=Warn. Raises `Undecodable` for all other faults.
    """
    try:
        return decode(value, of), ()
    except Undecodable as error:
        unknown = [item for item in error.errors if item.reason is Reason.UNKNOWN_FIELD]
        if len(unknown) < len(error.errors):
            raise
        pruned = without_unknown(value, schema.of((of or identify(value)).model))
        return decode(pruned, of), tuple(item.message for item in unknown)


def identify(value: Any) -> Resource:
    """Return the resource that a manifest names; raises `Undecodable` when there is none."""
    if not isinstance(value, Mapping):
        raise _unidentified("", "", f"a manifest must be a mapping, not {_word(value)}", "")
    api_version, kind = value.get("apiVersion"), value.get("kind")
    if not isinstance(kind, str) or not kind:
        raise _unidentified("", "kind", "Object 'Kind' is missing", _shown(kind))
    if not isinstance(api_version, str) or not api_version:
        raise _unidentified(kind, "apiVersion", "Object 'apiVersion' is missing", "")
    resource = kinds.by_gvk(api_version, kind)
    if resource is None:
        known_version = api_version in kinds.API_VERSIONS
        text = f'no kind "{kind}" is registered for version "{api_version}"'
        raise _unidentified(kind, "kind" if known_version else "apiVersion", text, api_version)
    return resource


def _unidentified(kind: str, path: str, text: str, api_version: str) -> Undecodable:
    error = FieldError(path, Reason.UNKNOWN_KIND, text)
    group, _, version = api_version.rpartition("/")
    return Undecodable((error,), text, kind=kind, group=group, version=version)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else ""


_MOST_FAULTS = 1000  # what a body of megabytes has wrong beyond that helps nobody

_POD_SPECS: dict[type[KubeObject], tuple[str, ...]] = {
    Pod: ("spec",),
    PodTemplate: ("template", "spec"),
    ReplicationController: ("spec", "template", "spec"),
}
"""Where a kind has the spec of a pod, in JSON and in Python."""


def _parse(model: type[KubeObject], value: Mapping[str, Any]) -> KubeObject:
    """Decode; a pod's spec that equals an earlier one becomes the same object."""
    path = _POD_SPECS.get(model)
    spec = _at(value, path) if path else None
    if not path or not isinstance(spec, dict):
        return _parse_whole(model, value)
    text, family = _encode(spec), b""
    known = ALIKE.find(text)
    if known is None:
        family, images = _family(spec)
        known = ALIKE.relative(family, images) if family else None
    if known is None:
        obj = _parse_whole(model, value)
        ALIKE.add(text, _holder(obj, path)[path[-1]], family)
        return obj
    obj = _parse_whole(model, _without(value, path))
    _holder(obj, path)[path[-1]] = known  # nobody else has seen the object yet
    return obj


_ORDINARY_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*")


def _family(spec: Mapping[str, Any]) -> tuple[bytes, tuple[str, ...]]:
    """Return the text of a spec with each image's pull policy in its place, and the images.

    No text for one that has images which are not ordinary: missing, of another type, odd.
    """
    images: list[str] = []
    plain: dict[str, Any] = {}
    for name in ("containers", "initContainers"):
        held = spec.get(name, [])
        if held.__class__ is not list:
            return b"", ()
        found: list[Any] = [each.get("image") if each.__class__ is dict else None for each in held]
        if not all(each.__class__ is str and _ORDINARY_IMAGE.fullmatch(each) for each in found):
            return b"", ()
        images += found
        policies = map(default_pull_policy, found)
        plain[name] = [{**a, "image": b} for a, b in zip(held, policies, strict=True)]
    return _encode({**spec, **plain}), tuple(images)


def _at(value: Any, path: Sequence[str]) -> Any:
    for name in path:
        value = value.get(name) if value.__class__ is dict else None
    return value


def _without(value: Mapping[str, Any], path: Sequence[str]) -> dict[str, Any]:
    first, *rest = path
    if rest:
        return {**value, first: _without(value[first], rest)}
    return {name: member for name, member in value.items() if name != first}


def _holder(obj: Model, path: Sequence[str]) -> dict[str, Any]:
    for name in path[:-1]:
        obj = obj.__dict__[name]
    return obj.__dict__


def _parse_whole(model: type[KubeObject], value: Mapping[str, Any]) -> KubeObject:
    return model.__pydantic_validator__.validate_json(_encode(value))  # type: ignore[no-any-return]


def _encode(value: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(value, option=_PLAIN)
    except TypeError:
        return json.dumps(value, default=_foreign).encode()


def _foreign(value: Any) -> Any:
    """Stand for a value that JSON does not have (a date from YAML) by one no field accepts."""
    return [[type(value).__name__]]


def _again(resource: Resource, value: Any, first: ValidationError) -> KubeObject:
    """Decode once more without the nulls when they were among the faults, or raise."""
    if not any(fault["input"] is None for fault in first.errors(include_url=False)):
        raise _undecodable(resource, value, first) from first
    cleaned = _without_nulls(value, schema.of(resource.model))
    try:
        return _parse(resource.model, cleaned)
    except ValidationError as error:
        raise _undecodable(resource, cleaned, error) from error


_ZEROES: dict[str, Any] = {
    "string": "", "bool": False, "resource.Quantity": "0", "[]uint8": "",
    "int32": 0, "int64": 0, "float64": 0.0,
}  # fmt: skip


def _without_nulls(value: Any, place: Schema | None) -> Any:
    """Return `value` as Go's decoder sees it: a null member is absent, a null item is zero."""
    if place is None:
        return value
    if isinstance(value, Mapping) and place.shape == "struct":
        return {
            key: _without_nulls(member, place.fields.get(key))
            for key, member in value.items()
            if member is not None
        }
    if isinstance(value, Mapping) and place.shape == "map":
        return {key: _zero_or(member, place.item) for key, member in value.items()}
    if isinstance(value, list | tuple) and place.shape == "list":
        return [_zero_or(member, place.item) for member in value]
    return value


def _zero_or(value: Any, place: Schema | None) -> Any:
    if value is not None or place is None:
        return _without_nulls(value, place)
    if place.shape == "scalar":
        return _ZEROES.get(place.go_type)
    return [] if place.shape == "list" else {}


@dataclass(frozen=True, slots=True)
class _Fault:
    """One error with what the decoders of Go say of it; `wire` is empty for an unknown field."""

    error: FieldError
    wire: str = ""


def _undecodable(resource: Resource, value: Any, error: ValidationError) -> Undecodable:
    faults: dict[str, _Fault] = {}
    for fault in islice(error.errors(include_url=False), _MOST_FAULTS):
        if fault["type"] == "default_factory_not_called":
            continue  # only says that another field is wrong
        path, given = _path_of(resource.model, fault["loc"]), fault["input"]
        if isinstance(given, float):
            given = _given(value, path)  # a caller's own number shows how it was written
        faults.setdefault(str(path), _fault(resource, path, fault["type"], given, fault["msg"]))
    wire = next((fault.wire for fault in faults.values() if fault.wire), "")
    if not wire:
        texts = ", ".join(fault.error.detail for fault in _in_order(faults))
        wire = f"strict decoding error: {texts}"
    return Undecodable(
        tuple(fault.error for fault in _in_order(faults)),
        wire,
        kind=resource.kind,
        group=resource.group,
        version=resource.version,
        name=_name(value, "name"),
        namespace=_name(value, "namespace"),
    )


def _given(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _in_order(faults: Mapping[str, _Fault]) -> list[_Fault]:
    return sorted(faults.values(), key=lambda fault: fault.error.path)


def _name(value: Any, field: str) -> str:
    metadata = value.get("metadata")
    name = metadata.get(field) if isinstance(metadata, Mapping) else ""
    return name if isinstance(name, str) else ""


def _path_of(model: type[Model], location: Sequence[str | int]) -> Path:
    """Return where in the document a fault is, without pydantic's names of union members."""
    steps: list[str | int] = []
    place: Schema | None = schema.of(model)
    for step in location:
        if place is None or place.shape == "scalar":
            break
        steps.append(step)
        place = place.fields.get(str(step)) if place.shape == "struct" else place.item
    return tuple(steps)


def _fault(resource: Resource, path: Path, kind: str, value: Any, text: str) -> _Fault:
    shown = "".join(_step(step, first=not i) for i, step in enumerate(path))
    if kind == "extra_forbidden":
        return _Fault(FieldError(shown, Reason.UNKNOWN_FIELD, f"unknown field {go_quote(shown)}"))
    if kind == "value_error":
        message = text.removeprefix("Value error, ")
        return _Fault(FieldError(shown, Reason.TYPE_INVALID, message, value), message)
    place = schema.at(resource.model, path)
    wanted = _wanted(place)
    detail = f"must be {wanted}, not {_word(value)}"
    return _Fault(
        FieldError(shown, Reason.TYPE_INVALID, detail), _go_words(resource, path, place, value)
    )


def _step(step: str | int, *, first: bool) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return step if first else f".{step}"


_WANTED = {
    "string": "a string", "bool": "true or false", "int32": "a whole number of 32 bits",
    "int64": "a whole number of 64 bits", "float64": "a number", "resource.Quantity": "a quantity",
    "[]uint8": "base64 text", "v1.Time": "a time", "v1.MicroTime": "a time",
}  # fmt: skip


def _wanted(place: Schema | None) -> str:
    if place is None:
        return "a value"
    if place.union:
        return "a port number or name"
    if place.shape == "list":
        return "a list"
    if place.shape in ("struct", "map"):
        return "a mapping"
    return _WANTED.get(place.go_type, place.go_type)


def _word(value: Any) -> str:
    """Return what a value is, for people; a scalar with its value."""
    match value:
        case None:
            word = "nothing"
        case bool():
            word = f"the boolean {str(value).lower()}"
        case int() | float():
            word = f"the number {value}"
        case str():
            word = f"the string {go_quote(value)}"
        case Mapping():
            word = "a mapping"
        case list() | tuple():
            word = "a list"
        case _:
            word = f"a {type(value).__name__}"
    return word


def _go_words(resource: Resource, path: Path, place: Schema | None, value: Any) -> str:
    """Return encoding/json's UnmarshalTypeError: the struct, and the path without indexes."""
    names = [step for step in _until_map(resource.model, path) if isinstance(step, str)]
    owner = _owner(resource.model, path)
    go_type = place.go_type if place else "string"
    return (
        f"json: cannot unmarshal {_go_json(value, go_type)} into Go struct field "
        f"{owner.__name__}.{'.'.join(names)} of type {go_type}"
    )


def _until_map(model: type[Model], path: Path) -> Iterator[str | int]:
    """Yield the steps up to a map: Go does not name the map's key."""
    place: Schema | None = schema.of(model)
    for step in path:
        if place is None or place.shape == "map":
            return
        yield step
        place = place.fields.get(str(step)) if place.shape == "struct" else place.item


def _owner(model: type[Model], path: Path) -> type[Model]:
    """Return the innermost struct on the way to `path`."""
    owner: type[Model] = model
    place: Schema | None = schema.of(model)
    for step in path:
        if place is None:
            break
        owner = place.model or owner
        place = place.fields.get(str(step)) if place.shape == "struct" else place.item
    return owner


def _go_json(value: Any, go_type: str) -> str:
    match value:
        case bool():
            return "bool"
        case int() | float():
            return f"number {value}" if go_type.startswith("int") else "number"
        case str():
            return "string"
        case Mapping():
            return "object"
        case _:
            return "array"
