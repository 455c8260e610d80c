"""The plain block style that nearly every manifest is written in, read line by line.

Called by `yaml.parse` before libyaml, because it takes a small part of libyaml's time. It means
exactly what libyaml means, or it gives up and returns `None` for the whole text: at anything but
`key:`, `key: value`, `- key: value` and `- value` with the value on one line in printable ASCII
(`lines` says which), at an odd indentation, at whatever is an error. It reports no fault itself. A
property test holds it against libyaml.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from reconciler.desired.limits import ReadLimits
from reconciler.desired.lines import BLANK, MARKER, Lines, Meaning

_LINES = Lines()


class _Odd(Exception):
    """The text is not in this style."""


def parse(data: bytes, limits: ReadLimits) -> list[tuple[int, Any, int]] | None:
    """Return number, value and line of each document that is not empty, or `None`."""
    if len(data) > limits.nodes:  # so that no document can have more values
        return None
    lines = data.decode("ascii", "replace").split("\n")
    if not lines[-1]:
        lines.pop()
    known = _LINES
    meanings = [known[line] for line in lines]
    if None in meanings:
        return None
    try:
        return list(_documents(meanings, limits))  # type: ignore[arg-type]
    except _Odd:
        return None


def _documents(lines: list[Meaning], limits: ReadLimits) -> Iterable[tuple[int, Any, int]]:
    """Split the lines at the document markers and build each part."""
    number, start, marked = 0, 0, False
    at = -1
    for _ in range(lines.count(MARKER)):
        at = lines.index(MARKER, at + 1)
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
    lines: list[Meaning], start: int, end: int, limits: ReadLimits
) -> tuple[dict[str, Any], int] | None:
    """Return the mapping in `lines[start:end]` and the line it starts at; `None` if empty."""
    while start < end and lines[start] is BLANK:
        start += 1
    if start == end:
        return None
    first = lines[start]
    if first.column or first.item:
        raise _Odd
    return _mapping(lines[start:end] if start or end < len(lines) else lines, limits), start + 1


def _mapping(lines: list[Meaning], limits: ReadLimits) -> dict[str, Any]:  # noqa: C901 - see below
    """Put the lines into containers: the hot path, one loop rather than many small calls.

    The stack has each open container with its column; `waiting` is the key whose value the next
    line may begin.
    """
    root: dict[str, Any] = {}
    columns, containers = [0], [root]
    place: Any = root
    own, in_list, waiting = 0, False, None
    deepest = limits.depth - 1  # one level is left for a flow collection within
    for column, item, key, value, opens in lines:
        if column < 0:
            continue  # BLANK: a marker never comes here
        if waiting is not None:
            if column > own or (item and column == own):
                inner: Any = [] if item else {}
                place[waiting] = place = inner
                if len(columns) >= deepest:
                    raise _Odd
                columns.append(column)
                containers.append(inner)
                own, in_list = column, item
            waiting = None
        if column != own or in_list is not item:
            place = _close(columns, containers, column, item=item)
            own, in_list = column, item
        if item:
            if key is None:
                place.append(value)
                continue
            column += 2  # noqa: PLW2901 - the key stands behind the dash
            mapping: dict[str, Any] = {}
            place.append(mapping)
            if len(columns) >= deepest:
                raise _Odd
            columns.append(column)
            containers.append(mapping)
            place, own, in_list = mapping, column, False
        if key is None or key in place or (place is root and key == "items"):
            raise _Odd  # a scalar over several lines; a duplicate; a list whose places count
        place[key] = value
        if opens:
            waiting = key
    return root


def _close(columns: list[int], containers: list[Any], column: int, *, item: bool) -> Any:
    """Leave the containers that a line is not part of; return the one that it is part of."""
    while columns[-1] > column or (
        columns[-1] == column and not item and containers[-1].__class__ is list
    ):
        columns.pop()
        containers.pop()
    if columns[-1] != column or (containers[-1].__class__ is list) is not item:
        raise _Odd
    return containers[-1]
