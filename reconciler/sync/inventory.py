"""The live objects as sync sees them, and which of them are a source's.

Fed by the shared informers; read by the loop, which hands it to the planner. What sync itself has
just written counts at once, so that a plan never starts from a world older than its own effects.
It writes nothing to the API.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from reconciler.client.informer import Informer
from reconciler.desired.declarable import refusal
from reconciler.model import kinds
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.sync.identity import source_of

_FIRST = ObjectKey("Namespace", "", "default")


class StoreState(NamedTuple):
    """A store, told from others by what it made first, at a revision."""

    identity: str
    revision: int


Listener = Callable[[ObjectKey, KubeObject | None, KubeObject | None], None]


def followed_kinds() -> tuple[type[KubeObject], ...]:
    """Return the kinds that a source may declare: sync needs an informer of each."""
    return tuple(each.model for each in kinds.RESOURCES if not refusal(each))


class Inventory:
    """Every live object of the informers' kinds by key; `owned` are the keys of `source`.

    `listener` is called with (key, before, after) for each change, on the event loop.
    """

    def __init__(self, source: str, informers: Iterable[Informer[Any]], listener: Listener) -> None:
        self._source = source
        self._informers = tuple(informers)
        self._listener = listener
        self._live: dict[ObjectKey, KubeObject] = {}
        self._owned: dict[ObjectKey, None] = {}

    @property
    def live(self) -> Mapping[ObjectKey, KubeObject]:
        """The newest known state of each object."""
        return self._live

    @property
    def owned(self) -> Mapping[ObjectKey, None]:
        """The inventory of the source, in the order in which it was seen."""
        return self._owned

    @property
    def store(self) -> StoreState:
        """Which store this is, and the newest revision of it that is known here."""
        first = self._live.get(_FIRST)
        newest = max((int(each.resource_version or 0) for each in self._informers), default=0)
        return StoreState(first.metadata.uid if first is not None else "", newest)

    async def start(self) -> None:
        """Follow the informers; return when each has its first full list."""
        for informer in self._informers:
            informer.subscribe(self._event)
        await asyncio.gather(*(informer.synced.wait() for informer in self._informers))

    def written(self, obj: KubeObject) -> None:
        """Take in the answer to a write of ours, unless something newer is known."""
        known = self._live.get(obj.key)
        if known is None or _revision(known) < _revision(obj):
            self._put(obj.key, obj)

    def deleting(self, key: ObjectKey, at: str) -> None:
        """Remember that deletion of `key` was asked for, until the API's own word comes."""
        known = self._live.get(key)
        if known is not None and not known.metadata.deletion_timestamp:
            marked = known.metadata.replace(deletion_timestamp=at)
            self._put(key, known.replace(metadata=marked))

    def _event(self, change: str, old: KubeObject | None, new: KubeObject | None) -> None:
        obj = new if new is not None else old
        if obj is None:
            return
        key = obj.key
        known = self._live.get(key)
        if change == "DELETED":
            if known is not None and known.metadata.uid == obj.metadata.uid:
                del self._live[key]
                self._owned.pop(key, None)
            self._listener(key, known, self._live.get(key))
        elif known is None or _revision(known) <= _revision(obj):
            self._put(key, obj)
            self._listener(key, known, obj)

    def _put(self, key: ObjectKey, obj: KubeObject) -> None:
        self._live[key] = obj
        if source_of(obj) == self._source:
            self._owned[key] = None
        else:
            self._owned.pop(key, None)


def _revision(obj: KubeObject) -> int:
    return int(obj.metadata.resource_version or 0)
