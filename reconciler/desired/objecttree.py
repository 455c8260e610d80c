"""All objects of one revision, which knows how it differs from the one before.

Made by `load`. A commit changes a few of many objects: what has to be done for each that changed
asks `difference`, so that it does not cost what the whole tree costs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from weakref import ref

from reconciler.desired.objects import DesiredObject
from reconciler.model.meta import ObjectKey

Objects = Mapping[ObjectKey, DesiredObject]


class ObjectTree(dict[ObjectKey, DesiredObject]):
    """Declared objects by key; nobody but who makes it changes it.

    `base` is the tree that it was made from and `changed` has every key of which the two differ
    (and maybe more); the base is forgotten when nobody else needs it.
    """

    __slots__ = ("__weakref__", "_annotated", "_base", "_before", "_changed")

    def __init__(
        self, objects: Objects, base: Objects | None = None, changed: Iterable[ObjectKey] = ()
    ) -> None:
        super().__init__(objects)
        self._base = ref(base) if isinstance(base, ObjectTree) else None
        self._changed = tuple(dict.fromkeys(changed))
        self._annotated: frozenset[ObjectKey] | None = None
        self._before = base.annotated() if isinstance(base, ObjectTree) else None

    def changes_from(self, other: Objects) -> Collection[ObjectKey] | None:
        """Return the keys of which this may differ from its base; None when `other` is not that."""
        return self._changed if self._base is not None and self._base() is other else None

    def annotated(self) -> frozenset[ObjectKey]:
        """Return the keys of the objects that have annotations."""
        if self._annotated is None:
            looked = self.keys() if self._before is None else self._changed
            mine = frozenset(key for key in looked if key in self and self[key].annotated)
            self._annotated = (self._before or frozenset()).difference(self._changed) | mine
        return self._annotated


def difference(new: Objects, old: Objects) -> Collection[ObjectKey]:
    """Return every key whose declaration is another one, came or went, and maybe some more."""
    if new is old:
        return ()
    for one, other in ((new, old), (old, new)):
        if isinstance(one, ObjectTree) and (known := one.changes_from(other)) is not None:
            return known
    before = old.get
    changed = [key for key, wanted in new.items() if before(key) is not wanted]
    if len(new) - len(old) == sum(key not in old for key in changed):
        return changed
    return [*changed, *(old.keys() - new.keys())]


def with_annotations(objects: Objects) -> Iterable[DesiredObject]:
    """Return the objects that have annotations, in the order of their keys."""
    if isinstance(objects, ObjectTree):
        return [objects[key] for key in sorted(objects.annotated())]
    return [objects[key] for key in sorted(objects) if objects[key].annotated]
