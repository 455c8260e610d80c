"""What this process wrote, laid over an informer that has not seen it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reconciler.client.informer import Informer
from reconciler.controllers.ownwrites import OwnWrites
from reconciler.model.config import ConfigMap
from reconciler.model.meta import ObjectMeta
from tests.unit.controllers.world import World


def run(virtual: Any, clock: Any, scenario: Callable[[World, Informer[ConfigMap]], Any]) -> None:
    async def body() -> None:
        async with World(clock) as world:
            world.client.lag = 1.0
            informer = world.informer(ConfigMap)
            await informer.synced.wait()
            await scenario(world, informer)

    virtual.run_until_complete(body())


async def make(world: World, name: str, *finalizers: str) -> ConfigMap:
    meta = ObjectMeta(name=name, namespace="default", finalizers=finalizers)
    return await world.client.create(ConfigMap(metadata=meta))


def names(own: OwnWrites[ConfigMap], informer: Informer[ConfigMap]) -> list[str]:
    return [obj.metadata.name for obj in own.over("g", informer.items())]


def test_a_creation_counts_until_it_is_shown(virtual: Any, clock: Any) -> None:
    async def scenario(world: World, informer: Informer[ConfigMap]) -> None:
        own = OwnWrites(informer)
        own.wrote("g", await make(world, "a"), 0)
        assert not informer.items()
        assert names(own, informer) == ["a"]
        assert list(own.over("other", ())) == []
        await world.until(lambda: bool(informer.items()))
        assert names(own, informer) == ["a"]
        assert own.oldest("g") is None

    run(virtual, clock, scenario)


def test_a_deletion_counts_until_it_is_shown(virtual: Any, clock: Any) -> None:
    async def scenario(world: World, informer: Informer[ConfigMap]) -> None:
        own = OwnWrites(informer)
        made = await make(world, "a", "x.y/z")
        await world.until(lambda: bool(informer.items()))
        await world.client.delete(ConfigMap, "a", "default")
        own.deleted("g", made, 0)
        assert names(own, informer) == []
        await world.until(lambda: own.oldest("g") is None)
        assert names(own, informer) == ["a"], "the finalizer still holds it"

    run(virtual, clock, scenario)


def test_the_newer_of_two_versions_is_seen(virtual: Any, clock: Any) -> None:
    async def scenario(world: World, informer: Informer[ConfigMap]) -> None:
        own = OwnWrites(informer)
        made = await make(world, "a")
        await world.until(lambda: bool(informer.items()))
        own.wrote("g", await world.client.update(made.replace(data={"k": "v"})), 0)
        assert [obj.data for obj in own.over("g", informer.items())] == [{"k": "v"}]
        latest = world.registry.get(ConfigMap, "a", "default")
        await world.client.update(latest.replace(data={"k": "w"}))
        await world.settle(5)
        assert [obj.data for obj in own.over("g", informer.items())] == [{"k": "w"}]

    run(virtual, clock, scenario)


def test_an_answer_that_comes_after_the_event_is_not_kept(virtual: Any, clock: Any) -> None:
    async def scenario(world: World, informer: Informer[ConfigMap]) -> None:
        own = OwnWrites(informer)
        made = await make(world, "a")
        await world.until(lambda: bool(informer.items()))
        own.wrote("g", made, 0)
        assert own.oldest("g") is None

    run(virtual, clock, scenario)


def test_what_came_and_went_unseen_is_forgotten_when_verified(virtual: Any, clock: Any) -> None:
    async def scenario(world: World, informer: Informer[ConfigMap]) -> None:
        own = OwnWrites(informer)
        own.wrote("g", await make(world, "a"), 0)
        write = own.oldest("g")
        assert write is not None
        own.verified("g", write, None, 9)
        assert own.oldest("g") is None
        assert names(own, informer) == []

    run(virtual, clock, scenario)


def test_what_is_gone_but_still_shown_stays_deleted_when_verified(virtual: Any, clock: Any) -> None:
    async def scenario(world: World, informer: Informer[ConfigMap]) -> None:
        own = OwnWrites(informer)
        made = await make(world, "a")
        await world.until(lambda: bool(informer.items()))
        own.deleted("g", made, 0)
        write = own.oldest("g")
        assert write is not None
        own.verified("g", write, None, 9)
        assert names(own, informer) == []
        again = own.oldest("g")
        assert again is not None
        assert again.at == 9

    run(virtual, clock, scenario)
