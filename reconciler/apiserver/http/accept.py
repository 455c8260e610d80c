"""Which form of an object the client wants: the Accept header. Pure.

Called by `api.py`, discovery and health. JSON is the default; YAML, Table, PartialObjectMetadata
and aggregated discovery are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from reconciler.apiserver.http import status

Form = Literal["object", "table", "metadata", "metadata-list"]

_FORMS: dict[str, Form] = {
    "Table": "table",
    "PartialObjectMetadata": "metadata",
    "PartialObjectMetadataList": "metadata-list",
}
_JSON = ("application/json", "application/*", "*/*")
_YAML = ("application/yaml",)
_META_VERSIONS = ("v1", "v1beta1")


@dataclass(frozen=True, slots=True)
class MediaType:
    """One choice of an Accept header."""

    name: str
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to answer with: JSON or YAML, and in which form; `version` is meta.k8s.io's."""

    form: Form = "object"
    version: str = "v1"
    yaml: bool = False


PLAIN = Wanted()


@lru_cache(maxsize=256)
def media_types(header: str) -> tuple[MediaType, ...]:
    """Return the choices of an Accept header, best first; without a header, anything."""
    choices = [_choice(text) for text in (header or "*/*").split(",") if text.strip()]
    return tuple(sorted(choices, key=_quality, reverse=True))


def _choice(text: str) -> MediaType:
    name, *rest = (part.strip() for part in text.split(";"))
    pairs = (part.partition("=") for part in rest)
    return MediaType(name.lower(), {key.strip(): value.strip() for key, _, value in pairs})


def _quality(choice: MediaType) -> float:
    try:
        return float(choice.parameters.get("q", "1"))
    except ValueError:
        return 0.0


@lru_cache(maxsize=256)
def wanted(header: str) -> Wanted:
    """Return the first choice that can be met; raises `StatusError` NotAcceptable."""
    known = False
    for choice in _readable(header):
        known = True
        form = _form(choice)
        if form is not None:
            version = choice.parameters.get("v", "v1") if form != "object" else "v1"
            return Wanted(form, version, choice.name in _YAML)
    raise status.no_such_form() if known else status.not_acceptable()


def check(header: str) -> bool:
    """Say whether YAML is wanted of a document with one form; raises `StatusError`."""
    for choice in _readable(header):
        return choice.name in _YAML
    raise status.not_acceptable()


def _readable(header: str) -> Iterator[MediaType]:
    return (choice for choice in media_types(header) if choice.name in _JSON + _YAML)


def _form(choice: MediaType) -> Form | None:
    asked = choice.parameters.get("as")
    if asked is None:
        return "object"
    group, version = (choice.parameters.get(key, "") for key in ("g", "v"))
    if group != "meta.k8s.io" or version not in _META_VERSIONS:
        return None
    return _FORMS.get(asked)
