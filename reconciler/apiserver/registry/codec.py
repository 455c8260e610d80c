"""Between stored bytes and typed objects. Used by the registry alone.

Records stay encoded. A record refers weakly to its decoded object, so that all readers share one
frozen object for as long as one of them (an informer) keeps it; the few used last are kept here.
"""

from __future__ import annotations

import weakref
from collections import deque
from typing import Generic, TypeVar, cast

from reconciler.apiserver.registry.repeated import Repeated
from reconciler.model.meta import KubeObject
from reconciler.store.protocol import Record

K = TypeVar("K", bound=KubeObject)


class Codec:
    """Decodes on demand; keeps the last `limit` objects alive for readers that hold none."""

    def __init__(self, limit: int) -> None:
        self._recent: deque[KubeObject] = deque(maxlen=limit)
        self._repeated = Repeated()

    def decode(self, model: type[K], record: Record) -> K:
        """Return the object of `record`, with its resourceVersion."""
        known = record.decoded() if record.decoded is not None else None
        if known is None:
            known = cast(K, self._repeated.decode(model, record.value))
            self.remember(record, known)
        return cast(K, known)

    def remember(self, record: Record, obj: KubeObject) -> None:
        """Keep the object of a record that was just decoded or written."""
        record.decoded = weakref.ref(obj)
        self._recent.append(obj)


class Encoding(Generic[K]):
    """One object on its way into the store: encodes it at the revision it is given."""

    __slots__ = ("obj",)

    def __init__(self, obj: K) -> None:
        self.obj = obj

    def __call__(self, revision: int) -> bytes:
        """Set the resourceVersion and return the wire form."""
        meta = self.obj.metadata.replace(resource_version=str(revision))
        self.obj = self.obj.replace(metadata=meta)
        return self.obj.to_json()
