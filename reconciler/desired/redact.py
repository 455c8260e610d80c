"""Keeps the values of Secrets out of problems, plans and printed objects (law 9). Pure.

That is what a Secret holds, and every field that got a value of a Secret by substitution: the
object itself tells those, by an annotation that travels with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconciler.admission.errors import OMITTED, FieldError, Reason

SECRET_FIELDS_ANNOTATION = "reconciler.dev/secret-fields"  # noqa: S105 - a name
"""JSON pointers without list indexes, separated by commas, of fields that hold a Secret's value."""

HIDDEN = "(hidden)"
_FIELDS = ("data", "stringData")

Names = tuple[str, ...]
"""The names on the way to a field, list items left out."""


def pointer(names: Sequence[str]) -> str:
    """Return the JSON pointer (RFC 6901) of a field; a comma in it is written as `~2`."""
    escaped = (n.replace("~", "~0").replace("/", "~1").replace(",", "~2") for n in names)
    return "".join(f"/{name}" for name in escaped)


def secret_fields(*notes: Mapping[str, Any]) -> frozenset[Names]:
    """Return the fields that hold a Secret's value, as the annotations of an object tell."""
    texts = (str(each.get(SECRET_FIELDS_ANNOTATION) or "") for each in notes)
    pointers = (part for text in texts for part in text.split(",") if part.startswith("/"))
    return frozenset(tuple(map(_plain, each.split("/")[1:])) for each in pointers)


def is_secret(names: Names, fields: frozenset[Names]) -> bool:
    """Return whether the field at `names` is one of `fields`, holds one or is in one."""
    return any(names[: len(each)] == each[: len(names)] for each in fields)


def without_secrets(
    kind: str, errors: Iterable[FieldError], fields: frozenset[Names] = frozenset()
) -> Iterable[FieldError]:
    """Return the errors of an object; those of a Secret's values tell the field only."""
    found = [_hide(error) if kind == "Secret" else error for error in errors]
    return [_hide_field(error, fields) for error in found] if fields else found


def _hide(error: FieldError) -> FieldError:
    if not error.path.startswith(_FIELDS) or error.reason is Reason.UNKNOWN_FIELD:
        return error
    detail = "the value is not what this field takes"
    if error.path.startswith("data"):
        detail += ": it takes base64 (plain text goes to stringData)"
    return FieldError(error.path, error.reason, detail, OMITTED)


def _hide_field(error: FieldError, fields: frozenset[Names]) -> FieldError:
    if error.reason is Reason.UNKNOWN_FIELD or not is_secret(names_of(error.path), fields):
        return error
    detail = "the value, which comes from a Secret, is not what this field takes"
    return FieldError(error.path, error.reason, detail, OMITTED)


def names_of(path: str) -> Names:
    """Return the names of a field path; what stands in brackets counts only when it is a key."""
    names: list[str] = []
    for part in path.replace("]", "").split("."):
        name, bracket, inside = part.partition("[")
        names += [name] if name else []
        names += [inside] if bracket and not inside.isdigit() and "/" in inside else []
    return tuple(names)


def redacted(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a manifest that may be printed: it keeps its fields and loses Secrets' values."""
    notes = (manifest.get("metadata") or {}).get("annotations") or {}
    if fields := secret_fields(notes):
        manifest = _hidden(manifest, (), fields)
    if manifest.get("kind") != "Secret":
        return manifest
    hidden = {
        field: dict.fromkeys(values, HIDDEN)
        for field in _FIELDS
        if isinstance(values := manifest.get(field), Mapping)
    }
    return {**manifest, **hidden}


def _hidden(value: Any, names: Names, fields: frozenset[Names]) -> Any:
    if names in fields:
        return HIDDEN
    match value:
        case Mapping():
            return {key: _hidden(each, (*names, key), fields) for key, each in value.items()}
        case list():
            return [_hidden(each, names, fields) for each in value]
        case _:
            return value


def _plain(part: str) -> str:
    return part.replace("~2", ",").replace("~1", "/").replace("~0", "~")
