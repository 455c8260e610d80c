"""Maps that know how they differ from the one they were made from.

Used for what a revision has, its files and its objects: a commit changes a few of many, and what
follows from it asks `difference`, so that it does not cost what the whole costs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TypeVar
from weakref import ref

K = TypeVar("K")
V = TypeVar("V")


class Derived(dict[K, V]):
    """A map of `base` with changes; nobody but who makes it changes it.

    `changed` has every key of which the two differ (and maybe more); the base is forgotten when
    nobody else needs it.
    """

    __slots__ = ("__weakref__", "_base", "changed")

    def __init__(
        self, entries: Mapping[K, V], base: Mapping[K, V] | None = None, changed: Iterable[K] = ()
    ) -> None:
        super().__init__(entries)
        self._base = ref(base) if isinstance(base, Derived) else None
        self.changed = tuple(dict.fromkeys(changed))

    def changes_from(self, other: Mapping[K, V]) -> Collection[K] | None:
        """Return the keys of which this may differ from its base; None when `other` is not that."""
        return self.changed if self._base is not None and self._base() is other else None


def difference(new: Mapping[K, V], old: Mapping[K, V]) -> Collection[K]:
    """Return every key whose value is another one, came or went, and maybe some more."""
    if new is old:
        return ()
    for one, other in ((new, old), (old, new)):
        if isinstance(one, Derived) and (known := one.changes_from(other)) is not None:
            return known
    before = old.get
    changed = [key for key, wanted in new.items() if before(key) is not wanted]
    if len(new) - len(old) == sum(key not in old for key in changed):
        return changed
    return [*changed, *(old.keys() - new.keys())]
