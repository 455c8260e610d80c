"""Where in a source a field of an object is asked for. Called when a person asks: by `plan`.

Nothing of it is known beforehand, so that a revision of 10,000 objects costs nothing more: the one
document is read once more. What a kustomization changed is looked for in its layers first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from reconciler.desired.kustomize.resource import Place
from reconciler.desired.kustomize.transform import split_image
from reconciler.desired.objects import DesiredObject
from reconciler.desired.positions import Positions
from reconciler.desired.written import join
from reconciler.source.files import is_kustomization

_MARKER = b"---"
_ONLY = {
    "commonLabels": re.compile(r"(labels|selector)[.\[]"),
    "labels": re.compile(r"(labels|selector)[.\[]"),
    "commonAnnotations": re.compile(r"annotations[.\[]"),
}
_INSIDE = re.compile(r"\[([^\]]*)\]")


class Spot(NamedTuple):
    """A line of a file of the source, from 1."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


class Asked:
    """Looks fields up in the files of one revision; `text` returns a file as it is read."""

    def __init__(self, text: Callable[[str], bytes]) -> None:
        self._text = text
        self._known: dict[str, list[bytes]] = {}
        self._read: tuple[tuple[str, int], Positions] | None = None

    def spot(self, wanted: DesiredObject, field: str, value: object = None) -> Spot:
        """Return the line of the field at the path `field`, written as in a plan, of an object.

        Of a field that is not there, the line of what is around it. `value` is what it shall be,
        where that is known. Raises what `text` raises.
        """
        for layer in reversed(wanted.layers):
            if (found := self._in_layer(layer, field, value)) is not None:
                return found
        if is_kustomization(wanted.path):
            base = Place(wanted.path, wanted.line, wanted.column, wanted.document, wanted.within)
            return self._said(base, (_last_name(field),)) or Spot(wanted.path, wanted.line)
        document, before = self._document(wanted.path, wanted.line)
        place = _place(wanted, document, field)
        return Spot(wanted.path, before + place[0] if place is not None else wanted.line)

    def _in_layer(self, layer: Place, field: str, value: object) -> Spot | None:
        """Return where a layer sets the field, None when it does not say it."""
        if not is_kustomization(layer.path):
            document, before = self._document(layer.path, layer.line)
            if document.exact(0, "[0]") is None:  # no list, so no JSON patch
                found = document.nearest(0, field)
                return Spot(layer.path, before + found[0][0]) if found and found[1] else None
        name, kind = _last_name(field), layer.within.partition("[")[0]
        if kind == "replicas":
            return Spot(layer.path, layer.line) if name == kind else None
        if kind == "images":
            new = split_image(value)[0] if isinstance(value, str) else ""
            return self._said(layer, (new,), layer.line) if name == "image" else None
        if (only := _ONLY.get(kind)) is not None:
            return self._said(layer, (name,)) if only.search(field) else None
        names = (name,) if self._said(layer, ("op",)) else (name, *_INSIDE.findall(field))
        return self._said(layer, names)

    def _said(self, layer: Place, names: Iterable[str], at: int = 0) -> Spot | None:
        """Return the line of a layer that says the first of `names`, if it says them all.

        With `at` return that line instead.
        """
        text = list(self._of_layer(layer))
        lines = [next((n for n, line in text if _says(line, name)), 0) for name in names]
        return Spot(layer.path, at or lines[0]) if all(lines) else None

    def _of_layer(self, layer: Place) -> Iterable[tuple[int, bytes]]:
        """Yield the lines of an entry of a kustomization, or of a document, with their numbers."""
        lines = self._lines(layer.path)
        own = is_kustomization(layer.path)
        start = _indent(lines[layer.line - 1])
        for number, line in enumerate(lines[layer.line - 1 :], layer.line):
            over = _indent(line) <= start if own else line.startswith(_MARKER)
            if number > layer.line and line.strip() and over:
                return
            yield number, line

    def _document(self, path: str, line: int) -> tuple[Positions, int]:
        """Return the document that a line is in, the only one of them, and the lines before it."""
        lines = self._lines(path)
        first = line - 1
        while first > 0 and not lines[first].startswith(_MARKER):
            first -= 1
        if self._read is None or self._read[0] != (path, first):
            after = (n for n in range(line, len(lines)) if lines[n].startswith(_MARKER))
            text = b"\n".join(lines[first : next(after, len(lines))])
            self._read = (path, first), Positions(text)
        return self._read[1], first

    def _lines(self, path: str) -> list[bytes]:
        if path not in self._known:
            self._known[path] = self._text(path).split(b"\n")
        return self._known[path]


def _place(wanted: DesiredObject, document: Positions, field: str) -> tuple[int, int] | None:
    """Return the place in the document; a Secret's data may be written as stringData."""
    found = document.nearest(0, join(wanted.within, field))
    if wanted.key.kind == "Secret" and field.startswith("data") and not (found and found[1]):
        plain = document.nearest(0, join(wanted.within, f"stringData{field[4:]}"))
        found = plain if plain is not None and plain[1] else found
    return found[0] if found is not None else None


def _last_name(field: str) -> str:
    """Return the name at the end of a path, be it in brackets."""
    return field[:-1].rpartition("[")[2] if field.endswith("]") else field.rpartition(".")[2]


def _says(line: bytes, name: str) -> bool:
    return bool(re.search(rb"(?<![\w.-])" + re.escape(name.encode()) + rb"(?![\w-])", line))


def _indent(line: bytes) -> int:
    return len(line) - len(line.lstrip(b" "))
