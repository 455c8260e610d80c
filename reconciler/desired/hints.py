"""The likely fix of a refused field: what the writer of a manifest probably meant. Pure.

Called by `manifest` for an error that admission gave no hint for. A hint never quotes a value of
a Secret; the errors of those come here without their values.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.admission.errors import FieldError, Reason
from reconciler.desired.kindhints import kind_hint
from reconciler.desired.texthints import value_hint
from reconciler.desired.valuehints import quantity_hint, unquoted_hint
from reconciler.model import kinds, schema
from reconciler.model.base import Model
from reconciler.model.schema import Schema

_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
_NEAR = 0.75
# What people call a field; the field must be one that is accepted at that place.
_OTHER_NAMES = {
    "port": ("containerPort", "number"),
    "ports": ("containerPort",),
    "environment": ("env",),
    "envs": ("env",),
    "cmd": ("command",),
    "entrypoint": ("command",),
    "arguments": ("args",),
    "replica": ("replicas",),
    "count": ("replicas",),
    "selectors": ("selector",),
    "matchlabels": ("selector",),
    "volume": ("volumes",),
    "mounts": ("volumeMounts",),
    "container": ("containers",),
    "publishport": ("nodePort",),
    "externalport": ("nodePort",),
}
_DEEPEST = 6
# Types whose values are written without quotes.
_PLAIN = ("a whole number", "a number", "true or false")


def hint_for(error: FieldError, manifest: Any) -> str:
    """Return the likely fix of `error` in `manifest` (plain values), or nothing."""
    if error.reason is Reason.UNKNOWN_KIND:
        return kind_hint(manifest)
    if not isinstance(manifest, Mapping):
        return ""
    if error.reason is Reason.UNKNOWN_FIELD:
        return _field_hint(error.path, manifest)
    if error.reason is Reason.TYPE_INVALID:
        return _type_hint(error)
    if error.reason is Reason.REQUIRED:
        return _required_hint(error.path, manifest)
    return _value_hint(error)


def _steps(path: str) -> tuple[str | int, ...]:
    return tuple(int(index) if index else name for index, name in _STEP.findall(path))


def _model_of(manifest: Mapping[str, Any]) -> type[Model] | None:
    api_version, kind = manifest.get("apiVersion"), manifest.get("kind")
    if not isinstance(api_version, str) or not isinstance(kind, str):
        return None
    resource = kinds.by_gvk(api_version, kind)
    return resource.model if resource else None


def meant_path(error: FieldError, manifest: Mapping[str, Any]) -> str:
    """Return the path of the field that an unknown one was probably meant to be, or nothing."""
    if error.reason is not Reason.UNKNOWN_FIELD:
        return ""
    place, wrong = _struct_of(error.path, manifest)
    meant = nearest(wrong, place.fields) if place else ""
    return error.path.removesuffix(wrong) + meant if meant else ""


def _struct_of(path: str, manifest: Mapping[str, Any]) -> tuple[Schema | None, str]:
    """Return the struct that an unknown field at `path` stands in, and the field's name.

    A field whose name is empty is meant for nothing.
    """
    if not path or path.endswith("."):
        return None, ""
    model = _model_of(manifest)
    *parents, wrong = _steps(path)
    return (schema.at(model, parents) if model else None), str(wrong)


def _field_hint(path: str, manifest: Mapping[str, Any]) -> str:
    """Say which field of the same struct, or which other place, an unknown field was meant for."""
    place, wrong = _struct_of(path, manifest)
    model = _model_of(manifest)
    if place is None or model is None:
        return ""
    if ":" in wrong:
        return f'write "{wrong.partition(":")[0]}: ..." with a space after the colon'
    if meant := nearest(wrong, place.fields):
        return f'did you mean "{meant}"?'
    *parents, _ = _steps(path)
    elsewhere = _elsewhere(wrong, model, _struct_path(parents))
    return f'"{wrong}" belongs to {elsewhere}: check the indentation' if elsewhere else ""


def nearest(wrong: str, names: Iterable[str]) -> str:
    """Return the name of `names` that `wrong` was probably meant to be, or nothing."""
    by_lower = {name.lower(): name for name in names}
    lower = wrong.lower().replace("-", "").replace("_", "")
    if lower in by_lower:
        return by_lower[lower]
    for other in _OTHER_NAMES.get(lower, ()):
        if other.lower() in by_lower:
            return other
    close = difflib.get_close_matches(lower, by_lower, n=1, cutoff=_NEAR)
    return by_lower[close[0]] if close else ""


def _struct_path(steps: Iterable[str | int]) -> str:
    return ".".join(step for step in steps if isinstance(step, str))


def _elsewhere(name: str, model: type[Model], here: str) -> str:
    """Return the place nearest to `here` where `name` is a field, "" for none."""
    found = [path for path in _places_of(name, schema.of(model), "", 0) if path != here]
    if not found:
        return ""
    best = min(found, key=lambda path: (_apart(path, here), path.count("."), path))
    return best or "the top level"


def _places_of(name: str, place: Schema, path: str, depth: int) -> Iterable[str]:
    if depth > _DEEPEST:
        return
    if name in place.fields:
        yield path
    for field, child in place.fields.items():
        inner = child.item if child.shape in ("list", "map") else child
        if inner is not None and inner.shape == "struct":
            yield from _places_of(name, inner, f"{path}.{field}" if path else field, depth + 1)


def _apart(one: str, other: str) -> int:
    """Return the number of steps between two places."""
    ours, theirs = one.split(".") if one else [], other.split(".") if other else []
    common = 0
    for left, right in zip(ours, theirs, strict=False):
        if left != right:
            break
        common += 1
    return len(ours) + len(theirs) - 2 * common


def _type_hint(error: FieldError) -> str:
    """Say how to write the value with the type that the field takes."""
    wanted, _, got = error.detail.removeprefix("must be ").partition(", not ")
    if wanted == "a string" and got.startswith(("the number", "the boolean")):
        return "write the value in quotes"
    if wanted.startswith(_PLAIN) and got.startswith("the string"):
        return unquoted_hint(got.removeprefix("the string").strip().strip('"'))
    if wanted == "a list":
        return 'start each item with "- "'
    if wanted == "a mapping" and got == "a list":
        return 'remove the "- ": there is one, not a list'
    return _value_hint(error)


def _value_hint(error: FieldError) -> str:
    value = error.value
    if not isinstance(value, str):
        return ""
    return value_hint(value) or (quantity_hint(value) if "quantities" in error.detail else "")


def _required_hint(path: str, manifest: Mapping[str, Any]) -> str:
    """Say that the field is there, but at another place."""
    name = path.rpartition(".")[2]
    metadata = manifest.get("metadata")
    if path == "spec.selector" and isinstance(metadata, Mapping) and "selector" in metadata:
        return "selector stands under metadata: move it to spec"
    if name in manifest and path.startswith(("spec.", "metadata.")):
        return f"{name} stands at the top level: indent it under {path.rpartition('.')[0]}"
    return ""
