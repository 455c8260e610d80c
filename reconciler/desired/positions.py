"""Where in a file a field stands: found only when an error needs it.

The text is read once more, this time into nodes with marks, and a field path is walked along
them. Called by `load` for a file with problems, so its cost does not matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import yaml
from yaml.events import CollectionEndEvent, CollectionStartEvent, DocumentEndEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Place = tuple[int, int]
ITEM_KEYS = (
    "name", "containerPort", "port", "mountPath", "devicePath", "ip", "key", "type", "uid",
)  # fmt: skip
"""What tells the items of a list apart: the first of these in which all of them differ."""

_DEEPEST = 64
_STEP = re.compile(r"\[(?P<index>[^\]]*)\]|(?P<name>[^.\[]+)")


@dataclass(frozen=True, slots=True)
class _Entry:
    """A key of a mapping, or an item of a list (which has no key node), with its value."""

    step: str
    key: Node | None
    value: Node


class Positions:
    """Places in the text of one file.

    An item of a list is told by its index, or as in a plan by its key: `spec.ports[http].port`.
    """

    def __init__(self, data: bytes) -> None:
        self._nodes = _documents(data)
        self._text = data.decode("utf-8", "replace")
        self._known: list[Node | None] = []

    def of(self, document: int, path: str, value: object = None) -> Place | None:
        """Return the line and column, from 1, of the field at `path` in a document.

        That is the value of a scalar, the key of anything else; where the field is absent, the
        nearest thing around it. For a mapping with a bad key or value in it (a label), `value` is
        that text. `None` when the document cannot be read that far.
        """
        node = self._document(document)
        if node is None:
            return None
        place, last, there = _nearest(node, path)
        if there:
            place = _member(last, value) or place
        return place.start_mark.line + 1, place.start_mark.column + 1

    def nearest(self, document: int, path: str) -> tuple[Place, bool] | None:
        """Return what `of` does, and whether the field itself is there."""
        node = self._document(document)
        if node is None:
            return None
        place, _, there = _nearest(node, path)
        return (place.start_mark.line + 1, place.start_mark.column + 1), there

    def exact(self, document: int, path: str) -> Place | None:
        """Return the place of the field at `path`, or `None` when it is not there."""
        node = self._document(document)
        rest = path
        place = node
        while node is not None and rest:
            entry, rest = _follow(node, rest)
            if entry is None:
                return None
            node, place = entry.value, entry.key or entry.value
        return (place.start_mark.line + 1, place.start_mark.column + 1) if place else None

    def key(self, document: int, path: str) -> Place | None:
        """Return the place of the key at `path` itself, for a field that should not be there."""
        parent, _, _ = path.rpartition(".")
        node = self._document(document)
        rest = path
        while node is not None and rest:
            entry, rest = _follow(node, rest)
            if entry is None:
                return self.of(document, parent)
            if not rest and entry.key is not None:
                return entry.key.start_mark.line + 1, entry.key.start_mark.column + 1
            node = entry.value
        return self.of(document, path)

    def is_quoted(self, document: int, path: str) -> bool:
        """Return whether the scalar at `path` is quoted, or a block of text."""
        _, node = self._scalar(document, path)
        return isinstance(node, ScalarNode) and bool(node.style)

    def within(self, document: int, path: str, text: str, *, in_key: bool = False) -> Place | None:
        """Return the place of `text` in the scalar at `path` (or in its key), or `None`."""
        key, value = self._scalar(document, path)
        node = key if in_key else value
        if node is None:
            return None
        start = node.start_mark
        before, found, _ = self._text[start.index : node.end_mark.index].partition(text)
        if not found:
            return start.line + 1, start.column + 1
        lines = before.split("\n")
        column = len(lines[-1]) + (start.column if len(lines) == 1 else 0)
        return start.line + len(lines), column + 1

    def _scalar(self, document: int, path: str) -> tuple[Node | None, Node | None]:
        """Return the key and the value at `path`; `None` for what is not there."""
        key, node, rest = None, self._document(document), path
        while node is not None and rest:
            entry, rest = _follow(node, rest)
            if entry is None:
                return None, None
            key, node = entry.key, entry.value
        return key, node

    def path_at(self, place: Place) -> str:
        """Return the path of the field whose key or value starts at `place`, or nothing."""
        index = 0
        while (node := self._document(index)) is not None:
            if found := _search(node, place, "", 0, set()):
                return found
            index += 1
        return ""

    def _document(self, index: int) -> Node | None:
        while len(self._known) <= index:
            self._known.append(next(self._nodes, None))
        return self._known[index]


def _documents(data: bytes) -> Iterator[Node]:
    try:
        yield from islice(yaml.compose_all(data, Loader=yaml.CSafeLoader), _shallow(data))
    except yaml.YAMLError:
        return  # the documents before the fault have their places


def _shallow(data: bytes) -> int:
    """Return how many documents may be composed: PyYAML overflows the stack on a deep one."""
    depth = count = 0
    try:
        for event in yaml.parse(data, Loader=yaml.CSafeLoader):
            if isinstance(event, CollectionStartEvent):
                depth += 1
            elif isinstance(event, CollectionEndEvent):
                depth -= 1
            elif isinstance(event, DocumentEndEvent):
                count += 1
            if depth > _DEEPEST:
                return count
    except yaml.YAMLError:
        count += 1  # composing it finds the same fault, after what comes before
    return count


def _entries(node: Node) -> Iterator[_Entry]:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield _Entry(key.value if isinstance(key, ScalarNode) else "", key, value)
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield _Entry(str(index), None, item)


def _nearest(node: Node, path: str) -> tuple[Node, Node, bool]:
    """Return where the field or what is around it is placed, its value, and whether it is there."""
    place, rest = node, path
    while rest:
        entry, rest = _follow(node, rest)
        if entry is None:
            return place, node, False
        node = entry.value
        scalar = not isinstance(node, MappingNode | SequenceNode)
        place = node if scalar or entry.key is None else entry.key
    return place, node, True


def _member(node: Node, text: object) -> Node | None:
    """Return the key or value of a mapping that is `text`."""
    if not isinstance(node, MappingNode) or not isinstance(text, str):
        return None
    members = [each for entry in _entries(node) for each in (entry.key, entry.value)]
    return next((each for each in members if each is not None and each.value == text), None)


def _follow(node: Node, path: str) -> tuple[_Entry | None, str]:
    """Take the first step of `path`; return what it leads to and the rest of the path.

    A key with dots (a label in `metadata.labels.a.b/c`) is found as the longest key that fits.
    """
    found = _STEP.match(path)
    if found is None:
        return None, ""
    if isinstance(node, MappingNode) and found["index"] is None:
        fitting = [entry for entry in _entries(node) if _leads(entry.step, path)]
        entry = max(fitting, key=lambda each: len(each.step), default=None)
        taken = len(entry.step) if entry else found.end()
    else:
        wanted = found["index"] if found["index"] is not None else found["name"]
        entry = next((each for each in _entries(node) if each.step == wanted), None)
        if entry is None and isinstance(node, SequenceNode):
            entry = _told_by(node, wanted)
        taken = found.end()
    return entry, path[taken:].removeprefix(".")


def _told_by(items: SequenceNode, text: str) -> _Entry | None:
    """Return the item of a list that has `text` in the first of the keys in which any has it."""
    for key in ITEM_KEYS:
        for entry in _entries(items):
            if any(e.step == key and e.value.value == text for e in _entries(entry.value)):
                return entry
    return None


def _leads(key: str, path: str) -> bool:
    return path.startswith(key) and path[len(key) : len(key) + 1] in ("", ".", "[")


def _search(node: Node, place: Place, prefix: str, depth: int, seen: set[int]) -> str:
    """Look through each node once: a document of aliases is endless when it is followed."""
    if depth > _DEEPEST or id(node) in seen:
        return ""
    seen.add(id(node))
    for entry in _entries(node):
        path = _join(prefix, entry)
        marks = [each.start_mark for each in (entry.key, entry.value) if each is not None]
        if place in [(mark.line + 1, mark.column + 1) for mark in marks]:
            return path
        if found := _search(entry.value, place, path, depth + 1, seen):
            return found
    return ""


def _join(prefix: str, entry: _Entry) -> str:
    if entry.key is None:
        return f"{prefix}[{entry.step}]"
    return f"{prefix}.{entry.step}" if prefix else entry.step
