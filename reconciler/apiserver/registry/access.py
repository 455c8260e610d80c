"""The registry's way to the store: typed objects in and out, compare-and-swap, errors mapped.

Used by `registry.py` alone. It knows keys and revisions, and no rule of any kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from reconciler.apiserver.registry import errors
from reconciler.apiserver.registry.codec import Codec, Encoding
from reconciler.model.kinds import Resource
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.store.protocol import Operation, Put, Record, Remove, Store, StoreUnavailable

K = TypeVar("K", bound=KubeObject)

_DECODED = 256  # objects kept decoded for readers that hold none themselves


class Access:
    """Reads from memory; writes wait until they are durable."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._codec = Codec(_DECODED)

    def find(self, resource: Resource, namespace: str, name: str) -> Record | None:
        """Return the record of an object, or None."""
        return self.store.get(ObjectKey(resource.key_kind, namespace, name))

    def existing(self, resource: Resource, namespace: str, name: str) -> Record:
        """Return the record of an object; raises `StatusError` NotFound."""
        record = self.find(resource, namespace, name)
        if record is None:
            raise errors.not_found(resource, name)
        return record

    def records(self, resource: Resource, namespace: str = "") -> Sequence[Record]:
        """Return the records of a kind ordered by (namespace, name)."""
        return self.store.list(resource.key_kind, namespace)

    def decode(self, model: type[K], record: Record) -> K:
        """Return the object of a record."""
        return self._codec.decode(model, record)

    async def put(self, resource: Resource, obj: K, replaced: Record | None) -> K:
        """Write `obj` in place of `replaced`, or as new; raises the store's `Conflict`."""
        key = ObjectKey(resource.key_kind, obj.metadata.namespace, obj.metadata.name)
        encoding = Encoding(obj)
        expect = replaced.revision if replaced else 0
        return await self._commit(Put(key, encoding, expect, self._remember(encoding)), encoding)

    async def remove(self, obj: K, record: Record) -> K:
        """Remove the object of `record`, whose last state is `obj`; raises `Conflict`."""
        encoding = Encoding(obj)
        return await self._commit(
            Remove(record.key, encoding, record.revision, self._remember(encoding)), encoding
        )

    async def _commit(self, operation: Operation, encoding: Encoding[K]) -> K:
        try:
            await self.store.commit((operation,))
        except StoreUnavailable as error:
            raise errors.unavailable(str(error)) from error
        return encoding.obj

    def _remember(self, encoding: Encoding[K]) -> Callable[[Record], None]:
        """Watchers find what was written decoded already."""
        return lambda record: self._codec.remember(record, encoding.obj)
