"""The visible objects, sorted, in memory. Used by `state.py` and the read-only view alone.

Listing one namespace touches that namespace only. Nothing here knows revisions or durability.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator

from reconciler.model.meta import ObjectKey
from reconciler.store.protocol import Record


class _Namespace:
    """The records of one kind in one namespace, with their names in order."""

    __slots__ = ("names", "records")

    def __init__(self) -> None:
        self.names: list[str] = []
        self.records: dict[str, Record] = {}

    def __iter__(self) -> Iterator[Record]:
        records = self.records
        return (records[name] for name in self.names)


class Table:
    """A sorted map from `ObjectKey` to `Record`."""

    def __init__(self) -> None:
        self._kinds: dict[str, dict[str, _Namespace]] = {}

    def get(self, key: ObjectKey) -> Record | None:
        """Return the record at `key`."""
        namespaces = self._kinds.get(key.kind)
        place = namespaces.get(key.namespace) if namespaces else None
        return place.records.get(key.name) if place else None

    def put(self, record: Record) -> None:
        """Insert or replace the record at its key."""
        key = record.key
        namespaces = self._kinds.setdefault(key.kind, {})
        place = namespaces.get(key.namespace)
        if place is None:
            place = namespaces[key.namespace] = _Namespace()
        if key.name not in place.records:
            insort(place.names, key.name)
        place.records[key.name] = record

    def fill(self, records: Iterable[Record]) -> None:
        """Take over many records at once; the table must be empty, and each key is there once."""
        for record in records:
            key = record.key
            namespaces = self._kinds.setdefault(key.kind, {})
            place = namespaces.get(key.namespace)
            if place is None:
                place = namespaces[key.namespace] = _Namespace()
            place.records[key.name] = record
        for namespaces in self._kinds.values():
            for place in namespaces.values():
                place.names = sorted(place.records)

    def remove(self, key: ObjectKey) -> None:
        """Remove the record at `key`, which must be there."""
        namespaces = self._kinds[key.kind]
        place = namespaces[key.namespace]
        del place.records[key.name]
        del place.names[bisect_left(place.names, key.name)]
        if not place.names:
            del namespaces[key.namespace]

    def list(self, kind: str, namespace: str = "") -> list[Record]:
        """Return the records of `kind` ordered by (namespace, name)."""
        namespaces = self._kinds.get(kind, {})
        if namespace:
            place = namespaces.get(namespace)
            return list(place) if place else []
        return [record for name in sorted(namespaces) for record in namespaces[name]]
