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

    kind = ConfigMap
    revision = 0

    def __init__(self):
        self.synced = asyncio.Event()
        self.synced.set()
        self.objects = {}

    def subscribe(self, handler):
        self.tell = handler

    def when_listed(self, listener):
        self.listed = listener

    def get(self, name, namespace):
        return self.objects.get((namespace, name))


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


async def test_what_came_and_went_unseen_is_let_go_by_the_next_list():
    informer, heard = Kind(), []
    live = Live([informer])
    await live.start()
    live.join("one", lambda _key, old, new: heard.append((old, new)))
    made = stored("5", "a")
    live.written(made)
    live.deleting(made.key, "2026-01-01T00:00:00Z")
    informer.revision = 4  # a list from before it was made says nothing of it
    informer.listed()
    assert made.key in live.objects
    informer.revision = 9
    informer.listed()
    assert live.objects == {}
    assert not live.owned("one")
    assert heard[-1][1] is None


async def test_what_a_list_or_an_event_shows_stays_after_the_list():
    informer = Kind()
    live = Live([informer])
    await live.start()
    made, again = stored("5", "a"), stored("6", "b")
    live.written(made)
    informer.objects[made.key.namespace, made.key.name] = made
    informer.revision = 9
    informer.listed()
    assert live.objects == {made.key: made}
    live.written(again)
    informer.tell("MODIFIED", made, again)
    informer.objects.clear()  # the informer tells of the end of what it has shown
    informer.listed()
    assert live.objects == {made.key: again}


async def test_the_end_of_a_former_incarnation_says_nothing_of_the_next_one():
    informer = Kind()
    live = Live([informer])
    await live.start()
    former, made = stored("5", "a"), stored("7", "a")
    made = made.replace(metadata=made.metadata.replace(uid="v"))
    live.written(made)
    informer.tell("DELETED", former, None)
    informer.revision = 9
    informer.listed()
    assert live.objects == {}
