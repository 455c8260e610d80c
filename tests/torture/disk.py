"""Disks that tear, fail and dawdle, under the real store.

`TornDisk` keeps images of the files around the last group of writes. `torn` yields what a power cut
may leave of that group: of the sectors that it wrote, any may be there and any not, but for what a
sync of SQLite's has put in order: the log is on the disk before the database is touched.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from reconciler.store.journal import Forgotten, Journal
from reconciler.store.protocol import Event, StoreFull

DATABASE = "store.db"
SECTOR = 512

Image = dict[str, bytes]
"""The bytes of the database and of its log, by file name."""


@dataclass(frozen=True, slots=True)
class Group:
    """The disk before and after a group of writes became durable."""

    before: Image
    after: Image

    @property
    def moved(self) -> bool:
        """Whether SQLite moved its log into the database, a step of its own."""
        return len(set(map(len, (self.before[DATABASE], self.after[DATABASE])))) > 1


class Disk:
    """A journal's place in the writer, to be broken in some way; alone it breaks nothing."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def compacted(self) -> int:
        """See `Journal`."""
        return self.journal.compacted()

    def load(self) -> Iterable[Event]:
        """See `Journal`."""
        return self.journal.load()

    def reseal(self) -> None:
        """See `Journal`."""
        self.journal.reseal()

    def append(self, events: Sequence[Event], forgotten: Forgotten | None) -> None:
        """See `Journal`."""
        self.journal.append(events, forgotten)

    def close(self) -> None:
        """See `Journal`."""
        self.journal.close()


class TornDisk(Disk):
    """Remembers what was on the disk before and after the last group."""

    def __init__(self, journal: Journal, path: Path) -> None:
        super().__init__(journal)
        self._path = path
        self._now = image(path)
        self.last = Group(self._now, self._now)

    def append(self, events: Sequence[Event], forgotten: Forgotten | None) -> None:
        super().append(events, forgotten)
        before, self._now = self._now, image(self._path)
        self.last = Group(before, self._now)


class FaultyDisk(Disk):
    """Is full at times and slow at others, as `random` says."""

    def __init__(self, journal: Journal, random: Random) -> None:
        super().__init__(journal)
        self._random = random
        self.refused = 0

    def append(self, events: Sequence[Event], forgotten: Forgotten | None) -> None:
        time.sleep(self._random.random() ** 4 / 50)
        if self._random.random() < 0.15:
            self.refused += 1
            raise StoreFull("no space left on the device")
        super().append(events, forgotten)
        time.sleep(self._random.random() ** 4 / 50)


class StalledDisk(Disk):
    """Holds its first write until told, and then refuses it."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        self.reached, self.go_on = threading.Event(), threading.Event()

    def append(self, events: Sequence[Event], forgotten: Forgotten | None) -> None:
        if not self.reached.is_set():
            self.reached.set()
            self.go_on.wait(30)
            raise StoreFull("no space left on the device")
        super().append(events, forgotten)


def image(path: Path) -> Image:
    """Return what is in the files of the database at `path`, but for the index of its log."""
    files = (path, path.with_name(path.name + "-wal"))
    return {file.name: file.read_bytes() for file in files if file.exists()}


def torn(group: Group, random: Random) -> Iterator[Image]:
    """Yield two of the many states that a power cut during the group may leave."""
    database, log = min(group.after), max(group.after)
    old, new = group.before, group.after
    yield {
        database: old.get(database, b""),
        log: _mixed(old.get(log, b""), new.get(log, b""), random),
    }
    yield {
        database: _mixed(old.get(database, b""), new.get(database, b""), random),
        log: new.get(log, b""),
    }


def restore(found: Image, folder: Path) -> None:
    """Put the files into a folder that has none of them."""
    for name, content in found.items():
        (folder / name).write_bytes(content)


def _mixed(old: bytes, new: bytes, random: Random) -> bytes:
    """Return `new` with some sectors as in `old`, or never written, and its end perhaps cut."""
    size = max(len(old), len(new))
    if random.random() < 0.5:
        size = random.randrange(min(len(old), len(new)), size + 1)
    share = random.random()
    sectors = []
    for at in range(0, size, SECTOR):
        source = new if random.random() < share else old
        sectors.append(source[at : at + SECTOR].ljust(min(SECTOR, size - at), b"\0"))
    return b"".join(sectors)[:size]
