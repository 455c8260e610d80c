"""What only the store on disk does: durability, files, restart, refusals of the disk."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.meta import ObjectKey
from reconciler.store.history import HistoryLimit
from reconciler.store.journal import open_journal
from reconciler.store.protocol import (
    Compacted,
    Conflict,
    Put,
    Remove,
    StoreBroken,
    StoreFull,
    StoreUnavailable,
)
from reconciler.store.sqlite import SqliteStore, open_readonly, open_store
from reconciler.store.writer import Finish, Log, Write, Writer


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


async def test_a_full_disk_refuses_whole_transactions_and_heals(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "state.db")
    await store.commit([put("a")])
    assert store._writer
    connection = store._writer._journal._connection
    connection.execute("PRAGMA max_page_count = 20")
    big = [asyncio.ensure_future(store.commit([put("b", size=200_000)]))]
    await asyncio.sleep(0)
    # Builds on a write in flight that fails: it must not survive it.
    big.append(asyncio.ensure_future(store.commit([put("b", expect=2)])))
    results = await asyncio.gather(*big, return_exceptions=True)
    assert [type(result) for result in results] == [StoreFull, StoreFull]
    assert [name for name, _, _ in contents(store)] == ["a"]

    connection.execute("PRAGMA max_page_count = 100000")
    (record,) = await store.commit([put("b", size=200_000)])
    assert record.revision > 1
    assert [name for name, _, _ in contents(store)] == ["a", "b"]
    await store.close()


async def test_a_lock_of_another_process_fails_the_write_only(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = await open_store(path)
    assert store._writer
    store._writer._journal._connection.execute("PRAGMA busy_timeout = 20")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        await store.commit([put("a")])
    other.execute("ROLLBACK")
    other.close()
    await store.commit([put("a")])
    assert [name for name, _, _ in contents(store)] == ["a"]
    await store.close()


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


async def test_reading_a_store_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        open_readonly(tmp_path / "none.db")


WRITER = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from reconciler.model.meta import ObjectKey
    from reconciler.store.history import HistoryLimit
    from reconciler.store.protocol import Put
    from reconciler.store.sqlite import open_store

    async def follow(store, name):
        key = ObjectKey("ConfigMap", "default", name)
        while True:
            base = store.get(key)
            expect = base.revision if base else 0
            count = int(base.value.split()[0]) + 1 if base else 1
            (record,) = await store.commit(
                [Put(key, lambda revision: f"{count} {revision}".encode().ljust(500), expect)])
            sys.stdout.write(f"{name} {count} {record.revision}\\n")
            sys.stdout.flush()

    async def main():
        store = await open_store(Path(sys.argv[1]), HistoryLimit(events=100))
        await asyncio.gather(*(follow(store, f"w{n}") for n in range(8)))

    asyncio.run(main())
    """
)


@pytest.mark.parametrize("lines", [1, 40, 400, 1500])
def test_kill_minus_nine_loses_nothing_that_was_acknowledged(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "state.db"
    newest: dict[str, tuple[int, int]] = {}
    highest = 0
    for _ in range(2):
        acknowledged = _killed_after(path, lines)
        assert all(revision > highest for _, _, revision in acknowledged)
        newest |= {name: (count, revision) for name, count, revision in acknowledged}
        highest = asyncio.run(_check_kept(path, newest))


def _killed_after(path: Path, lines: int) -> list[tuple[str, int, int]]:
    """Run a writer, kill it in the middle of its work; return what it had acknowledged."""
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        seen = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        seen += [line for line in process.stdout if line.endswith("\n")]
    parts = [line.split() for line in seen]
    return [(name, int(count), int(revision)) for name, count, revision in parts]


async def _check_kept(path: Path, newest: dict[str, tuple[int, int]]) -> int:
    store = await open_store(path, HistoryLimit(events=100))
    for name, (count, revision) in newest.items():
        record = store.get(key(name))
        assert record is not None
        found, encoded_for = map(int, record.value.split())
        assert found >= count
        assert record.revision == encoded_for >= revision
    await drain(store, store._state.history.compacted)
    await store.close()
    return store.revision


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["put", "remove", "reopen"]), st.sampled_from("abc"))),
    st.integers(min_value=0, max_value=6),
)
def test_any_history_reads_the_same_after_a_restart(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str]], kept: int
) -> None:
    path = tmp_path_factory.mktemp("store") / "state.db"
    asyncio.run(_replay(path, steps, HistoryLimit(events=kept)))


async def _replay(path: Path, steps: list[tuple[str, str]], limit: HistoryLimit) -> None:
    store = await open_store(path, limit)
    model: dict[str, int] = {}
    for action, name in steps:
        try:
            match action:
                case "put":
                    (record,) = await store.commit([put(name, expect=model.get(name, 0))])
                    model[name] = record.revision
                case "remove":
                    await store.commit([remove(name, expect=model.get(name, 0))])
                    del model[name]
                case _:
                    before = contents(store), await drain(store, store._state.history.compacted)
                    revision = store.revision
                    await store.close()
                    store = await open_store(path, limit)
                    after = contents(store), await drain(store, store._state.history.compacted)
                    assert (after, store.revision) == (before, revision)
        except Conflict:
            assert action == "remove"
            assert name not in model
        assert {name: revision for name, revision, _ in contents(store)} == model
    await store.close()


class BrokenDisk:
    """A connection whose disk gives an I/O error on every write."""

    in_transaction = False

    def execute(self, *_: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = "SQLITE_IOERR_WRITE"  # type: ignore[misc]
        raise error

    def close(self) -> None: ...


async def test_after_an_io_error_nothing_is_written_and_the_daemon_is_told_to_end(
    tmp_path: Path,
) -> None:
    journal = open_journal(tmp_path / "state.db")
    store = SqliteStore(journal, HistoryLimit())
    running = asyncio.ensure_future(store.run())
    await store.commit([put("a")])
    real, journal._connection = journal._connection, BrokenDisk()  # type: ignore[assignment]
    with pytest.raises(StoreBroken, match="disk I/O error"):
        await store.commit([put("b")])
    with pytest.raises(StoreBroken, match="disk I/O error"):
        await running
    journal._connection = real
    with pytest.raises(StoreBroken, match="must be opened again"):
        await store.commit([put("c")])
    await store.close()
    again = await open_store(tmp_path / "state.db")
    assert [record.key.name for record in again.list("ConfigMap")] == ["a"]
    await again.close()


async def test_a_full_disk_is_no_reason_to_end(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "state.db")
    journal._connection.execute("PRAGMA max_page_count = 8")
    store = SqliteStore(journal, HistoryLimit())
    running = asyncio.ensure_future(store.run())
    with pytest.raises(StoreFull):
        await store.commit([put("a", size=100_000)])
    assert not running.done()
    running.cancel()
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
