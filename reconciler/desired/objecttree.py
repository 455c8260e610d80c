"""All objects of one revision, which knows how it differs from the one before.

Made by `load`; what a commit changed is found by `core.derived.difference`. Questions that every
commit asks of every object are answered here from the answers of the revision before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from reconciler.core.derived import Derived
from reconciler.desired.objects import DesiredObject
from reconciler.model import kinds
from reconciler.model.gitops import Source
from reconciler.model.meta import ObjectKey

Objects = Mapping[ObjectKey, DesiredObject]
Question = Callable[[DesiredObject], bool]
"""Asked of an object alone; a function of a module, so that it is the same one each time."""

_SOURCE = kinds.of(Source).key_kind


class ObjectTree(Derived[ObjectKey, DesiredObject]):
    """Declared objects by key."""

    __slots__ = ("_before", "_selected")

    def __init__(
        self, objects: Objects, base: Objects | None = None, changed: Iterable[ObjectKey] = ()
    ) -> None:
        super().__init__(objects, base, changed)
        self._selected: dict[Question, frozenset[ObjectKey]] = {}
        self._before = base.answers() if isinstance(base, ObjectTree) else {}

    def selected(self, question: Question) -> frozenset[ObjectKey]:
        """Return the keys of the objects that answer yes."""
        found = self._selected.get(question)
        if found is None:
            before = self._before.get(question)
            looked: Iterable[ObjectKey] = self if before is None else self.changed
            found = frozenset(key for key in looked if key in self and question(self[key]))
            if before is not None:
                found |= before.difference(self.changed)
            self._selected[question] = found
        return found

    def answers(self) -> dict[Question, frozenset[ObjectKey]]:
        """Return the answers to all that was asked of this revision and of those before."""
        return {
            question: self.selected(question) for question in {**self._before, **self._selected}
        }


def instructed(objects: Objects) -> list[DesiredObject]:
    """Return the objects that have annotations of ours, in the order of their keys."""
    return _chosen(objects, _is_instructed)


def sources(objects: Objects) -> list[DesiredObject]:
    """Return the Sources among `objects`, in the order of their keys."""
    return _chosen(objects, _is_source)


def _chosen(objects: Objects, question: Question) -> list[DesiredObject]:
    if isinstance(objects, ObjectTree):
        return [objects[key] for key in sorted(objects.selected(question))]
    return [objects[key] for key in sorted(objects) if question(objects[key])]


def _is_instructed(each: DesiredObject) -> bool:
    return each.instructed


def _is_source(each: DesiredObject) -> bool:
    return each.key.kind == _SOURCE
