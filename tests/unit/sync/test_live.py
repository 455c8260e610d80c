"""Which sources hear of a change of a live object, and how often."""

from __future__ import annotations

import asyncio

from reconciler.admission.decode import decode
from reconciler.model.config import ConfigMap
from reconciler.sync.live import Live
from reconciler.sync.manifest import applied_object
from tests.unit.sync.world import manifest


class Kind:
    """An informer's place: tells what it is told to tell."""

    def __init__(self):
        self.synced = asyncio.Event()
        self.synced.set()

    def subscribe(self, handler):
        self.tell = handler


def stored(version: str, value: str):
    obj = decode(manifest("ConfigMap", "m", data={"v": value}))
    assert isinstance(obj, ConfigMap)
    signed = applied_object(obj, "one", obj.key)
    return signed.replace(metadata=signed.metadata.replace(resource_version=version, uid="u"))


async def test_a_write_is_told_at_once_to_others_never_to_who_wrote_and_not_by_its_event():
    informer, heard = Kind(), []
    live = Live([informer])
    await live.start()
    for source in ("one", "two"):
        live.join(source, lambda key, old, new, who=source: heard.append((who, old, new)))
    first, second, third = stored("1", "a"), stored("2", "b"), stored("3", "c")
    live.read_by("two", [first.key])
    live.written(first, besides="one")
    assert heard == [("two", None, first)]
    informer.tell("ADDED", None, first)
    assert len(heard) == 1
    live.written(second)
    assert heard[1:] == [("one", first, second), ("two", first, second)]
    informer.tell("MODIFIED", first, second)
    informer.tell("MODIFIED", second, third)
    assert heard[3:] == [("one", second, third), ("two", second, third)]
    assert live.objects == {first.key: third}
