"""What a plain YAML scalar means, as sigs.k8s.io/yaml reads it: YAML 1.1 that becomes JSON. Pure.

`yes`, `on` and `y` are booleans, `0755` is octal, `1_000` a number; times and base-60 numbers are
strings. A float without a fraction is an integer, because JSON has one kind of number.
"""

from __future__ import annotations

import math
import re

_CACHED_LENGTH = 64
_CACHED_VALUES = 20_000
_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE"), True),
    **dict.fromkeys(("on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE"), False),
    **dict.fromkeys(("off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_NUMERIC_START = frozenset("0123456789+-.")
_INTEGER = re.compile(
    r"(?P<sign>[-+]?)(?:0[xX](?P<hex>[0-9a-fA-F]+)|0[bB](?P<binary>[01]+)"
    r"|0[oO]?(?P<octal>[0-7]+)|(?P<decimal>0|[1-9][0-9]*))"
)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_BASES = {"hex": 16, "binary": 2, "octal": 8, "decimal": 10}
_LEAST, _MOST = -(2**63), 2**64 - 1
_MANY_DIGITS = 400  # a number beyond every float; Python would refuse to convert it


def resolve(text: str) -> str | int | float | bool | None:
    """Return the value of a plain scalar."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMERIC_START or len(text) > _MANY_DIGITS:
        return text
    digits = text if text[0] == "." else text.replace("_", "")
    whole = _INTEGER.fullmatch(digits)
    if whole is not None:
        return _integer(whole)
    if _FLOAT.fullmatch(digits):
        return _number(float(digits))
    return text


def _integer(found: re.Match[str]) -> int | float:
    name = found.lastgroup or "decimal"
    value = int(found["sign"] + found[name], _BASES[name])
    return value if _LEAST <= value <= _MOST else float(value)


def _number(value: float) -> int | float:
    integral = value.is_integer() and _LEAST <= value <= _MOST
    return int(value) if integral else value


class PlainValues(dict[str, "str | int | float | bool | None"]):
    """Values of plain scalars by text, kept because manifests say the same words over and over.

    A value that is a string is kept as one object, which saves memory too.
    """

    def __missing__(self, text: str) -> str | int | float | bool | None:
        value = resolve(text)
        if len(text) <= _CACHED_LENGTH and len(self) < _CACHED_VALUES:
            self[text] = value
        return value


class PlainKeys(dict[str, "str | None"]):
    """Mapping keys of plain scalars by text: JSON's keys are strings, so `1` is "1".

    The value is `None` for a null key, which JSON cannot have.
    """

    def __missing__(self, text: str) -> str | None:
        key = as_key(resolve(text))
        if len(text) <= _CACHED_LENGTH and len(self) < _CACHED_VALUES:
            self[text] = key
        return key


def as_key(value: str | float | bool | None) -> str | None:
    """Return the JSON key of a scalar, or `None` for null."""
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case _:
            return repr(value)
