"""The live objects, followed once for all sources, and told to the sources that they concern.

Made by the composition root, fed by the shared informers. What sync itself has just written counts
at once, so that a plan never starts from a world older than its own effects. It writes nothing to
the API.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from reconciler.client.informer import Informer
from reconciler.desired.declarable import refusal
from reconciler.model import kinds
from reconciler.model.gitops import Revision, Source
from reconciler.model.imagepull import ImagePull
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.model.pod import Pod
from reconciler.sync.casualties import controller_of
from reconciler.sync.identity import source_of
from reconciler.sync.pulls import PULLS_FOR_ANNOTATION
from reconciler.sync.rivals import Declarations

_FIRST = ObjectKey("Namespace", "", "default")
_SOURCE = kinds.of(Source).key_kind


class StoreState(NamedTuple):
    """A store, told from others by what it made first, at a revision."""

    identity: str
    revision: int


Listener = Callable[[ObjectKey, KubeObject | None, KubeObject | None], None]


def source_key(name: str) -> ObjectKey:
    """Return the key of the Source object `name`."""
    return ObjectKey(_SOURCE, "", name)


def followed_kinds() -> tuple[type[KubeObject], ...]:
    """Return the kinds that a source may declare: sync needs an informer of each."""
    return tuple(each.model for each in kinds.RESOURCES if not refusal(each))


class Live:
    """Every live object of the informers' kinds by key, and whose each of them is.

    The informers have to be those of `followed_kinds` and of Revisions. A listener is called with
    (key, before, after) on the event loop for each change that may concern its source, so that a
    change costs the same however many sources there are.
    """

    def __init__(self, informers: Iterable[Informer[Any]]) -> None:
        self._informers = tuple(informers)
        self._started = False
        self._listeners: dict[str, Listener] = {}
        self._owned: dict[str, dict[ObjectKey, None]] = {}
        self._records: dict[str, dict[ObjectKey, None]] = {}
        self._sources: dict[ObjectKey, None] = {}
        self._readers: dict[ObjectKey, dict[str, None]] = {}
        self._unshown: set[ObjectKey] = set()  # what we wrote and no informer has told of yet
        self.objects: dict[ObjectKey, KubeObject] = {}
        self.declarations = Declarations()
        self.waiting: set[str] = set()
        """The sources that wait for something to be gone, and hear of each deletion."""

    @property
    def store(self) -> StoreState:
        """Which store this is, and the newest revision of it that is known here."""
        first = self.objects.get(_FIRST)
        newest = max((each.revision for each in self._informers), default=0)
        return StoreState(first.metadata.uid if first is not None else "", newest)

    def owned(self, source: str) -> Mapping[ObjectKey, None]:
        """Return the keys of a source's inventory, in the order in which they were seen."""
        return self._owned.setdefault(source, {})

    def source(self, name: str) -> Source | None:
        """Return the Source object of that name, None when there is none."""
        found = self.objects.get(source_key(name))
        return found if isinstance(found, Source) else None

    def sources(self) -> Iterator[Source]:
        """Yield every Source object."""
        found = (self.objects[key] for key in self._sources)
        return (each for each in found if isinstance(each, Source))

    def coming(self) -> Iterator[Source]:
        """Yield the Sources that sources want and that are not there yet, as they are declared."""
        for wanted in self.declarations.wanted(_SOURCE):
            if wanted.key not in self.objects and isinstance(wanted.obj, Source):
                yield wanted.obj

    def revisions(self, source: str) -> list[Revision]:
        """Return the Revision objects of a source."""
        found = (self.objects[key] for key in self._records.get(source, ()))
        return [each for each in found if isinstance(each, Revision)]

    def agreed(self, source: str) -> bool:
        """Return whether the deletion of a Source follows from its declarer's plan.

        That plan was held for approval where it had to be: see `care.py`.
        """
        found = self.source(source)
        declarer = source_of(found) if found is not None else ""
        return bool(declarer) and self.declarations.dropped(declarer, source_key(source))

    async def start(self) -> None:
        """Follow the informers; return when each has its first full list."""
        if not self._started:
            self._started = True
            for informer in self._informers:
                informer.subscribe(self._event)
                informer.when_listed(partial(self._listed, informer))
        await asyncio.gather(*(informer.synced.wait() for informer in self._informers))

    def join(self, source: str, listener: Listener) -> None:
        """Tell `listener` of each change that may concern `source`."""
        self._listeners[source] = listener

    def leave(self, source: str) -> None:
        """Forget what `source` declares and reads."""
        self._listeners.pop(source, None)
        self.waiting.discard(source)
        self.declarations.drop(source)
        self.read_by(source, ())

    def read_by(self, source: str, keys: Collection[ObjectKey]) -> None:
        """Let `source` hear of `keys`, which it reads and need not declare."""
        for readers in self._readers.values():
            readers.pop(source, None)
        for key in keys:
            self._readers.setdefault(key, {})[source] = None
        self._readers = {key: readers for key, readers in self._readers.items() if readers}

    def wake(self, source: str, key: ObjectKey) -> None:
        """Let `source` look at `key` again, of which another source has news."""
        if (listener := self._listeners.get(source)) is not None:
            obj = self.objects.get(key)
            listener(key, obj, obj)

    def written(self, obj: KubeObject, besides: str = "") -> None:
        """Take in the answer to a write of ours, unless something newer is known.

        All that it concerns hear of it now, but for the source `besides`, and not by its event.
        """
        key = obj.key
        known = self.objects.get(key)
        if known is None or _revision(known) < _revision(obj):
            self._unshown.add(key)
            self._put(key, known, obj)
            self._tell(key, known, obj, besides)

    def deleting(self, key: ObjectKey, at: str) -> None:
        """Remember that deletion of `key` was asked for, until the API's own word comes."""
        known = self.objects.get(key)
        if known is not None and not known.metadata.deletion_timestamp:
            marked = known.metadata.replace(deletion_timestamp=at)
            self._put(key, known, known.replace(metadata=marked))

    def _event(self, change: str, old: KubeObject | None, new: KubeObject | None) -> None:
        obj = new if new is not None else old
        if obj is None:
            return
        key = obj.key
        known = self.objects.get(key)
        if change == "DELETED":
            if known is not None and known.metadata.uid == obj.metadata.uid:
                self._remove(key, known)
            self._tell(key, known or obj, self.objects.get(key))
            return
        if known is None or _revision(known) <= _revision(obj):
            self._unshown.discard(key)
        if known is None or _revision(known) < _revision(obj):
            self._put(key, known, obj)
            self._tell(key, known, obj)

    def _listed(self, informer: Informer[Any]) -> None:
        """Let go of what we wrote and nothing has shown: it was gone before the list was made."""
        for key in tuple(self._unshown):
            known = self.objects[key]
            if isinstance(known, informer.kind) and _revision(known) <= informer.revision:
                self._unshown.discard(key)
                if informer.get(key.name, key.namespace) is None:
                    self._remove(key, known)
                    self._tell(key, known, None)

    def _tell(
        self, key: ObjectKey, old: KubeObject | None, new: KubeObject | None, besides: str = ""
    ) -> None:
        if not self._listeners:
            return
        concerned = dict.fromkeys(source_of(each) for each in (old, new) if each is not None)
        concerned.update(self.declarations.of(key))
        concerned.update(self._readers.get(key, {}))
        match new or old:
            case Pod() as pod if (owner := controller_of(pod)) is not None:
                concerned.update(self.declarations.of(owner))
            case Revision() as revision:
                concerned[revision.spec.source] = None
            case Source():
                concerned[key.name] = None
            case ImagePull() as pull:
                concerned[pull.metadata.annotations.get(PULLS_FOR_ANNOTATION, "")] = None
        if new is None:
            concerned.update(dict.fromkeys(self.waiting))
        for source in concerned:
            if source != besides and (listener := self._listeners.get(source)) is not None:
                listener(key, old, new)

    def _put(self, key: ObjectKey, known: KubeObject | None, obj: KubeObject) -> None:
        self.objects[key] = obj
        owner = source_of(obj, key)
        if known is not None and (former := source_of(known, key)) and former != owner:
            self._owned[former].pop(key, None)
        if owner:
            self._owned.setdefault(owner, {})[key] = None
        if isinstance(obj, Source):
            self._sources[key] = None
        if known is None and isinstance(obj, Revision):
            self._records.setdefault(obj.spec.source, {})[key] = None

    def _remove(self, key: ObjectKey, known: KubeObject) -> None:
        del self.objects[key]
        self._unshown.discard(key)
        if owner := source_of(known):
            self._owned[owner].pop(key, None)
        self._sources.pop(key, None)
        if isinstance(known, Revision):
            self._records[known.spec.source].pop(key, None)


def _revision(obj: KubeObject) -> int:
    return int(obj.metadata.resource_version or 0)
