"""The plain block style that nearly every manifest is written in, read line by line.

Called by `yaml.parse` before libyaml, because it takes half of libyaml's time. It means exactly
what libyaml means, or it gives up and returns `None` for the whole text: at anything but `key:`,
`key: value`, `- key: value` and `- value` with the value on one line in printable ASCII, at an
odd indentation, at whatever is an error. It reports no fault itself. A property test holds it
against libyaml.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

from reconciler.desired.limits import ReadLimits
from reconciler.desired.scalars import PlainKeys, PlainValues

_WORD = r"[A-Za-z0-9_/.@+=,%~$*()-]"
_PLAIN = rf"[A-Za-z0-9/._]{_WORD}*(?:[:\ ]{_WORD}+)*"
_VALUE = rf""" "[^"\\\n]*" | '[^'\n]*' | \{{\}} | \[\] | {_PLAIN} """
_LINE = re.compile(
    rf"""
    ^(?: (\ *) (-\ )? (?: ([A-Za-z][A-Za-z0-9_./-]{{0,100}}): (?:\ +({_VALUE}))? | ({_VALUE}) )
         (?:\ +\#[^\n]*)? \ *
       | (---) (?:\ +\#[^\n]*)? \ *
       | \ * (?:\#[^\n]*)?
     )\n
    """,
    re.MULTILINE | re.VERBOSE,
)
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\n]")

Line = tuple[str, str, str, str, str, str]
"""Indentation, dash, key, the key's value, an item's value, document marker."""


class _Odd(Exception):
    """The text is not in this style."""


def parse(data: bytes, limits: ReadLimits) -> list[tuple[int, Any, int]] | None:
    """Return number, value and line of each document that is not empty, or `None`."""
    text = data.decode("ascii", "replace")
    if not text.endswith("\n"):
        text += "\n"
    if _UNPRINTABLE.search(text):
        return None
    lines: list[Line] = _LINE.findall(text)
    if len(lines) != text.count("\n"):
        return None
    try:
        return list(_documents(lines, limits))
    except _Odd:
        return None


def _documents(lines: list[Line], limits: ReadLimits) -> Iterable[tuple[int, Any, int]]:
    """Split the lines at the document markers and build each part."""
    number, start, marked = 0, 0, False
    for at, line in enumerate(lines):
        if line[5]:
            found = _document(lines, start, at, limits)
            if found:
                yield number, *found
            if found or marked:
                number += 1
            start, marked = at + 1, True
            if number >= limits.documents:
                raise _Odd
    found = _document(lines, start, len(lines), limits)
    if found:
        yield number, *found


def _document(
    lines: list[Line], start: int, end: int, limits: ReadLimits
) -> tuple[dict[str, Any], int] | None:
    """Return the mapping in `lines[start:end]` and the line it starts at; `None` if empty."""
    while start < end and not (lines[start][2] or lines[start][4]):
        start += 1
    if start == end:
        return None
    first = lines[start]
    if first[0] or first[1] or end - start > limits.nodes:
        raise _Odd
    builder = _Builder(limits.depth)
    for line in lines[start:end]:
        if line[2] or line[4]:
            builder.line(line)
    return builder.root, start + 1


class _Builder:
    """Puts lines into containers. The stack has each open one with its column."""

    def __init__(self, depth: int) -> None:
        self.root: dict[str, Any] = {}
        self._depth = depth
        self._columns = [0]
        self._containers: list[Any] = [self.root]
        self._waiting: str | None = None  # the key whose value the next line may begin

    def line(self, line: Line) -> None:
        """Take in one line with content."""
        indent, dash, key, value, item, _ = line
        column = len(indent)
        if self._waiting is not None:
            self._begin(column, dash)
        top = self._containers[-1]
        if self._columns[-1] != column or (top.__class__ is list) != (dash != ""):
            self._close(column, dash)
        if dash:
            if item:
                self._containers[-1].append(_scalar(item))
                return
            self._open(column + 2, {})
        elif item:
            raise _Odd  # a scalar that goes on over several lines
        self._entry(key, value)

    def _begin(self, column: int, dash: str) -> None:
        """Give the waiting key the container that begins here, or null."""
        mapping, key = self._containers[-1], self._waiting
        self._waiting = None
        own = self._columns[-1]
        if column > own or (dash and column == own):
            container: Any = [] if dash else {}
            mapping[key] = container
            self._push(column, container)
        else:
            mapping[key] = None

    def _close(self, column: int, dash: str) -> None:
        """Leave the containers that this line is not part of."""
        columns, containers = self._columns, self._containers
        while columns[-1] > column or (
            columns[-1] == column and not dash and containers[-1].__class__ is list
        ):
            columns.pop()
            containers.pop()
        if columns[-1] != column or (containers[-1].__class__ is list) != bool(dash):
            raise _Odd

    def _open(self, column: int, container: dict[str, Any]) -> None:
        """Begin an item that is a mapping."""
        self._containers[-1].append(container)
        self._push(column, container)

    def _push(self, column: int, container: Any) -> None:
        if len(self._columns) >= self._depth:
            raise _Odd
        self._columns.append(column)
        self._containers.append(container)

    def _entry(self, text: str, value: str) -> None:
        """Put `text: value` into the mapping at hand."""
        key = _KEYS[text]
        mapping = self._containers[-1]
        if key is None or key in mapping or (text == "items" and mapping is self.root):
            raise _Odd
        if value:
            mapping[key] = _scalar(value)
        else:
            mapping[key] = None
            self._waiting = key


_VALUES = PlainValues()
_KEYS = PlainKeys()


def _scalar(text: str) -> Any:
    """Return the value of a scalar, or of an empty flow collection."""
    first = text[0]
    if first in "\"'":
        return text[1:-1]
    if first == "{":
        return {}
    if first == "[":
        return []
    value = _VALUES[text]
    if value.__class__ is float and not math.isfinite(value):
        raise _Odd
    return value
