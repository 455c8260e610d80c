"""A live copy of the objects of one kind, with indexes and subscribers.

Built by the composition root, one a kind, and shared by every controller that reads the kind.
It lists, then watches; when the watch is cut or expires it lists again and tells subscribers
the differences, so that a lost event costs delay and never correctness (laws 5 and 6). It
writes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from random import Random
from typing import Generic, TypeVar

import structlog

from reconciler.client.protocol import ApiError, Client, EventType, ObjectList, WatchEvent
from reconciler.core.chance import chance
from reconciler.core.gc import bulk_load
from reconciler.core.queue import Backoff
from reconciler.model import kinds
from reconciler.model.meta import KubeObject

T = TypeVar("T", bound=KubeObject)

Name = tuple[str, str]
"""(namespace, name)"""

Handler = Callable[[EventType, T | None, T | None], None]
IndexBy = Callable[[T], Iterable[str]]


class _Index(Generic[T]):
    """Names by the values that a function finds in an object."""

    def __init__(self, values: IndexBy[T]) -> None:
        self.values = values
        self._names: dict[str, dict[Name, None]] = {}

    def change(self, name: Name, old: T | None, new: T | None) -> None:
        before = set(self.values(old)) if old is not None else set()
        after = set(self.values(new)) if new is not None else set()
        for value in before - after:
            names = self._names[value]
            del names[name]
            if not names:
                del self._names[value]
        for value in after - before:
            self._names.setdefault(value, {})[name] = None

    def add(self, name: Name, new: T) -> None:
        """Take in an object that was not there: the whole of a first list."""
        for value in self.values(new):
            self._names.setdefault(value, {})[name] = None

    def names(self, value: str) -> Iterable[Name]:
        return self._names.get(value, ())


class Informer(Generic[T]):
    """The objects of `kind`, in one namespace or in all.

    Handlers run on the event loop, in order, and must not block. A relist happens every
    `resync` seconds as a remedy for lost events; 0 turns it off.
    """

    def __init__(
        self,
        client: Client,
        kind: type[T],
        namespace: str = "",
        *,
        resync: float = 600.0,
        backoff: Backoff | None = None,
        random: Random | None = None,
    ) -> None:
        self.synced = asyncio.Event()
        self.resource_version = ""
        self.kind = kind
        self._client = client
        self._namespace = namespace
        self._resync = resync
        self._backoff = backoff or Backoff(base=0.1, cap=10.0)
        self._random = random or chance()
        self._objects: dict[Name, T] = {}
        self._indexes: dict[str, _Index[T]] = {}
        self._handlers: list[Handler[T]] = []
        self._listeners: list[Callable[[], None]] = []
        self._log = structlog.get_logger(component="informer", kind=kinds.of(kind).key_kind)

    async def run(self) -> None:
        """List and watch until cancelled."""
        failures = 0
        while True:
            listed = None
            try:
                await self._list()
                listed = self.resource_version
                await self._follow()
                failures = 0
            except ApiError as error:
                # What expires is begun anew at once, but not if it brought nothing since the last.
                moved = listed is not None and self.resource_version != listed
                failures = int(error.reason != "Expired") if moved else failures + 1
                self._log.info("informer.relist", reason=str(error))
            if failures:
                await asyncio.sleep(self._backoff.delay(failures, self._random))

    @property
    def revision(self) -> int:
        """Up to which revision of the store everything is known here; 0 before the first list."""
        return int(self.resource_version or 0)

    def get(self, name: str, namespace: str = "") -> T | None:
        """Return the object, or None when it is not there."""
        return self._objects.get((namespace, name))

    def items(self) -> Sequence[T]:
        """Return all objects, in no particular order."""
        return list(self._objects.values())

    def add_index(self, name: str, values: IndexBy[T]) -> None:
        """Keep objects by the strings that `values` returns for each of them.

        Several may ask for the same index.
        """
        if name in self._indexes and self._indexes[name].values is values:
            return
        index = self._indexes[name] = _Index(values)
        for key, obj in self._objects.items():
            index.add(key, obj)

    def by_index(self, name: str, value: str) -> list[T]:
        """Return the objects for which the function of index `name` returned `value`."""
        return [self._objects[key] for key in self._indexes[name].names(value)]

    def subscribe(self, handler: Handler[T]) -> None:
        """Call `handler(type, old, new)` for each change; at once, as ADDED, for what is there."""
        self._handlers.append(handler)
        for obj in self.items():
            handler("ADDED", None, obj)

    def when_listed(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each list: what came and went before it, no event will tell."""
        self._listeners.append(listener)

    async def _list(self) -> None:
        # The objects of the first list stay: the collector need not look at them while they come.
        with nullcontext() if self.synced.is_set() else bulk_load():
            found = await self._client.list(self.kind, self._namespace)
            self.resource_version = found.resource_version
            self._replace(found)
        self.synced.set()
        for listener in self._listeners:
            listener()

    def _replace(self, found: ObjectList[T]) -> None:
        """Take over a list; tell the differences to what was known."""
        fresh = {_name(obj): obj for obj in found.items}
        for name in [name for name in self._objects if name not in fresh]:
            self._change("DELETED", name, None)
        for name, obj in fresh.items():
            self._upsert(name, obj)

    async def _follow(self) -> None:
        """Take in changes until the next resync."""
        try:
            async with asyncio.timeout(self._resync or None):
                async for event in self._client.watch(
                    self.kind, self._namespace, resource_version=self.resource_version
                ):
                    self._take(event)
        except TimeoutError:
            return

    def _take(self, event: WatchEvent[T]) -> None:
        obj = event.object
        self.resource_version = obj.metadata.resource_version
        if event.type == "DELETED":
            self._change("DELETED", _name(obj), None, last=obj)
        elif event.type != "BOOKMARK":
            self._upsert(_name(obj), obj)

    def _upsert(self, name: Name, obj: T) -> None:
        known = self._objects.get(name)
        if known is not None and known.metadata.uid != obj.metadata.uid:
            self._change("DELETED", name, None)  # another object of the same name
            known = None
        if known is None:
            self._add(name, obj)
        elif known.metadata.resource_version != obj.metadata.resource_version:
            self._change("MODIFIED", name, obj)

    def _add(self, name: Name, new: T) -> None:
        self._objects[name] = new
        for index in self._indexes.values():
            index.add(name, new)
        for handler in self._handlers:
            self._tell(handler, "ADDED", None, new)

    def _change(self, kind: EventType, name: Name, new: T | None, *, last: T | None = None) -> None:
        old = self._objects.get(name)
        if old is None and new is None:
            return
        if new is None:
            del self._objects[name]
        else:
            self._objects[name] = new
        for index in self._indexes.values():
            index.change(name, old, new)
        for handler in self._handlers:
            self._tell(handler, kind, last or old, new)

    def _tell(self, handler: Handler[T], kind: EventType, old: T | None, new: T | None) -> None:
        try:
            handler(kind, old, new)
        except Exception:  # noqa: BLE001 - one subscriber's fault must not cost the others
            self._log.exception("informer.handler_failed")


def _name(obj: KubeObject) -> Name:
    return (obj.metadata.namespace, obj.metadata.name)
