"""The live objects as one source sees them: all there are, and which of them are its own.

A view of `live.py`; read by the loop, which hands it to the planner.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.sync.identity import source_of
from reconciler.sync.live import Listener, Live, StoreState, source_key
from reconciler.sync.rivals import Rival, Tree


class Inventory:
    """Every live object by key; `owned` are the keys of `source`.

    `listener` is called with (key, before, after) for each change that may concern the source.
    """

    def __init__(self, source: str, live: Live, listener: Listener) -> None:
        self._source = source
        self._all = live
        self._listener = listener
        self.wanted: Tree = {}

    @property
    def live(self) -> Mapping[ObjectKey, KubeObject]:
        """The newest known state of each object."""
        return self._all.objects

    @property
    def owned(self) -> Mapping[ObjectKey, None]:
        """The inventory of the source, in the order in which it was seen."""
        return self._all.owned(self._source)

    @property
    def store(self) -> StoreState:
        """Which store this is, and the newest revision of it that is known here."""
        return self._all.store

    async def start(self) -> None:
        """Hear of changes from now on; return when every object is known."""
        await self._all.start()
        self._all.join(self._source, self._listener)

    def stop(self) -> None:
        """Hear of nothing more."""
        self._all.leave(self._source)

    def written(self, obj: KubeObject) -> None:
        """Take in the answer to a write that made the object as declared: that is no news here."""
        self._all.written(obj, besides=self._source)

    def marked(self, obj: KubeObject) -> None:
        """Take in the answer to a write that marked what is declared no more."""
        self._all.written(obj)

    def deleting(self, key: ObjectKey, at: str) -> None:
        """Remember that deletion of `key` was asked for, until the API's own word comes."""
        self._all.deleting(key, at)

    def awaiting(self, keys: Collection[ObjectKey]) -> None:
        """Say what has to be gone first: while there is something, each deletion is told."""
        (self._all.waiting.add if keys else self._all.waiting.discard)(self._source)

    def declare(self, followed: Tree | None, wanted: Tree) -> None:
        """Say what the source follows, and what its newest valid revision wants."""
        self.wanted = wanted
        gone = self._all.declarations.declare(self._source, followed, wanted)
        for key in gone:
            live = self._all.objects.get(key)
            others = {self.heir(key), source_of(live) if live is not None else ""}
            for other in others - {"", self._source}:
                self._all.wake(other, key)

    def rival(self, key: ObjectKey) -> Rival | None:
        """Return the other source that keeps the object, if one does."""
        live = self._all.objects.get(key)
        owner = source_of(live) if live is not None else ""
        present = self._all.source(owner) if owner else None
        return self._all.declarations.rival(self._source, key, owner if present else "")

    def heir(self, key: ObjectKey) -> str:
        """Return the other source that an object goes to when this one lets it go, or ""."""
        return self._all.declarations.heir(self._source, key)

    def contest(self, wanted: Mapping[ObjectKey, Rival]) -> None:
        """Tell other sources that this one wants what they keep, at the place of each."""
        for other in self._all.declarations.contest(self._source, wanted):
            self._all.wake(other, source_key(other))

    def contested(self) -> list[tuple[ObjectKey, Rival]]:
        """Return what other sources want of this one, and where they say so."""
        return list(self._all.declarations.contested(self._source))
