"""Keeps the values of Secrets out of problems and printed objects (law 9). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.admission.errors import OMITTED, FieldError, Reason

HIDDEN = "(hidden)"
_FIELDS = ("data", "stringData")


def without_secrets(kind: str, errors: Iterable[FieldError]) -> Iterable[FieldError]:
    """Return the errors of an object; those of a Secret's values tell the field only."""
    return [_hide(error) if kind == "Secret" else error for error in errors]


def _hide(error: FieldError) -> FieldError:
    if not error.path.startswith(_FIELDS) or error.reason is Reason.UNKNOWN_FIELD:
        return error
    detail = "the value is not what this field takes"
    if error.path.startswith("data"):
        detail += ": it takes base64 (plain text goes to stringData)"
    return FieldError(error.path, error.reason, detail, OMITTED)


def redacted(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a manifest that may be printed: a Secret keeps its keys and loses its values."""
    if manifest.get("kind") != "Secret":
        return manifest
    hidden = {
        field: dict.fromkeys(values, HIDDEN)
        for field in _FIELDS
        if isinstance(values := manifest.get(field), Mapping)
    }
    return {**manifest, **hidden}
