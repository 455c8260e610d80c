"""What every store must do; a new store joins by adding its factory to `STORES`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from reconciler.model.meta import ObjectKey
from reconciler.store.history import HistoryLimit
from reconciler.store.memory import MemoryStore
from reconciler.store.protocol import (
    Change,
    Compacted,
    Conflict,
    Event,
    Put,
    Remove,
    Store,
)
from reconciler.store.sqlite import open_store

Factory = Callable[[Path, HistoryLimit], Awaitable[Store]]


async def _memory(_folder: Path, limit: HistoryLimit) -> Store:
    return MemoryStore(limit)


async def _sqlite(folder: Path, limit: HistoryLimit) -> Store:
    return await open_store(folder / "state.db", limit)


STORES: dict[str, Factory] = {"memory": _memory, "sqlite": _sqlite}


@pytest.fixture(params=sorted(STORES))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened = await STORES[request.param](tmp_path, HistoryLimit(events=50, size=1 << 20))
    yield opened
    await opened.close()


def key(name: str, namespace: str = "default", kind: str = "Pod") -> ObjectKey:
    return ObjectKey(kind, namespace, name)


def put(name: str, expect: int = 0, namespace: str = "default", kind: str = "Pod") -> Put:
    return Put(key(name, namespace, kind), lambda revision: f"{name}@{revision}".encode(), expect)


def remove(name: str, expect: int) -> Remove:
    return Remove(key(name), lambda revision: f"{name} gone@{revision}".encode(), expect)


async def take(events: AsyncIterator[Event], count: int) -> list[tuple[str, str, int]]:
    taken = []
    async with asyncio.timeout(5):
        while len(taken) < count:
            event = await anext(events)
            taken.append((event.change.value, event.record.key.name, event.record.revision))
    return taken


async def test_a_write_is_visible_with_the_revision_it_was_encoded_for(store: Store) -> None:
    (record,) = await store.commit([put("a")])
    assert (record.revision, record.value) == (1, b"a@1")
    assert store.get(key("a")) is record
    assert store.revision == 1


async def test_each_operation_of_a_transaction_has_its_own_revision(store: Store) -> None:
    records = await store.commit([put("a"), put("b"), put("c")])
    assert [record.revision for record in records] == [1, 2, 3]


async def test_a_stale_write_conflicts_and_names_what_it_found(store: Store) -> None:
    await store.commit([put("a")])
    await store.commit([put("a", expect=1)])
    with pytest.raises(Conflict) as caught:
        await store.commit([put("a", expect=1)])
    assert (caught.value.expected, caught.value.found) == (1, 2)


async def test_create_over_an_object_and_remove_of_nothing_conflict(store: Store) -> None:
    await store.commit([put("a")])
    for operation in (put("a"), remove("b", 1), remove("b", 0), put("b", expect=7)):
        with pytest.raises(Conflict):
            await store.commit([operation])
    assert store.revision == 1


async def test_a_transaction_with_one_conflict_does_nothing(store: Store) -> None:
    await store.commit([put("a")])
    with pytest.raises(Conflict):
        await store.commit([put("b"), put("a")])
    assert store.get(key("b")) is None


async def test_a_transaction_may_not_name_a_key_twice(store: Store) -> None:
    with pytest.raises(ValueError, match="once"):
        await store.commit([put("a"), put("a")])


async def test_of_two_writers_of_one_revision_one_wins(store: Store) -> None:
    await store.commit([put("a")])
    results = await asyncio.gather(
        *(store.commit([put("a", expect=1)]) for _ in range(20)), return_exceptions=True
    )
    conflicts = [result for result in results if isinstance(result, Conflict)]
    assert len(conflicts) == 19
    record = store.get(key("a"))
    assert record is not None
    assert record.revision == store.revision == 2


async def test_a_conflict_is_told_once_what_was_run_into_can_be_read(store: Store) -> None:
    faster = asyncio.ensure_future(store.commit([put("a")]))
    await asyncio.sleep(0)
    with pytest.raises(Conflict) as refused:
        await store.commit([put("a")])
    record = store.get(key("a"))
    assert record is not None
    assert record.revision == refused.value.found
    await faster


async def test_writes_in_flight_build_on_one_another(store: Store) -> None:
    first = asyncio.ensure_future(store.commit([put("a")]))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(store.commit([put("a", expect=1)]))
    await asyncio.sleep(0)
    third = asyncio.ensure_future(store.commit([remove("a", expect=2)]))
    await asyncio.sleep(0)
    fourth = await store.commit([put("a")])
    assert [(await task)[0].revision for task in (first, second, third)] == [1, 2, 3]
    assert store.get(key("a")) is fourth[0]


async def test_lists_are_ordered_and_bounded_by_namespace(store: Store) -> None:
    for name, namespace in (("b", "y"), ("a", "y"), ("c", "x"), ("z", "x")):
        await store.commit([put(name, namespace=namespace)])
    await store.commit([put("other", namespace="x", kind="Service")])
    assert [record.key.name for record in store.list("Pod")] == ["c", "z", "a", "b"]
    assert [record.key.name for record in store.list("Pod", "y")] == ["a", "b"]
    assert store.list("Pod", "nowhere") == store.list("Node") == []


async def test_a_removed_object_is_gone_and_may_come_back(store: Store) -> None:
    await store.commit([put("a")])
    (gone,) = await store.commit([remove("a", 1)])
    assert (gone.revision, gone.value) == (2, b"a gone@2")
    assert store.get(key("a")) is None
    assert store.list("Pod") == []
    (again,) = await store.commit([put("a")])
    assert again.revision == 3


async def test_a_watch_replays_then_follows(store: Store) -> None:
    await store.commit([put("a")])
    await store.commit([put("b")])
    events = store.watch("Pod", since=1)
    assert await take(events, 1) == [("ADDED", "b", 2)]
    later = asyncio.ensure_future(take(events, 2))
    await store.commit([put("a", expect=1)])
    await store.commit([remove("a", expect=3)])
    assert await later == [("MODIFIED", "a", 3), ("DELETED", "a", 4)]


async def test_an_event_carries_the_state_before_it(store: Store) -> None:
    await store.commit([put("a")])
    await store.commit([put("a", expect=1)])
    await store.commit([remove("a", expect=2)])
    events = store.watch("Pod", since=0)
    seen = [await anext(events) for _ in range(3)]
    assert [event.previous.value if event.previous else None for event in seen] == [
        None,
        b"a@1",
        b"a@2",
    ]


async def test_a_watch_sees_its_kind_and_namespace_only(store: Store) -> None:
    events = store.watch("Pod", "mine", since=0)
    await store.commit([put("a", namespace="theirs")])
    await store.commit([put("s", namespace="mine", kind="Service")])
    await store.commit([put("b", namespace="mine")])
    assert await take(events, 1) == [("ADDED", "b", 3)]


async def test_a_watch_from_before_the_history_is_refused(store: Store) -> None:
    for number in range(60):
        await store.commit([put(f"p{number:02}")])
    with pytest.raises(Compacted):
        await anext(store.watch("Pod", since=9))
    assert await take(store.watch("Pod", since=10), 50)


async def test_a_watch_from_the_future_is_refused(store: Store) -> None:
    with pytest.raises(Compacted):
        await anext(store.watch("Pod", since=5))


async def test_a_slow_watcher_is_cut_and_the_store_goes_on(store: Store) -> None:
    events = store.watch("Pod", since=0)
    await store.commit([put("first")])
    assert await take(events, 1) == [("ADDED", "first", 1)]
    for number in range(60):
        await store.commit([put(f"p{number:02}")])
    with pytest.raises(Compacted):
        await anext(events)


async def test_every_watcher_sees_each_change_once_and_in_order(store: Store) -> None:
    watchers = [asyncio.ensure_future(take(store.watch("Pod", since=0), 40)) for _ in range(100)]
    await asyncio.gather(*(store.commit([put(f"p{number:02}")]) for number in range(40)))
    expected = [("ADDED", f"p{number:02}", number + 1) for number in range(40)]
    assert all(seen == expected for seen in await asyncio.gather(*watchers))


async def test_a_failing_encoder_changes_nothing(store: Store) -> None:
    def broken(_revision: int) -> bytes:
        raise RuntimeError("cannot encode")

    with pytest.raises(RuntimeError):
        await store.commit([put("a"), Put(key("b"), broken, 0)])
    (record,) = await store.commit([put("a")])
    assert record.revision == 1


async def test_no_operations_are_no_transaction(store: Store) -> None:
    assert list(await store.commit([])) == []
    assert store.revision == 0


def test_change_words_are_those_of_a_kubernetes_watch() -> None:
    assert [change.value for change in Change] == ["ADDED", "MODIFIED", "DELETED"]
