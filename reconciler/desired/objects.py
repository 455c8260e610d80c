"""What a revision declares: values that `load` makes and `sync` plans with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.desired.problem import Problem
from reconciler.model.meta import KubeObject, ObjectKey


@dataclass(frozen=True, slots=True)
class DesiredObject:
    """One declared object and where it is declared.

    `manifest` is what is written, as plain JSON values that nobody may change: namespace filled
    in, and without nulls, status and the metadata that only a server sets. `obj` is the same as
    admitted, with defaults. `content` is a hash of `manifest`: equal for equal meaning, whatever
    the file's order, comments and form. `line` and `column` count from 1, `document` from 0;
    `within` is the path of the object in its document ("items[2]" in a List), mostly empty.
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

    @property
    def place(self) -> str:
        """The file, line and column of the object."""
        return f"{self.path}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Desired:
    """All that one revision declares, or all that is wrong with it (law 2).

    With `problems`, `objects` has only those that could be read: nobody may act on them.
    """

    revision: str
    objects: Mapping[ObjectKey, DesiredObject]
    problems: tuple[Problem, ...] = ()
