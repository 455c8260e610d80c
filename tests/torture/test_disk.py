"""Torn, full and slow disks: nothing acknowledged is lost, nothing is there by half."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path
from random import Random

import pytest

from reconciler.model.meta import ObjectKey
from reconciler.store.journal import open_journal
from reconciler.store.protocol import Change, Conflict, Event, Put, StoreUnavailable
from reconciler.store.sqlite import SqliteStore, open_readonly
from tests.torture.disk import (
    DATABASE,
    FaultyDisk,
    Image,
    StalledDisk,
    TornDisk,
    image,
    restore,
    torn,
)
from tests.torture.linear import Saw, Wrote, violation
from tests.torture.writer import KIND, LIMIT, NAMES

GROUPS = 250  # a kilobyte to a hundred each: SQLite moves its log into the database on the way


def put(name: str, base: int, size: int) -> Put:
    return Put(ObjectKey(KIND, "", name), lambda revision: b"%d %s" % (revision, b"x" * size), base)


@pytest.mark.parametrize("seed", range(2))
async def test_a_power_cut_leaves_each_group_whole_or_not_at_all(tmp_path: Path, seed: int) -> None:
    random, path = Random(seed), tmp_path / DATABASE
    disk = TornDisk(open_journal(path), path)
    store = SqliteStore(disk, LIMIT)
    newest: dict[str, int] = {}
    moved = 0
    for number in range(GROUPS):
        before, newest = newest, await _rewritten(store, random)
        moved += disk.last.moved
        if disk.last.moved or number % 8 == 0:
            for left in torn(disk.last, random):
                assert _found(left, tmp_path / "after") in (before, newest)
    await store.close()
    assert moved > 1, "the log never moved into the database: the hardest moment was not tried"


async def _rewritten(store: SqliteStore, random: Random) -> dict[str, int]:
    """Write every object in one transaction; return the revisions that they have then."""
    records = {name: store.get(key(name)) for name in NAMES}
    written = await store.commit(
        [
            put(name, record.revision if record else 0, random.choice((100, 20_000)))
            for name, record in records.items()
        ]
    )
    return {record.key.name: record.revision for record in written}


def key(name: str) -> ObjectKey:
    return ObjectKey(KIND, "", name)


def _found(left: Image, folder: Path) -> dict[str, int]:
    """Return the revisions that a start after the power cut finds."""
    folder.mkdir()
    restore(left, folder)
    store = open_readonly(folder / DATABASE)
    records = store.list(KIND)
    store.close()
    shutil.rmtree(folder)
    assert all(record.value.startswith(b"%d " % record.revision) for record in records)
    return {record.key.name: record.revision for record in records}


@pytest.mark.parametrize("seed", range(3))
async def test_a_full_and_slow_disk_stays_linearizable(tmp_path: Path, seed: int) -> None:
    journal = open_journal(tmp_path / DATABASE)
    disk = FaultyDisk(journal, Random(seed))
    store = SqliteStore(disk, LIMIT)
    history = _History(store)
    await asyncio.gather(*(history.client(Random(f"{seed}-{n}")) for n in range(6)))
    assert disk.refused > 0
    events = store.feed(KIND, since=0).read()
    assert [event.record.revision for event in events] == sorted(
        write.revision for write in history.writes
    )
    await store.close()
    final = [Saw(name, history.there(events, name), time.monotonic(), 1e99) for name in NAMES]
    assert violation(history.writes, [*history.sights, *final]) == ""


async def test_what_builds_on_a_refused_write_is_refused_with_it(tmp_path: Path) -> None:
    disk = StalledDisk(open_journal(tmp_path / DATABASE))
    store = SqliteStore(disk, LIMIT)
    first = asyncio.ensure_future(store.commit([put("a", 0, 10)]))
    await asyncio.to_thread(disk.reached.wait, 30)
    second = asyncio.ensure_future(store.commit([put("a", 1, 10)]))
    await asyncio.sleep(0)
    disk.go_on.set()
    for write in (first, second):
        with pytest.raises(StoreUnavailable):
            await write
    (record,) = await store.commit([put("a", 0, 10)])
    await store.close()
    assert _found(image(tmp_path / DATABASE), tmp_path / "after") == {"a": record.revision}


class _History:
    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.writes: list[Wrote] = []
        self.sights: list[Saw] = []

    async def client(self, random: Random) -> None:
        """Write 40 times; a refusal for want of space is no write, and says nothing else."""
        for _ in range(40):
            name = random.choice(NAMES)
            called = time.monotonic()
            record = self._store.get(key(name))
            base = record.revision if record else 0
            self.sights.append(Saw(name, base, called, time.monotonic()))
            await self._write(name, base)

    async def _write(self, name: str, base: int) -> None:
        called = time.monotonic()
        try:
            (record,) = await self._store.commit([put(name, base, 100)])
        except Conflict as refused:
            self.sights.append(Saw(name, refused.found, called, time.monotonic()))
        except StoreUnavailable:
            return
        else:
            self.writes.append(Wrote(name, base, record.revision, called, time.monotonic()))

    @staticmethod
    def there(events: list[Event], name: str) -> int:
        """Return the revision at which the last event leaves `name`."""
        last = [event for event in events if event.record.key.name == name][-1:]
        return 0 if not last or last[0].change is Change.DELETED else last[0].record.revision
