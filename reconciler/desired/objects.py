"""What a revision declares: values that `load` makes and `sync` plans with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from reconciler.admission.decode import decode
from reconciler.admission.defaults import apply_defaults
from reconciler.desired.kustomize.resource import Place
from reconciler.desired.problem import Problem
from reconciler.model.meta import KubeObject, ObjectKey

_OURS = "reconciler.dev/"
_assign = object.__setattr__


@dataclass(frozen=True, slots=True)
class DesiredObject:
    """One declared object and where it is declared.

    `manifest` is what is written, as plain JSON values that nobody may change: namespace filled
    in, and without nulls, status and the metadata that only a server sets. `obj` is the same as
    admitted, with defaults. `content` is a hash of `manifest`: equal for equal meaning, whatever
    the file's order, comments and form. `line` and `column` count from 1, `document` from 0;
    `within` is the path of the object in its document ("items[2]" in a List), mostly empty.
    `layers` are the places in kustomizations and patches that changed it since, the last one last.
    `instructed` says that it has annotations of ours, which may ask for an order of things.
    """

    key: ObjectKey
    manifest: Mapping[str, Any]
    obj: KubeObject
    content: str
    path: str
    line: int
    column: int
    document: int
    within: str = ""
    layers: tuple[Place, ...] = ()
    instructed: bool = field(init=False)

    def __post_init__(self) -> None:
        """Look once, so that what an earlier run read need not be decoded to be asked."""
        ours = any(name.startswith(_OURS) for name in self.obj.metadata.annotations)
        _assign(self, "instructed", ours)

    @property
    def place(self) -> str:
        """The file, line and column of the object."""
        return f"{self.path}:{self.line}:{self.column}"

    def at(self, path: str) -> DesiredObject:
        """Return the object as declared by an equal file at `path`."""
        return replace(self, path=path)


class Recalled(DesiredObject):
    """A declared object that an earlier run admitted: decoded when somebody asks, which few do.

    `place` is its line, column and document; `encoded` the canonical JSON of its manifest. A start
    makes all of them: it sets what every plan looks at, and nothing else.
    """

    __slots__ = ("_encoded", "_manifest", "_obj", "_place")
    _encoded: bytes
    _place: tuple[int, int, int]
    _manifest: dict[str, Any] | None
    _obj: KubeObject | None

    def __init__(
        self,
        key: ObjectKey,
        content: str,
        path: str,
        place: tuple[int, int, int],
        within: str,
        encoded: bytes,
        *,
        instructed: bool,
    ) -> None:
        _assign(self, "key", key)
        _assign(self, "content", content)
        _assign(self, "path", path)
        _assign(self, "within", within)
        _assign(self, "layers", ())
        _assign(self, "instructed", instructed)
        _assign(self, "_place", place)
        _assign(self, "_encoded", encoded)
        _assign(self, "_manifest", None)
        _assign(self, "_obj", None)

    @property
    def line(self) -> int:
        """See `DesiredObject`."""
        return self._place[0]

    @property
    def column(self) -> int:
        """See `DesiredObject`."""
        return self._place[1]

    @property
    def document(self) -> int:
        """See `DesiredObject`."""
        return self._place[2]

    @property
    def manifest(self) -> Mapping[str, Any]:
        """See `DesiredObject`."""
        known = self._manifest
        if known is None:
            known = orjson.loads(self._encoded)
            _assign(self, "_manifest", known)
        return known

    @property
    def obj(self) -> KubeObject:
        """See `DesiredObject`."""
        known = self._obj
        if known is None:
            known = apply_defaults(decode(self.manifest))
            _assign(self, "_obj", known)
        return known

    def at(self, path: str) -> DesiredObject:
        """See `DesiredObject`."""
        return Recalled(
            self.key, self.content, path, self._place, self.within, self._encoded,
            instructed=self.instructed,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Desired:
    """All that one revision declares, or all that is wrong with it (law 2).

    `rendered` tells what was built and decrypted on the way: "2 kustomizations".
    With `problems`, `objects` has only those that could be read: nobody may act on them.
    """

    revision: str
    objects: Mapping[ObjectKey, DesiredObject]
    problems: tuple[Problem, ...] = ()
    rendered: tuple[str, ...] = ()
