"""JSON text with a key given twice: finding it, and reading it as Go does. Pure.

Called by `body.py`. The usual body has none: that is found out by counting, without a second parse.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

# A key's end. Inside a string a quote is escaped, so that it never ends one.
_KEY = re.compile(rb'(?<!\\)"\s*:')


class _Pairs(list[tuple[str, Any]]):
    """The members of a JSON object in the order of the text, doubles included."""


def may_have(text: bytes, value: Any) -> bool:
    """Say whether `text`, which parses to `value`, may hold a key twice in one object."""
    return len(_KEY.findall(text)) != _keys(value)


def _keys(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_keys, value.values()))
    if isinstance(value, list):
        return sum(map(_keys, value))
    return 0


def read(text: bytes) -> tuple[Any, list[str]]:
    """Return the value of valid JSON `text`, and the path of each key that is a double.

    A later object is merged into an earlier one, as encoding/json decodes into a struct.
    """
    found: list[str] = []
    pairs = json.loads(text, object_pairs_hook=_Pairs)
    return _merged(pairs, "", found), found


def _merged(value: Any, path: str, found: list[str]) -> Any:
    if isinstance(value, _Pairs):
        return _object(value, path, found)
    if isinstance(value, list):
        return [_merged(item, f"{path}[{index}]", found) for index, item in enumerate(value)]
    return value


def _object(pairs: _Pairs, path: str, found: list[str]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        place = f"{path}.{key}" if path else key
        plain = _merged(value, place, found)
        if key in result:
            found.append(place)
            plain = _over(result[key], plain)
        result[key] = plain
    return result


def _over(first: Any, second: Any) -> Any:
    if not (isinstance(first, dict) and isinstance(second, dict)):
        return second
    return {**first, **{key: _over(first.get(key), value) for key, value in second.items()}}


def paths(found: list[str]) -> Iterator[str]:
    """Yield each path once, in order."""
    yield from dict.fromkeys(found)
