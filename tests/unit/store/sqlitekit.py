"""What the tests of the store on disk write and read."""

from reconciler.model.meta import ObjectKey
from reconciler.store.protocol import (
    Put,
    Remove,
)
from reconciler.store.sqlite import SqliteStore


def key(name: str) -> ObjectKey:
    return ObjectKey("ConfigMap", "default", name)


def put(name: str, expect: int = 0, size: int = 0) -> Put:
    return Put(key(name), lambda revision: f"{name}@{revision}".encode().ljust(size, b"."), expect)


def remove(name: str, expect: int) -> Remove:
    return Remove(key(name), lambda revision: f"{name} gone@{revision}".encode(), expect)


def contents(store: SqliteStore) -> list[tuple[str, int, bytes]]:
    return [(record.key.name, record.revision, record.value) for record in store.list("ConfigMap")]


async def drain(store: SqliteStore, since: int) -> list[tuple[str, int, bytes | None]]:
    """Return the retained events after `since`; the store must not change meanwhile."""
    seen = []
    events = store.watch("ConfigMap", since=since)
    while store.revision > since:
        event = await anext(events)
        since = event.record.revision
        seen.append((event.change.value, since, event.previous and event.previous.value))
    return seen
