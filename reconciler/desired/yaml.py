"""YAML text to plain JSON-like values, built straight from libyaml's events.

Called by `load`. It means what sigs.k8s.io/yaml means (see `scalars`), refuses duplicate keys, and
is bounded in nesting, size and alias expansion. Values that come out are plain dicts, lists, str,
int, float, bool and None; two aliases of one anchor are one object, so nobody may write into them.
Positions are kept only where nearly free: `positions` finds the others when an error needs them.
"""

from __future__ import annotations

import base64
import binascii
import math
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml import cyaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamStartEvent,
)

from reconciler.core.errors import ReconcilerError
from reconciler.desired import blocks
from reconciler.desired.limits import ReadLimits
from reconciler.desired.scalars import PlainKeys, PlainValues, as_key

_VALUES = PlainValues()
_KEYS = PlainKeys()
_MERGE = "<<"
_TAG = "tag:yaml.org,2002:"
_ITEMS_DEPTH = 2
_MANY_FAULTS = 100


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the text at a place; line and column count from 1.

    `syntax` says that the text could not be read on from there.
    """

    message: str
    line: int
    column: int
    syntax: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file: its number from 0, its value, and where it starts.

    `items` has where each item of a top-level list `items:` starts, as a `List` has.
    """

    index: int
    value: Any
    line: int
    column: int
    items: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Parsed:
    """The documents of a file and what is wrong with its text.

    After a fault of syntax the documents before it are still there; a document with a fault of
    its own (a duplicate key) is there too. Empty documents are left out. `sealed` says that
    values had to be decrypted.
    """

    documents: tuple[Document, ...]
    faults: tuple[Fault, ...]
    sealed: bool = False


class _Stop(ReconcilerError):
    """Reading cannot go on."""

    def __init__(self, message: str, mark: Any) -> None:
        super().__init__(message)
        self.fault = Fault(message, mark.line + 1, mark.column + 1)


@dataclass(slots=True)
class _Anchor:
    value: Any = None
    nodes: int = 0
    open: bool = True


def parse(data: bytes, limits: ReadLimits) -> Parsed:
    """Return the documents of YAML text."""
    plain = blocks.parse(data, limits)
    if plain is not None:
        return Parsed(tuple(Document(index, value, line, 1) for index, value, line in plain), ())
    return parse_events(data, limits)


def parse_events(data: bytes, limits: ReadLimits) -> Parsed:
    """Return the documents of YAML text of any style, read by libyaml."""
    parser = cyaml.CParser(data)  # type: ignore[attr-defined]
    builder = _Builder(parser, limits)
    documents: list[Document] = []
    try:
        while (document := builder.document()) is not None:
            if document.value is not None:
                documents.append(document)
    except _Stop as stop:
        builder.faults.append(stop.fault)
    except yaml.MarkedYAMLError as error:
        builder.faults.append(_syntax(error))
    except yaml.reader.ReaderError as error:
        builder.faults.append(_unreadable(error, data))
    return Parsed(tuple(documents), tuple(builder.faults))


def _syntax(error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    message = error.problem or error.context or "the text is no YAML"
    if error.context and error.problem:
        message = f"{error.problem} {error.context}"
    return Fault(message, mark.line + 1 if mark else 1, mark.column + 1 if mark else 1, syntax=True)


def _unreadable(error: Any, data: bytes) -> Fault:
    before = data[: error.position]
    column = len(before) - before.rfind(b"\n")
    what = f"character #x{error.character:02x}" if isinstance(error.character, int) else "byte"
    return Fault(f"{what}: {error.reason}", before.count(b"\n") + 1, column, syntax=True)


def _plain(event: Any) -> bool:
    return event.__class__ is ScalarEvent and event.implicit[0]


@dataclass(slots=True)
class _Builder:
    """Builds values from events. Methods are long rather than many: this is the hot path."""

    parser: Any
    limits: ReadLimits
    faults: list[Fault] = field(default_factory=list)
    next: Any = None
    index: int = -1
    nodes: int = 0
    alias_nodes: int = 0
    anchors: dict[str, _Anchor] = field(default_factory=dict)
    starts: list[tuple[int, int]] = field(default_factory=list)
    items: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        self.next = self.parser.get_event

    def document(self) -> Document | None:
        """Return the next document, or `None` at the end."""
        start = self.next()
        if start.__class__ is StreamStartEvent:
            start = self.next()
        if start.__class__ is not DocumentStartEvent:
            return None
        self.index += 1
        if self.index >= self.limits.documents:
            raise _Stop(f"more than {self.limits.documents} documents", start.start_mark)
        self.nodes = self.alias_nodes = 0
        self.anchors.clear()
        self.items = ()
        event = self.next()
        mark = event.start_mark
        value = self.node(event, 1)
        self.next()  # the end of the document
        return Document(self.index, value, mark.line + 1, mark.column + 1, self.items)

    def node(self, event: Any, depth: int) -> Any:
        """Return the value that begins with `event`, at nesting `depth`."""
        kind = event.__class__
        if kind is AliasEvent:
            return self.alias(event)
        anchor = _Anchor() if event.anchor is not None else None
        if anchor is not None:
            self.anchors[event.anchor] = anchor
        before = self.nodes
        if kind is ScalarEvent:
            value = self.scalar(event)
        elif kind is MappingStartEvent:
            value = self.mapping(event, depth)
        else:
            value = self.sequence(event, depth)
        if anchor is not None:
            anchor.value, anchor.nodes, anchor.open = value, self.nodes - before + 1, False
        return value

    def mapping(self, start: Any, depth: int) -> dict[str, Any]:
        """Return the mapping whose start is `start`."""
        self.enter(start, depth, "map")
        take = self.next
        values = _VALUES
        keys = _KEYS
        result: dict[str, Any] = {}
        merges: list[Any] = []
        while (event := take()).__class__ is not MappingEndEvent:
            if event.__class__ is ScalarEvent and event.implicit[0] and event.anchor is None:
                key = keys[event.value]
            else:
                key = self.odd_key(event, depth)
            value_event = take()
            if (
                value_event.__class__ is ScalarEvent
                and value_event.implicit[0]
                and value_event.anchor is None
            ):
                value = values[value_event.value]
                if value.__class__ is float:
                    self.check_finite(value, value_event)
            else:
                value = self.node(value_event, depth + 1)
            if key is None or key in result or (key == _MERGE and _plain(event)):
                self.odd_entry(key, event, value, merges)
                if key not in result:
                    continue
            result[key] = value
            if depth == 1 and key == "items":
                self.items = tuple(self.starts)
        self.nodes += len(result)
        return self.merged(result, merges) if merges else result

    def sequence(self, start: Any, depth: int) -> list[Any]:
        """Return the list whose start is `start`."""
        self.enter(start, depth, "seq")
        take = self.next
        node = self.node
        result: list[Any] = []
        starts: list[tuple[int, int]] | None = None
        if depth == _ITEMS_DEPTH:
            starts = self.starts = []
        while (event := take()).__class__ is not SequenceEndEvent:
            result.append(node(event, depth + 1))
            if starts is not None:
                mark = event.start_mark
                starts.append((mark.line + 1, mark.column + 1))
        if starts is not None:
            self.starts = starts
        self.nodes += len(result)
        return result

    def scalar(self, event: Any) -> Any:
        """Return the value of a scalar, plain, quoted or tagged."""
        if event.implicit[0]:
            value: Any = _VALUES[event.value]
            if value.__class__ is float:
                self.check_finite(value, event)
            return value
        if event.tag is None or event.tag == "!":
            return event.value
        return self.tagged(event)

    def tagged(self, event: Any) -> Any:
        """Return the value of a scalar with one of YAML's own tags."""
        tag = event.tag.removeprefix(_TAG)
        text = event.value
        value = _VALUES[text]
        if tag == "str":
            return text
        if tag == "binary":
            return self.binary(event)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        fits = {
            "int": number and isinstance(value, int),
            "float": number,
            "bool": isinstance(value, bool),
            "null": value is None,
        }
        if tag == "timestamp":
            return text
        if not fits.get(tag, False):
            known = "" if tag in fits else ": only YAML's own scalar tags are read"
            self.fault(f"the value cannot be read as {event.tag.replace(_TAG, '!!')}{known}", event)
        return value

    def binary(self, event: Any) -> str:
        """Return the text that a `!!binary` scalar encodes."""
        try:
            return base64.b64decode("".join(event.value.split()), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            self.fault("a !!binary value must be base64 of UTF-8 text", event)
            return ""

    def alias(self, event: Any) -> Any:
        """Return the value that an alias stands for, counted as if it were written out."""
        anchor = self.anchors.get(event.anchor)
        if anchor is None:
            raise _Stop(f"alias *{event.anchor} has no anchor before it", event.start_mark)
        if anchor.open:
            raise _Stop(f"alias *{event.anchor} is inside its own anchor", event.start_mark)
        self.nodes += anchor.nodes
        self.alias_nodes += anchor.nodes
        if self.alias_nodes > self.limits.alias_nodes:
            limit = self.limits.alias_nodes
            raise _Stop(f"aliases expand to more than {limit} values", event.start_mark)
        return anchor.value

    def enter(self, start: Any, depth: int, plain_tag: str) -> None:
        """Check the bounds and the tag of a mapping or list that begins."""
        if depth > self.limits.depth:
            limit = self.limits.depth
            raise _Stop(f"nested deeper than {limit} levels", start.start_mark)
        if self.nodes > self.limits.nodes:
            limit = self.limits.nodes
            raise _Stop(f"the document has more than {limit} values", start.start_mark)
        if start.tag is not None and start.tag not in (_TAG + plain_tag, "!"):
            shown = start.tag.replace(_TAG, "!!")
            self.fault(f"tag {shown} is not read: only plain mappings and lists are", start)

    def odd_key(self, event: Any, depth: int) -> str | None:
        """Return the key that is no plain scalar; a mapping or list can be none."""
        value = self.node(event, depth + 1)
        if isinstance(value, dict | list):
            raise _Stop("a key must be a scalar, not a mapping or a list", event.start_mark)
        return as_key(value)

    def odd_entry(self, key: str | None, event: Any, value: Any, merges: list[Any]) -> None:
        """Take in an entry that is a merge, a duplicate, or has a null key."""
        if key is None:
            self.fault("a key must not be empty or null", event)
        elif key == _MERGE and _plain(event):
            merges += value if isinstance(value, list) else [value]
            if not all(isinstance(each, dict) for each in merges):
                raise _Stop("<< takes a mapping or a list of mappings", event.start_mark)
        else:
            self.fault(f'duplicate key "{key}"', event)  # the last counts, where one goes on

    def merged(self, result: dict[str, Any], merges: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the mapping with what it merges: its own keys win, then the first merge."""
        for each in merges:
            for key, value in each.items():
                result.setdefault(key, value)
        return result

    def check_finite(self, value: float, event: Any) -> None:
        """Refuse what JSON has no number for."""
        if not math.isfinite(value):
            self.fault(f"{event.value} is no number that JSON can hold", event)

    def fault(self, message: str, event: Any) -> None:
        """Note a fault at the start of `event` and go on."""
        mark = event.start_mark
        self.faults.append(Fault(message, mark.line + 1, mark.column + 1))
        if len(self.faults) >= _MANY_FAULTS:
            raise _Stop("too many faults: the rest of the file is not read", mark)
