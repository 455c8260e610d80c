"""`${VARIABLES}` in a text: what they may look like, and what stands in their place. Pure.

Called by `substitute.py` for each scalar of a source that asks for it. The rules are those of Flux'
post-build substitution: `${VAR}`, `${VAR:=default}` (also `:-`, `=`, `-`), `${VAR:position}`,
`${VAR:position:length}`, `${VAR/old/new}`, `${VAR//old/new}`, and `$${VAR}` for the text `${VAR}`.
One is our own: a variable without value and default is a fault, never an empty text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SLICE = re.compile(r":\s*(?P<start>-?[0-9]{1,9})(?::(?P<length>[0-9]{1,9}))?\Z")
_REPLACE = re.compile(r"(?P<all>//?)(?P<old>[^/]+)/(?P<new>[^/]*)\Z")
_DEFAULT = re.compile(r":?[=-]")
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Variables:
    """Values by name; those of `secret` come from Secrets. `missing` says what could not be read.

    Two that are equal give equal texts.
    """

    values: Mapping[str, str]
    secret: frozenset[str] = frozenset()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Expanded:
    """A text with values in it; `secret` when one of them comes from a Secret."""

    text: str
    secret: bool


class VariableFault(Exception):
    """An expression that cannot be replaced; `at` is where it starts in the text."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message = message
        self.at = at


def expand(text: str, variables: Variables) -> Expanded:
    """Return `text` with each variable replaced; raises `VariableFault`."""
    return _expand(text, variables, 0, 0)


def _expand(text: str, variables: Variables, offset: int, depth: int) -> Expanded:
    parts: list[str] = []
    secret = False
    at = 0
    while (found := text.find("${", at)) != -1:
        if found > at and text[found - 1] == "$":
            parts += [text[at : found - 1], "${"]
            at = found + 2
            continue
        end = _end(text, found, offset)
        value = _value(text[found + 2 : end], variables, offset + found, depth)
        parts += [text[at:found], value.text]
        secret |= value.secret
        at = end + 1
    return Expanded("".join((*parts, text[at:])), secret)


def _end(text: str, start: int, offset: int) -> int:
    """Return where the brace closes that opens at `start`; braces inside are expressions."""
    open_ones = 0
    at = start
    while at < len(text):
        if text.startswith("${", at):
            open_ones += 1
            at += 2
            continue
        if text[at] == "}":
            open_ones -= 1
            if not open_ones:
                return at
        at += 1
    raise VariableFault(f"{_shown(text[start:])} has no closing brace", offset + start)


def _value(inside: str, variables: Variables, at: int, depth: int) -> Expanded:
    named = _NAME.match(inside)
    if named is None or depth > _DEEPEST:
        shown = _shown("${" + inside + "}")
        raise VariableFault(f"{shown} is no variable; write $${{ for the text ${{", at)
    name, rest = named.group(), inside[named.end() :]
    value = variables.values.get(name)
    if (default := _DEFAULT.match(rest)) is not None and not _SLICE.match(rest):
        if value or (value is not None and not rest.startswith(":")):
            return Expanded(value, name in variables.secret)
        text = rest[default.end() :]
        start = at + 2 + named.end() + default.end()
        return _expand(text, variables, start, depth + 1)
    changed = _changed(value or "", rest)
    if changed is None:
        shown = _shown("${" + inside + "}")
        raise VariableFault(
            f"{shown} is no variable with a known function; write $${{ for the text ${{", at
        )
    if value is None:
        raise VariableFault(f"variable {name} has no value and no default", at)
    return Expanded(changed, name in variables.secret)


def _changed(value: str, rest: str) -> str | None:
    """Return the value as the function behind its name makes it, None for an unknown one."""
    if not rest:
        return value
    if cut := _SLICE.match(rest):
        start = int(cut["start"])
        tail = value[start:]
        return tail[: int(cut["length"])] if cut["length"] is not None else tail
    if swap := _REPLACE.match(rest):
        count = -1 if swap["all"] == "//" else 1
        return value.replace(swap["old"], swap["new"], count)
    return None


def _shown(expression: str) -> str:
    line = expression.partition("\n")[0]
    return line if len(line) <= 40 else f"{line[:39]}…"  # noqa: PLR2004 - a word in a message
