"""What is known to be equal, kept between runs: a restart compares only what changed meanwhile.

Called by the loop. An entry says that a declaration (by its content) changes nothing at a live
resourceVersion; it is worth nothing under other code, or with an older store than it came from.
Losing it costs time only.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Protocol

import orjson

from reconciler.model.meta import ObjectKey
from reconciler.sync.live import StoreState
from reconciler.sync.plan import Clean

_ENTRY = "clean"


class Memory(Protocol):
    """Bytes by key that outlive the process."""

    def read(self) -> dict[str, bytes]:
        """Return all that is kept."""
        ...

    def replace(self, entries: Mapping[str, bytes]) -> None:
        """Keep these alone."""
        ...


class CleanMemory:
    """The memory of one source; blocking."""

    def __init__(self, memory: Memory | None) -> None:
        self._memory = memory
        self._kept: Mapping[ObjectKey, Clean] = {}
        self._one_at_a_time = Lock()

    def recall(self, store: StoreState) -> dict[ObjectKey, Clean]:
        """Return what was known when `store` was last used.

        A store that is older than the memory was put back from a backup: its revisions may name
        other states by now, so nothing is known of it.
        """
        encoded = self._memory.read().get(_ENTRY) if self._memory is not None else None
        if encoded is None:
            return {}
        identity, revision, rows = orjson.loads(encoded)
        if identity != store.identity or revision > store.revision:
            return {}
        self._kept = {
            ObjectKey(kind, namespace, name): Clean(digest, version)
            for kind, namespace, name, digest, version in rows
        }
        return dict(self._kept)

    def keep(self, clean: Mapping[ObjectKey, Clean], store: StoreState) -> None:
        """Keep what is known of `store`, when it differs from what is kept."""
        if self._memory is None or clean == self._kept:
            return
        with self._one_at_a_time:
            rows = [(*key, *known) for key, known in clean.items()]
            self._memory.replace({_ENTRY: orjson.dumps((*store, rows))})
            self._kept = dict(clean)
