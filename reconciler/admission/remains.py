"""What of a manifest is left to look at when parts of it cannot be decoded. Pure.

Called by `desired/manifest.py`, so that a file's second kind of mistake does not wait for the
first one to be mended, and by `decode` where unknown fields are let pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reconciler.admission.errors import FieldError, Reason
from reconciler.model.schema import Schema

_GONE = object()
_BOUNDARY = re.compile(r"[.\[]")
_INDEX = re.compile(r"\[(\d+)\]\.?")


def without(value: Any, faults: Iterable[FieldError]) -> Any:
    """Return `value` without the fields that `faults` speak of; one item takes its list along."""
    for fault in faults:
        left = _drop(value, fault.path)
        if left is not _GONE:
            value = left
    return value


def without_unknown(value: Any, place: Schema | None) -> Any:
    """Return `value`, which stands at `place`, without the fields that nobody knows."""
    if place is None:
        return value
    if isinstance(value, Mapping) and place.shape == "struct":
        return {
            key: without_unknown(member, place.fields[key])
            for key, member in value.items()
            if key in place.fields
        }
    if isinstance(value, Mapping):
        return {key: without_unknown(member, place.item) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [without_unknown(member, place.item) for member in value]
    return value


def news(later: Iterable[FieldError], faults: Iterable[FieldError]) -> list[FieldError]:
    """Return what of `later`, found after `without(…, faults)`, is not only due to that.

    A refusal at, above or below a place that lost a field may be; and so may be a name that
    nothing bears.
    """
    lost = {fault.path for fault in faults if fault.reason is not Reason.UNKNOWN_FIELD}
    above = {place for path in lost for place in _places(path)}
    return [
        error
        for error in later
        if not lost
        or (
            error.reason is not Reason.NOT_FOUND
            and error.path not in above
            and lost.isdisjoint(_places(error.path))
        )
    ]


def _places(path: str) -> Iterator[str]:
    """Yield the path and all that it lies in."""
    yield path
    for found in _BOUNDARY.finditer(path):
        yield path[: found.start()]


def _drop(value: Any, path: str) -> Any:
    if not path:
        return _GONE
    if isinstance(value, Mapping):
        return _drop_member(value, path)
    found = _INDEX.match(path)
    if isinstance(value, list | tuple) and found and int(found[1]) < len(value):
        left = _drop(value[int(found[1])], path[found.end() :])
        at = int(found[1])
        return _GONE if left is _GONE else [*value[:at], left, *value[at + 1 :]]
    return value


def _drop_member(value: Mapping[str, Any], path: str) -> Any:
    """Find the member by the path's beginning, for a key may have dots itself."""
    key = max((place for place in _places(path) if place in value), key=len, default=None)
    if key is None:
        return value
    left = _drop(value[key], path[len(key) :].removeprefix("."))
    if left is not _GONE:
        return {**value, key: left}
    return {name: member for name, member in value.items() if name != key}
