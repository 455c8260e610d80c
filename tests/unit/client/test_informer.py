"""The informer: initial list, changes, indexes, and what it does when its watch is cut."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from reconciler.client.informer import Informer
from reconciler.client.local import LocalClient
from reconciler.client.protocol import ApiError, ObjectList, WatchEvent
from reconciler.model.config import ConfigMap
from reconciler.store.memory import MemoryStore


class Log:
    """A subscriber that writes down what it hears."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def __call__(self, kind: str, old: Any, new: Any) -> None:
        assert (old is None) == (kind == "ADDED")
        assert (new is None) == (kind == "DELETED")
        self.seen.append((kind, (new or old).metadata.name))


async def settle() -> None:
    await asyncio.sleep(0.01)


@pytest.fixture
def informer(run: Any, client: LocalClient, background: Any) -> Informer[ConfigMap]:
    made = Informer(client, ConfigMap)
    background(made.run())
    run(made.synced.wait())
    return made


def test_it_follows_every_change(
    run: Any, client: LocalClient, informer: Informer[ConfigMap], config: Any
) -> None:
    log = Log()
    informer.subscribe(log)
    made = run(client.create(config("a")))
    run(settle())
    assert informer.get("a", "default") is made
    run(client.update(made.replace(data={"x": "y"})))
    run(client.delete(ConfigMap, "a", "default"))
    run(settle())
    assert log.seen == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    assert informer.items() == []


def test_a_late_subscriber_hears_what_is_there(
    run: Any, client: LocalClient, informer: Informer[ConfigMap], config: Any
) -> None:
    run(client.create(config("a")))
    run(settle())
    log = Log()
    informer.subscribe(log)
    assert log.seen == [("ADDED", "a")]


def test_an_index_follows_changes(
    run: Any, client: LocalClient, informer: Informer[ConfigMap], config: Any
) -> None:
    made = run(client.create(config("a", of="x")))
    run(settle())
    informer.add_index("of", lambda obj: obj.data.values())
    assert informer.by_index("of", "x") == [made]
    run(client.update(made.replace(data={"of": "y"})))
    run(client.create(config("b", of="y")))
    run(settle())
    assert informer.by_index("of", "x") == []
    assert [obj.metadata.name for obj in informer.by_index("of", "y")] == ["a", "b"]
    run(client.delete(ConfigMap, "a", "default"))
    run(client.delete(ConfigMap, "b", "default"))
    run(settle())
    assert informer.by_index("of", "y") == []


def test_a_subscriber_that_fails_costs_the_others_nothing(
    run: Any, client: LocalClient, informer: Informer[ConfigMap], config: Any
) -> None:
    def broken(_kind: str, _old: Any, _new: Any) -> None:
        raise RuntimeError("broken subscriber")

    log = Log()
    informer.subscribe(broken)
    informer.subscribe(log)
    run(client.create(config("a")))
    run(settle())
    assert log.seen == [("ADDED", "a")]


class Flaky:
    """A client whose list and watch fail when told to; all else is the real one's."""

    def __init__(self, client: LocalClient) -> None:
        self._client = client
        self.failures = 0
        self.cut = asyncio.Event()
        self.lists = 0

    async def list(self, kind: Any, namespace: str = "") -> ObjectList[Any]:
        self.lists += 1
        if self.failures:
            self.failures -= 1
            raise ApiError(503, "ServiceUnavailable", "not now")
        return await self._client.list(kind, namespace)

    async def watch(
        self, kind: Any, namespace: str = "", *, resource_version: str
    ) -> AsyncIterator[WatchEvent[Any]]:
        events = self._client.watch(kind, namespace, resource_version=resource_version)
        async for event in events:
            if self.cut.is_set():
                self.cut.clear()
                raise ApiError(410, "Expired", "too old resource version")
            yield event


def test_a_cut_watch_is_healed_by_a_list(
    run: Any, client: LocalClient, config: Any, background: Any
) -> None:
    flaky = Flaky(client)
    informer: Informer[ConfigMap] = Informer(flaky, ConfigMap)  # type: ignore[arg-type]
    log = Log()
    informer.subscribe(log)
    background(informer.run())
    for name in "abc":
        run(client.create(config(name)))
    run(settle())
    log.seen.clear()
    flaky.cut.set()
    run(client.delete(ConfigMap, "a", "default"))
    run(client.create(config("d")))
    run(settle())
    assert sorted(log.seen) == [("ADDED", "d"), ("DELETED", "a")]
    run(client.create(config("e")))
    run(settle())
    assert log.seen[-1] == ("ADDED", "e")


def test_an_object_of_the_same_name_is_another_object(
    run: Any, client: LocalClient, config: Any, background: Any
) -> None:
    flaky = Flaky(client)
    informer: Informer[ConfigMap] = Informer(flaky, ConfigMap)  # type: ignore[arg-type]
    log = Log()
    informer.subscribe(log)
    background(informer.run())
    run(client.create(config("a")))
    run(settle())
    flaky.cut.set()
    run(client.delete(ConfigMap, "a", "default"))
    run(client.create(config("a")))
    run(settle())
    assert log.seen == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "a")]


def test_a_failing_list_is_tried_again_with_back_off(
    run: Any, client: LocalClient, config: Any, background: Any
) -> None:
    run(client.create(config("a")))
    flaky = Flaky(client)
    flaky.failures = 4
    informer: Informer[ConfigMap] = Informer(flaky, ConfigMap)  # type: ignore[arg-type]
    background(informer.run())
    run(informer.synced.wait())
    assert flaky.lists == 5
    assert informer.get("a", "default") is not None


def test_a_resync_lists_again_and_tells_nothing_new(
    run: Any, client: LocalClient, config: Any, background: Any
) -> None:
    run(client.create(config("a")))
    flaky = Flaky(client)
    informer: Informer[ConfigMap] = Informer(flaky, ConfigMap, resync=60)  # type: ignore[arg-type]
    log = Log()
    informer.subscribe(log)
    background(informer.run())
    run(asyncio.sleep(200))
    assert flaky.lists == 4
    assert log.seen == [("ADDED", "a")]


def test_one_namespace_only(run: Any, client: LocalClient, config: Any, background: Any) -> None:
    informer = Informer(client, ConfigMap, "kube-system")
    background(informer.run())
    run(client.create(config("a")))
    run(client.create(config("b", "kube-system")))
    run(settle())
    assert [obj.metadata.name for obj in informer.items()] == ["b"]


def test_lost_history_is_healed(
    run: Any, client: LocalClient, informer: Informer[ConfigMap], config: Any, store: MemoryStore
) -> None:
    run(client.create(config("a")))
    store.compact()
    run(settle())
    assert informer.get("a", "default") is not None


class Expiring(Flaky):
    """A client whose every watch has expired at once."""

    async def watch(
        self, kind: Any, namespace: str = "", *, resource_version: str
    ) -> AsyncIterator[WatchEvent[Any]]:
        raise ApiError(410, "Expired", f"too old resource version: {resource_version}")
        yield


def test_a_watch_that_always_expires_does_not_make_it_spin(
    run: Any, client: LocalClient, background: Any
) -> None:
    expiring = Expiring(client)
    informer: Informer[ConfigMap] = Informer(expiring, ConfigMap)  # type: ignore[arg-type]
    background(informer.run())
    run(informer.synced.wait())
    run(settle())
    assert expiring.lists == 1
