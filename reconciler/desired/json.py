"""JSON files to plain values: the strict sibling of `yaml`. Called by `load`."""

from __future__ import annotations

import json
from typing import Any

from reconciler.desired.limits import ReadLimits
from reconciler.desired.yaml import Document, Fault, Parsed

_LONGEST_NUMBER = 400  # characters; no 64-bit number comes near, however it is written
_SPACE = " \t\r\n"


class _Refused(ValueError):
    """The text is JSON, but not such as a manifest may be."""


def parse(data: bytes, limits: ReadLimits) -> Parsed:
    """Return the values of a JSON file: one, or several one after the other."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _place(data[: error.start].decode("utf-8", "replace"))
        return Parsed((), (Fault("the file is not UTF-8", line, column),))
    reader = _Reader(limits)
    documents: list[Document] = []
    at = _skip(text, 0)
    try:
        while at < len(text):
            _check_count(len(documents), limits)
            line, column = _place(text[:at]) if at else (1, 1)
            value, at = reader.read(text, at)
            documents.append(Document(len(documents), value, line, column))
            at = _skip(text, at)
    except json.JSONDecodeError as error:
        reader.faults.append(Fault(error.msg, error.lineno, error.colno))
    except (_Refused, RecursionError) as error:
        deep = isinstance(error, RecursionError)
        message = f"nested deeper than {limits.depth} levels" if deep else str(error)
        reader.faults.append(Fault(message, *_place(text[:at])))
    return Parsed(tuple(documents), tuple(reader.faults))


class _Reader:
    """Python's decoder with what a manifest asks: no duplicate key, no NaN, bounded nesting."""

    def __init__(self, limits: ReadLimits) -> None:
        self.faults: list[Fault] = []
        self._limits = limits
        self._duplicates: list[str] = []
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._mapping, parse_constant=_no_constant, parse_int=_integer
        )

    def read(self, text: str, at: int) -> tuple[Any, int]:
        """Return the value at `at` and where it ends."""
        self._duplicates.clear()
        value, end = self._decoder.raw_decode(text, at)
        if _depth_bound(text[at:end]) > self._limits.depth:
            _check_depth(value, self._limits.depth)
        for key in self._duplicates:
            place = _place(text[: _second(text, key, at)])
            self.faults.append(Fault(f'duplicate key "{key}"', *place))
        return value, end

    def _mapping(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            seen: set[str] = set()
            for key, value in pairs:
                if key in seen:
                    self._duplicates.append(key)
                else:
                    result[key] = value  # the first one counts
                seen.add(key)
        return result


def _check_count(documents: int, limits: ReadLimits) -> None:
    if documents >= limits.documents:
        raise _Refused(f"more than {limits.documents} documents")


def _no_constant(text: str) -> Any:
    raise _Refused(f"{text} is no number that JSON has")


def _integer(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise _Refused(f"a number of {len(text)} digits is longer than any that a field can hold")
    return int(text)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _place(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _second(text: str, key: str, at: int) -> int:
    """Return where `key` stands for the second time: near enough for a message."""
    quoted = json.dumps(key, ensure_ascii=False)
    first = text.find(quoted, at)
    again = text.find(quoted, first + 1)
    return max(first, again, 0)


def _depth_bound(text: str) -> int:
    """Return a number that the nesting of `text` cannot exceed, cheaply."""
    return text.count("[") + text.count("{")


def _check_depth(value: Any, limit: int) -> None:
    level = [value]
    for _ in range(limit):
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return
    if any(isinstance(each, dict | list) for each in level):
        raise _Refused(f"nested deeper than {limit} levels")
