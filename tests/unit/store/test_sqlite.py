"""What only the store on disk does: files, restart, history, the order of writes."""

import asyncio
import sqlite3
import stat
from pathlib import Path

import pytest

from reconciler.store.history import HistoryLimit
from reconciler.store.journal import open_journal
from reconciler.store.protocol import (
    Compacted,
    StoreUnavailable,
)
from reconciler.store.sqlite import SqliteStore, open_readonly, open_store
from reconciler.store.writer import Finish, Log, Write, Writer
from tests.unit.store.sqlitekit import contents, drain, key, put, remove


async def test_a_restart_finds_objects_history_and_counter(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = await open_store(path)
    await store.commit([put("a"), put("b")])
    await store.commit([put("a", expect=1)])
    await store.commit([remove("b", expect=2)])
    before, events = contents(store), await drain(store, 0)
    await store.close()

    store = await open_store(path)
    assert contents(store) == before == [("a", 3, b"a@3")]
    assert await drain(store, 0) == events
    (record,) = await store.commit([put("c")])
    assert record.revision == 5
    await store.close()


async def test_a_revision_is_never_given_twice_even_when_its_row_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    limit = HistoryLimit(events=0)
    store = await open_store(path, limit)
    for number in range(300):
        (record,) = await store.commit([put("a")])
        await store.commit([remove("a", record.revision)])
        assert record.revision == 2 * number + 1
    newest = store.revision
    await store.close()
    store = await open_store(path, limit)
    assert store.revision == newest
    with pytest.raises(Compacted):
        await anext(store.watch("ConfigMap", since=0))
    await store.close()


async def test_what_left_the_history_leaves_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = await open_store(path, HistoryLimit(events=10))
    await store.commit([put("a")])
    for _ in range(1000):
        await store.commit([put("a", expect=store.revision)])
    await store.close()
    with sqlite3.connect(path) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM changes").fetchone()
    connection.close()
    assert rows < 300


async def test_the_history_is_bounded_by_size_too(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "state.db", HistoryLimit(size=100_000))
    await store.commit([put("a", size=10_000)])
    for _ in range(20):
        await store.commit([put("a", expect=store.revision, size=10_000)])
    with pytest.raises(Compacted):
        await anext(store.watch("ConfigMap", since=5))
    assert await drain(store, 19)
    await store.close()


async def test_only_the_owner_may_read_the_files(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "state.db")
    await store.commit([put("a")])
    assert _modes(tmp_path) == {"state.db": 0o600, "state.db-shm": 0o600, "state.db-wal": 0o600}
    await store.close()


def _modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


async def test_a_store_of_another_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreUnavailable, match="schema version 99"):
        await open_store(path)
    with pytest.raises(StoreUnavailable, match="schema version 99"):
        open_readonly(path)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"not a database " * 100)
    with pytest.raises(StoreUnavailable):
        await open_store(path)


async def test_a_closed_store_refuses_writes(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "state.db")
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.commit([put("a")])


async def test_close_finishes_what_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = await open_store(path)
    commits = [asyncio.ensure_future(store.commit([put(f"p{n}")])) for n in range(50)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*commits)
    store = await open_store(path)
    assert len(contents(store)) == 50
    await store.close()


class Watched(Writer):
    """The real writer, seen by the turn of the loop in which it is given what it writes."""

    def __init__(self, log: Log, loop: asyncio.AbstractEventLoop, finish: Finish) -> None:
        super().__init__(log, loop, finish)
        self.given: list[tuple[int, ...]] = []

    def submit(self, write: Write) -> None:
        self.given.append(tuple(record.revision for record in write.transaction.records))
        super().submit(write)


async def test_the_writes_of_one_turn_are_handed_over_together_and_in_order(
    tmp_path: Path,
) -> None:
    writers: list[Watched] = []

    def writer(log: Log, loop: asyncio.AbstractEventLoop, finish: Finish) -> Watched:
        writers.append(Watched(log, loop, finish))
        return writers[-1]

    store = SqliteStore(open_journal(tmp_path / "state.db"), HistoryLimit(), writer=writer)
    seen: list[int] = []

    async def write(number: int) -> None:
        seen.append(len(writers[0].given))
        await store.commit([put(f"k{number}")])

    await asyncio.gather(*(write(number) for number in range(20)))
    assert seen == [0] * 20  # nothing went while others of the turn were still to come
    assert writers[0].given == [(revision,) for revision in range(1, 21)]
    await store.close()


async def test_what_is_asked_for_in_the_turn_of_the_close_is_written(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "state.db")
    last = asyncio.ensure_future(store.commit([put("a")]))
    asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(store.close()))
    (record,) = await last
    assert record.revision == 1
    await store.close()
    assert [each[0] for each in contents(await open_store(tmp_path / "state.db"))] == ["a"]


async def test_a_cancelled_caller_does_not_stop_its_write(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "state.db")
    commit = asyncio.ensure_future(store.commit([put("a")]))
    await asyncio.sleep(0)
    commit.cancel()
    await store.commit([put("b")])
    assert [name for name, _, _ in contents(store)] == ["a", "b"]
    await store.close()


async def test_the_readonly_view_follows_a_running_store(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = await open_store(path, HistoryLimit(events=5))
    await store.commit([put("a"), put("b")])
    view = open_readonly(path)
    assert [record.key.name for record in view.list("ConfigMap")] == ["a", "b"]
    await store.commit([remove("a", 1)])
    await store.commit([put("b", expect=2)])
    view.refresh()
    assert view.get(key("a")) is None
    found = view.get(key("b"))
    assert found is not None
    assert found.value == b"b@4"
    for _ in range(600):  # far beyond the history: the view must read all again
        await store.commit([put("b", expect=store.revision)])
    await store.commit([remove("b", store.revision)])
    for number in range(600):
        await store.commit([put(f"c{number}")])
    view.refresh()
    assert [record.key for record in view.list("ConfigMap")] == [
        record.key for record in store.list("ConfigMap")
    ]
    view.close()
    await store.close()


async def test_who_wrote_has_the_answer_before_those_who_watch_hear_of_it(tmp_path: Path) -> None:
    store, heard = await open_store(tmp_path / "state.db"), []

    async def write(name: str) -> None:
        await store.commit([put(name)])
        assert store.get(key(name)) is not None
        heard.append(f"wrote {name}")

    async def watch() -> None:
        events = store.watch("ConfigMap", since=0)
        while True:
            heard.append(f"saw {(await anext(events)).record.key.name}")

    watcher = asyncio.create_task(watch())
    await asyncio.sleep(0)
    await asyncio.gather(*map(write, "abc"))
    while len(heard) < 6:  # noqa: ASYNC110 - the watcher has its turn next
        await asyncio.sleep(0)
    watcher.cancel()
    assert heard == ["wrote a", "wrote b", "wrote c", "saw a", "saw b", "saw c"]
    await store.close()
