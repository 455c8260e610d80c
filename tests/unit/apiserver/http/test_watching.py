"""Watches: one event at once, a burst in few writes, one encoding for all that ask alike."""

from __future__ import annotations

import asyncio
import json
from random import Random

import pytest

from reconciler.apiserver.http import accept, query, view
from reconciler.apiserver.http.frames import Frames
from reconciler.apiserver.http.message import Request
from reconciler.apiserver.http.watching import Scope, Watches
from reconciler.apiserver.registry.registry import Registry
from reconciler.core.ids import Ids
from reconciler.model import kinds
from reconciler.model.config import ConfigMap
from reconciler.store.memory import MemoryStore

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


class Sink:
    def __init__(self, loop) -> None:
        self.loop = loop
        self.writes: list[tuple[float, bytes]] = []

        self.reads = asyncio.Event()
        self.reads.set()

    async def write(self, data: bytes) -> None:
        self.send(data)
        await self.drain()

    def send(self, data: bytes) -> bool:
        self.writes.append((self.loop.time(), data))
        return self.reads.is_set()

    async def drain(self) -> None:
        await self.reads.wait()

    def events(self):
        return [json.loads(line) for _, data in self.writes for line in data.splitlines()]


class World:
    def __init__(self, clock) -> None:
        self.store = MemoryStore()
        self.registry = Registry(self.store, clock, Ids(Random(1)))
        self.watches = Watches(self.registry, clock, Random(1))
        self.clock = clock

    def watch(
        self,
        *,
        labels: str = "",
        header: str = "",
        since: int | None = None,
        bookmarks: str = "",
        form=None,
    ) -> tuple[Sink, asyncio.Task[None]]:
        wanted = accept.wanted(header)
        resource = kinds.of(ConfigMap)
        form = form or view.form_of(resource, wanted, "", self.clock)
        asked = {"watch": ["1"], "labelSelector": [labels], "allowWatchBookmarks": [bookmarks]}
        asked["resourceVersion"] = [str(self.registry.revision if since is None else since)]
        options = query.list_options(Request("GET", "", asked, {}))
        stream = self.watches.open(Scope(resource, "default", wanted, form, ""), options)
        sink = Sink(asyncio.get_running_loop())
        return sink, asyncio.get_running_loop().create_task(stream.produce(sink))

    async def make(self, name: str, **labels: str) -> None:
        meta = {"name": name, "namespace": "default", "labels": labels}
        await self.registry.create(ConfigMap.model_validate({"metadata": meta}))


@pytest.fixture
def run(virtual, clock):
    def runner(scenario):
        async def body():
            world = World(clock)
            await world.registry.start()
            await scenario(world)

        virtual.run_until_complete(body())

    return runner


async def ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_one_event_is_told_at_once_and_a_burst_is_gathered(run):
    async def scenario(world):
        sink, task = world.watch()
        await asyncio.sleep(1)
        start = sink.loop.time()
        await world.make("first")
        await asyncio.sleep(0.001)
        assert [at - start for at, _ in sink.writes] == [0]
        for number in range(50):
            await world.make(f"m-{number}")
        await asyncio.sleep(0.1)
        assert len(sink.writes) == 2
        assert sink.writes[1][0] - start == pytest.approx(0.004)
        names = [event["object"]["metadata"]["name"] for event in sink.events()]
        assert names == ["first", *(f"m-{number}" for number in range(50))]
        await ended(task)

    run(scenario)


def test_watchers_that_ask_alike_share_an_encoding(run):
    async def scenario(world):
        watched = [world.watch(labels="a=b") for _ in range(3)]
        await asyncio.sleep(0)
        await world.make("in", a="b")
        await world.make("out")
        await asyncio.sleep(1)
        (one, other, third) = (sink.writes[0][1] for sink, _ in watched)
        assert one == other == third
        assert [event["object"]["metadata"]["name"] for event in watched[0][0].events()] == ["in"]
        await ended(*(task for _, task in watched))

    run(scenario)


def test_watchers_that_ask_for_other_things_are_told_other_things(run):
    async def scenario(world):
        plain, task = world.watch()
        chosen, other_task = world.watch(labels="a=b")
        await asyncio.sleep(0)
        await world.make("out")
        await asyncio.sleep(1)
        assert [event["type"] for event in plain.events()] == ["ADDED"]
        assert chosen.events() == []
        await ended(task, other_task)

    run(scenario)


def test_a_watcher_that_reads_too_slowly_is_told_to_list_again_and_holds_up_nobody(run):
    async def scenario(world):
        slow, task = world.watch()
        quick, other_task = world.watch()
        slow.reads.clear()
        await asyncio.sleep(0)
        await world.make("first")
        await asyncio.sleep(1)
        for number in range(20):
            await world.make(f"m-{number}")
        await asyncio.sleep(1)
        assert len(quick.events()) == 21
        world.store.compact()
        await world.make("last")
        assert len(slow.writes) == 1
        slow.reads.set()
        await task
        first, last = slow.events()
        assert first["object"]["metadata"]["name"] == "first"
        assert (last["type"], last["object"]["code"]) == ("ERROR", 410)
        await asyncio.sleep(1)
        assert quick.events()[-1]["object"]["metadata"]["name"] == "last"
        await ended(other_task)

    run(scenario)


def test_a_watcher_that_read_everything_in_the_end_is_told_the_rest(run):
    async def scenario(world):
        slow, task = world.watch()
        await asyncio.sleep(0)
        slow.reads.clear()
        for number in range(5):
            await world.make(f"m-{number}")
            await asyncio.sleep(1)
        assert len(slow.events()) == 1
        slow.reads.set()
        await asyncio.sleep(1)
        assert len(slow.writes) == 2
        await world.make("last")
        await asyncio.sleep(1)
        told = [event["object"]["metadata"]["name"] for event in slow.events()]
        assert told == [*(f"m-{number}" for number in range(5)), "last"]
        await ended(task)

    run(scenario)


def test_what_one_watcher_cannot_be_told_the_others_are(run):
    class Broken(view.ObjectForm):
        def event(self, item, *, first):
            raise ZeroDivisionError

    async def scenario(world):
        _, broken = world.watch(labels="a=b", form=Broken(kinds.of(ConfigMap)))
        well, task = world.watch()
        await asyncio.sleep(0)
        await world.make("one", a="b")
        await asyncio.sleep(1)
        assert isinstance(broken.exception(), ZeroDivisionError)
        await world.make("two")
        await asyncio.sleep(1)
        assert len(well.events()) == 2
        await ended(task)

    run(scenario)


def test_where_nobody_watches_nothing_is_heard(run):
    async def scenario(world):
        _, task = world.watch()
        _, other = world.watch()
        await asyncio.sleep(0)
        pulse = world.store._state._pulses["ConfigMap", "default"]
        assert len(pulse._followers) == 1
        await ended(task)
        assert len(pulse._followers) == 1
        await ended(other)
        assert pulse._followers == []

    run(scenario)


def test_a_thousand_watchers_share_one_encoding(run):
    class Counted(view.ObjectForm):
        made = 0

        def event(self, item, *, first):
            self.made += 1
            return super().event(item, first=first)

    form = Counted(kinds.of(ConfigMap))

    async def scenario(world):
        watched = [world.watch(form=form) for _ in range(1000)]
        await asyncio.sleep(0)
        await world.make("one")
        await asyncio.sleep(1)
        assert form.made == 1
        assert all(len(sink.writes) == 1 for sink, _ in watched)
        await ended(*(task for _, task in watched))

    run(scenario)


@pytest.mark.parametrize("bookmarks", ["", "true"])
def test_a_watch_waits_for_a_revision_that_is_not_there_yet(run, bookmarks):
    """As the API's concepts say under "unavailable resource versions", and kube-apiserver does."""

    async def scenario(world):
        sink, task = world.watch(since=world.registry.revision + 2, bookmarks=bookmarks)
        await asyncio.sleep(100)
        assert sink.events() == []
        for name in ("before", "reached", "after"):
            await world.make(name)
        await asyncio.sleep(1)
        assert [event["object"]["metadata"]["name"] for event in sink.events()] == ["after"]
        await ended(task)

    run(scenario)


def test_only_the_first_row_of_a_table_tells_the_columns(run):
    async def scenario(world):
        early, task = world.watch(header=TABLE)
        await asyncio.sleep(0)
        await world.make("one")
        await asyncio.sleep(1)
        late, late_task = world.watch(header=TABLE)
        await asyncio.sleep(0)
        await world.make("two")
        await world.make("three")
        await asyncio.sleep(1)
        for sink in (early, late):
            told = [bool(event["object"]["columnDefinitions"]) for event in sink.events()]
            assert told == [True] + [False] * (len(told) - 1)
        assert [len(early.events()), len(late.events())] == [3, 2]
        await ended(task, late_task)

    run(scenario)


def test_frames_are_bounded_and_channels_end_with_their_watchers():
    frames = Frames()
    channel = frames.channel("asked")
    for revision in range(10_000):
        channel.keep(revision, b"frame")
    assert len(frames._shelf.known) == 4096
    with pytest.raises(KeyError):
        channel[0]
    assert channel[9_999] == b"frame"
    assert frames.channel("asked") is channel
    del channel
    with pytest.raises(KeyError):
        frames.channel("asked")[9_999]


def test_large_frames_are_few():
    frames = Frames()
    channel = frames.channel("asked")
    for revision in range(100):
        assert channel.keep(revision, b"x" * 1024 * 1024) is not None
    assert len(frames._shelf.known) == 32
    assert channel.keep(100, b"x" * 64 * 1024 * 1024) is not None
    assert not frames._shelf.known
