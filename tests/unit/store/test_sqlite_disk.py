"""A disk that is full, locked, broken or not there: what the store says and loses not."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from reconciler.store.history import HistoryLimit
from reconciler.store.journal import open_journal
from reconciler.store.protocol import (
    StoreBroken,
    StoreFull,
    StoreUnavailable,
)
from reconciler.store.sqlite import SqliteStore, open_readonly, open_store
from tests.unit.store.sqlitekit import contents, put


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


async def test_reading_a_store_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        open_readonly(tmp_path / "none.db")
