"""The store of a daemon, read by commands that change nothing.

Called by `status`, `history`, `plan` and `sync`. Each asks for kinds by their model class; nothing
here writes, and the daemon may run, or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

from reconciler.core.errors import ReconcilerError
from reconciler.model import kinds
from reconciler.model.meta import KubeObject
from reconciler.settings import Settings
from reconciler.store.protocol import Record
from reconciler.store.sealing import open_keys
from reconciler.store.sqlite import open_readonly

T = TypeVar("T", bound=KubeObject)


class NoStore(ReconcilerError):
    """No daemon has ever run with this state directory."""


class Records(Protocol):
    """The part of a store that a reader needs."""

    revision: int

    def list(self, kind: str, namespace: str = "") -> Sequence[Record]:
        """Return the records of a kind ordered by (namespace, name)."""
        ...

    def refresh(self) -> None:
        """Take in what was written since."""
        ...


class World:
    """The objects of a store, decoded when asked for and kept while they do not change."""

    def __init__(self, records: Records) -> None:
        self._records = records

    @property
    def revision(self) -> int:
        """The revision of the newest write seen."""
        return self._records.revision

    def all(self, model: type[T]) -> list[T]:
        """Return the objects of a kind, ordered by (namespace, name)."""
        return [_decoded(model, each) for each in self._records.list(kinds.of(model).key_kind)]

    def refresh(self) -> None:
        """Take in what was written since; raises `StoreUnavailable`."""
        self._records.refresh()


@contextmanager
def open_world(settings: Settings) -> Iterator[World]:
    """Open the daemon's store for reading; raises `NoStore`, `StoreUnavailable`."""
    path = settings.store_path
    if not path.exists():
        raise NoStore(f"{path} does not exist: no daemon has run with --state-dir {path.parent}")
    keys = open_keys(settings.store_keys) if settings.store_keys.exists() else None
    store = open_readonly(path, keys=keys)
    try:
        yield World(store)
    finally:
        store.close()


def _decoded(model: type[T], record: Record) -> T:
    if record.decoded is None:
        record.decoded = model.model_validate_json(record.value)
    decoded: T = record.decoded
    return decoded
