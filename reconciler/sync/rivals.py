"""Which source declares which object: who follows one first keeps it. A value without effects.

Held by `live.py`, told by each source's loop, read by the planner: an object that another source
follows is a conflict; one that another source wants is handed over instead of pruned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from reconciler.core.derived import difference
from reconciler.desired.objects import DesiredObject
from reconciler.model.meta import ObjectKey

Tree = Mapping[ObjectKey, DesiredObject]


class Rival(NamedTuple):
    """Another source that an object belongs to; `place` is where, "" while that is not known."""

    source: str
    place: str


class _Declared(NamedTuple):
    followed: Tree | None
    wanted: Tree


class Declarations:
    """What each source follows, and what its newest valid revision wants."""

    def __init__(self) -> None:
        self._of: dict[str, _Declared] = {}
        self._sources: dict[ObjectKey, dict[str, None]] = {}
        self._contested: dict[str, Mapping[ObjectKey, Rival]] = {}

    def of(self, key: ObjectKey) -> Mapping[str, None]:
        """Return the sources that declare `key`, the first one first."""
        return self._sources.get(key, {})

    def declare(self, source: str, followed: Tree | None, wanted: Tree) -> set[ObjectKey]:
        """Take in what a source follows (None: not known yet) and wants; return what it let go."""
        before = self._of.get(source, _Declared(None, {}))
        self._of[source] = _Declared(followed, wanted)
        if before.followed is followed and before.wanted is wanted:
            return set()
        gone: set[ObjectKey] = set()
        for key in _touched(before, self._of[source]):
            was, is_now = _has(before, key), _has(self._of[source], key)
            if is_now and not was:
                self._sources.setdefault(key, {})[source] = None
            elif was and not is_now:
                self._forget(source, key)
            unfollowed = key in (before.followed or {}) and key not in (followed or {})
            if unfollowed or (was and not is_now):
                gone.add(key)
        return gone

    def _forget(self, source: str, key: ObjectKey) -> None:
        sources = self._sources[key]
        del sources[source]
        if not sources:
            del self._sources[key]

    def wanted(self, kind: str) -> Iterator[DesiredObject]:
        """Yield what the newest valid revisions declare of a kind."""
        for key, sources in self._sources.items():
            if key.kind == kind:
                found = (self._of[source].wanted.get(key) for source in sources)
                yield from (each for each in found if each is not None)

    def dropped(self, source: str, key: ObjectKey) -> bool:
        """Return whether what `source` follows is known, and has no `key`."""
        declared = self._of.get(source)
        return (
            declared is not None
            and declared.followed is not None
            and (key not in declared.followed)
        )

    def drop(self, source: str) -> None:
        """Forget a source."""
        self.declare(source, None, {})
        del self._of[source]
        self._contested.pop(source, None)

    def rival(self, source: str, key: ObjectKey, owner: str) -> Rival | None:
        """Return the source other than `source` that keeps `key`, None when it is free.

        `owner` is the existing source whose inventory has the object, "" when none has: while it
        was not read yet, it keeps what it has (law 4).
        """
        for other in self.of(key):
            followed = self._of[other].followed
            if other != source and followed is not None and key in followed:
                return Rival(other, followed[key].place)
        if owner in ("", source):
            return None
        declared = self._of.get(owner)
        return Rival(owner, "") if declared is None or declared.followed is None else None

    def heir(self, source: str, key: ObjectKey) -> str:
        """Return another source that wants `key`, which `source` lets go; "" when none does."""
        return next((other for other in self.of(key) if other != source), "")

    def contest(self, source: str, wanted: Mapping[ObjectKey, Rival]) -> set[str]:
        """Take in what `source` wants of others; return the others for whom that is news.

        `wanted` has for each key the place in `source`, under the name of who keeps it.
        """
        before = self._contested.pop(source, {})
        if wanted:  # so that what is asked of all costs what is contested, not how many there are
            self._contested[source] = wanted
        if before == wanted:
            return set()
        return {each.source for each in (*before.values(), *wanted.values())}

    def contested(self, source: str) -> Iterable[tuple[ObjectKey, Rival]]:
        """Return what others want of `source`, and which source at which place."""
        return sorted(
            (key, Rival(other, rival.place))
            for other, wanted in self._contested.items()
            for key, rival in wanted.items()
            if rival.source == source
        )


def _touched(old: _Declared, new: _Declared) -> Iterable[ObjectKey]:
    """Return the keys that may have come to or gone from what a source follows or wants."""
    followed = difference(new.followed or {}, old.followed or {})
    # Mostly the old tree is followed and the next one wanted, or the wanted one is now followed.
    wanted = difference(new.wanted, old.wanted)
    return dict.fromkeys((*followed, *wanted))


def _has(declared: _Declared, key: ObjectKey) -> bool:
    return key in declared.wanted or (declared.followed is not None and key in declared.followed)
