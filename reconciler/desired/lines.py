"""What one line of the plain block style says. Pure; used by `blocks` alone.

Manifests say the same lines over and over, so each text is looked at once and then known.
"""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

from reconciler.desired.scalars import PlainKeys, PlainValues

_CACHED_LENGTH = 120
_CACHED_LINES = 50_000

_WORD = r"[A-Za-z0-9_/.@+=,%~$*()-]"
_START = r"(?:-{1,2}[A-Za-z0-9]|[A-Za-z0-9/._])"
_PLAIN = rf"{_START}{_WORD}*(?:[:\ ]{_WORD}+)*"
_QUOTED = r""" "[^"\\]*" | '[^']*' """
_KEY = r"[A-Za-z][A-Za-z0-9_./-]{0,100}"
_FLOW_PLAIN = rf"{_START}[A-Za-z0-9_/.@+=%~$*()-]*"
_FLOW_VALUE = rf"(?: {_QUOTED} | {_FLOW_PLAIN} )"
_FLOW_ENTRY = rf"{_KEY}:\ +{_FLOW_VALUE}"
_LIST = rf"\[\ *(?:{_FLOW_VALUE}(?:\ *,\ *{_FLOW_VALUE})*)?\ *\]"
_MAP = rf"\{{\ *(?:{_FLOW_ENTRY}(?:\ *,\ *{_FLOW_ENTRY})*)?\ *\}}"
_VALUE = rf"{_QUOTED} | {_LIST} | {_MAP} | {_PLAIN}"
_LINE = re.compile(
    rf"""
    (?: (\ *) (-\ )? (?: ({_KEY}): (?:\ +({_VALUE}))? | ({_VALUE}) ) (?:\ +\#.*)? \ *
      | (---) (?:\ +\#.*)? \ *
      | \ * (?:\#.*)?
    )
    """,
    re.VERBOSE,
)
_FLOW_PARTS = re.compile(rf"(?:({_KEY}):\ +)?({_FLOW_VALUE})", re.VERBOSE)
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


class Meaning(NamedTuple):
    """A line: where its dash, key or scalar stands, from 0; `opens` when a value may follow below.

    A line without a key is a scalar.
    """

    column: int
    item: bool = False
    key: str | None = None
    value: Any = None
    opens: bool = False


BLANK = Meaning(-1)
"""Nothing, or a comment alone."""

MARKER = Meaning(-2)
"""The start of a document."""


class Lines(dict[str, Meaning | None]):
    """Meanings by line; `None` for a line of any other style. Values are shared: nobody writes."""

    def __missing__(self, line: str) -> Meaning | None:
        meaning = _meaning(line)
        if len(line) <= _CACHED_LENGTH and len(self) < _CACHED_LINES:
            self[line] = meaning
        return meaning


class _Odd(Exception):
    """The line is in another style."""


def _meaning(line: str) -> Meaning | None:
    found = _LINE.fullmatch(line)
    if found is None or _UNPRINTABLE.search(line):
        return None
    indent, dash, key, value, item, marker = found.groups()
    if marker:
        return MARKER
    if indent is None:
        return BLANK
    try:
        name = _key(key) if key else None
        said = _value(value or item) if value or item else None
    except _Odd:
        return None
    return Meaning(len(indent), bool(dash), name, said, opens=not (value or item))


_VALUES = PlainValues()
_KEYS = PlainKeys()


def _key(text: str) -> str:
    key = _KEYS[text]
    if key is None:
        raise _Odd
    return key


def _value(text: str) -> Any:
    """Return the value of a scalar or of a flow collection of scalars."""
    first = text[0]
    if first == "[":
        return [_scalar(value) for _, value in _FLOW_PARTS.findall(text)]
    if first != "{":
        return _scalar(text)
    pairs = [(_key(key), _scalar(value)) for key, value in _FLOW_PARTS.findall(text)]
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise _Odd  # a duplicate key
    return mapping


def _scalar(text: str) -> Any:
    if text[0] in "\"'":
        return text[1:-1]
    value = _VALUES[text]
    if value.__class__ is float and not math.isfinite(value):
        raise _Odd
    return value
