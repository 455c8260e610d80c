"""Runs the program with one bug put in by hand. A mutation is text in a file and what it becomes.

The text must be there exactly once: when the code has moved, the mutation fails loudly and is to be
brought along. The source is changed as it is imported, so nothing on the disk is touched; a process
carries one mutation, put in before the program is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType

from tests.sim.history import History

ROOT = Path(__file__).parents[2]


class Moved(Exception):
    """The code that a mutation changes is not where it was."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """In `module`, `old` becomes `new`; `name` says what bug that is.

    It can show only in histories with a step whose text has all the words of `likely`; in any
    history when there are none.
    """

    name: str
    module: str
    old: str
    new: str
    likely: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        return ROOT / (self.module.replace(".", "/") + ".py")

    def may_show_in(self, history: History) -> bool:
        """Say whether a history is worth playing to find the bug."""
        texts = (repr(step.what) for step in history.steps)
        return any(all(word in text for word in self.likely) for text in texts)

    def applied(self) -> str:
        """Return the module's source with the bug. Raises `Moved`."""
        source = self.path.read_text()
        found = source.count(self.old)
        if found != 1:
            raise Moved(f"{self.name}: {self.module} has {found} times {self.old!r}")
        return source.replace(self.old, self.new)


class _Loader(SourceFileLoader):
    def __init__(self, mutation: Mutation) -> None:
        super().__init__(mutation.module, str(mutation.path))
        self._source = mutation.applied()

    def get_code(self, fullname: str) -> object:
        return compile(self._source, self.path, "exec", dont_inherit=True)


class _Finder(MetaPathFinder):
    def __init__(self, mutation: Mutation) -> None:
        self._mutation = mutation

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._mutation.module:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None:
            spec.loader = _Loader(self._mutation)
        return spec


def put_in(mutation: Mutation) -> None:
    """Have this process import the program with the bug."""
    if mutation.module in sys.modules:
        raise RuntimeError(f"{mutation.module} is imported already")
    sys.meta_path.insert(0, _Finder(mutation))
