"""The disk side of the embedded store: one append-only SQLite table, read whole at start.

Called by `sqlite.py` (through `writer.py`'s thread) and by the read-only view. Each row is one
change. An object's live state is its newest row, so a change is written once, and one
multi-row INSERT, which is one transaction, makes a whole group durable. Rows that neither the
live state nor the retained history needs are deleted as the history moves on; the compacted
revision is kept, so that a revision number is never given twice.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from sys import intern

from reconciler.model.meta import ObjectKey
from reconciler.store.protocol import (
    Change,
    Event,
    Record,
    StoreBroken,
    StoreFull,
    StoreUnavailable,
)
from reconciler.store.sealing import KeyRing, plain

SCHEMA_VERSION = 1
APPLICATION_ID = 0x72636E63  # "rcnc", so that `file` and a person know whose database it is

_SCHEMA = """
CREATE TABLE changes (
    revision INTEGER PRIMARY KEY,
    change TEXT NOT NULL,
    kind TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    previous INTEGER,
    value BLOB NOT NULL
);
CREATE TABLE history (compacted INTEGER NOT NULL);
INSERT INTO history VALUES (0);
"""

_FULL = ("SQLITE_FULL",)
_FATAL = ("SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_NOTADB")
_CHANGES = {each.value: each for each in Change}
_ROW = "(?,?,?,?,?,?,?)"
_LOCK_WAIT = 5.0  # seconds that another process may hold the write lock
_WAL_BOUND = 16 * 1024 * 1024  # bytes that the write-ahead log keeps after a checkpoint
_CACHE_KIB = 512  # of pages: rows are added at the end, and read at the start alone


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What the history dropped: rows to delete, and the newest revision dropped."""

    revisions: tuple[int, ...]
    compacted: int


class Journal:
    """The changes on disk. Not thread-safe: one thread at a time.

    With `keys`, the values of the kinds that they seal are encrypted there.
    """

    def __init__(self, connection: sqlite3.Connection, keys: KeyRing | None = None) -> None:
        self._connection = connection
        self._keys = keys
        self._stale: list[tuple[ObjectKey, int, bytes]] = []
        self.broken = False

    def compacted(self) -> int:
        """Return the newest revision whose event is no longer kept."""
        row = self._connection.execute("SELECT compacted FROM history").fetchone()
        return int(row[0])

    def load(self, since: int = 0) -> Iterator[Event]:
        """Yield the changes after `since` in order.

        `previous` is None where its row is gone or not newer than `since`.
        """
        rows: dict[int, Record] = {}
        cursor = self._connection.execute(
            "SELECT revision, change, kind, namespace, name, previous, value FROM changes"
            " WHERE revision > ? ORDER BY revision",
            (since,),
        )
        for revision, change, kind, namespace, name, previous, value in cursor:
            key = ObjectKey(intern(kind), intern(namespace), name)
            record = Record(key, revision, self._opened(key, revision, value))
            before = rows.pop(previous, None)
            known = _CHANGES[change]
            if known is not Change.DELETED:
                rows[revision] = record
            yield Event(known, record, before)

    def append(self, events: Sequence[Event], forgotten: Forgotten | None) -> None:
        """Make `events` durable in one transaction; then delete what is `forgotten`.

        Raises `StoreFull` or `StoreUnavailable`; then nothing of it happened. After `StoreBroken`
        nobody knows, and nothing is written any more.
        """
        if self.broken:
            raise StoreBroken("the store failed earlier; it must be opened again")
        try:
            if forgotten is None:
                self._insert(events)
            else:
                self._insert_and_forget(events, forgotten)
        except sqlite3.Error as error:
            self._roll_back()
            raise self._explain(error) from error

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """See one state of the disk throughout; raises `StoreUnavailable`."""
        try:
            self._connection.execute("BEGIN")
            yield
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the store cannot be read: {error}") from error
        finally:
            self._roll_back()

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    def _insert(self, events: Sequence[Event]) -> None:
        if not events:
            return
        values: list[object] = []
        for event in events:
            values += self._row(event)
        places = ",".join([_ROW] * len(events))
        # One statement: it releases the interpreter's lock once and is a transaction by itself.
        self._connection.execute(f"INSERT INTO changes VALUES {places}", values)  # noqa: S608 - placeholders only

    def _insert_and_forget(self, events: Sequence[Event], forgotten: Forgotten) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        self._insert(events)
        rows = ((revision,) for revision in forgotten.revisions)
        self._connection.executemany("DELETE FROM changes WHERE revision = ?", rows)
        execute("UPDATE history SET compacted = ?", (forgotten.compacted,))
        execute("COMMIT")

    def reseal(self) -> None:
        """Encrypt with the first key what `load` found in plain text, or under another.

        What was in plain text is overwritten wherever the file still held it. Raises
        `StoreUnavailable`; then it is as it was.
        """
        keys, stale = self._keys, self._stale
        self._stale = []
        if keys is None or not stale:
            return
        try:
            self._rewrite(keys, stale)
        except sqlite3.Error as error:
            self._roll_back()
            raise self._explain(error) from error

    def _rewrite(self, keys: KeyRing, stale: Sequence[tuple[ObjectKey, int, bytes]]) -> None:
        execute = self._connection.execute
        execute("PRAGMA secure_delete = ON")
        execute("BEGIN IMMEDIATE")
        for key, revision, written in stale:
            value = keys.seal(key, revision, keys.open(key, revision, written))
            execute("UPDATE changes SET value = ? WHERE revision = ?", (value, revision))
        execute("COMMIT")
        if any(plain(written) for _, _, written in stale):
            execute("VACUUM")
        execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _opened(self, key: ObjectKey, revision: int, written: bytes) -> bytes:
        if self._keys is not None:
            if self._keys.is_stale(key.kind, written):
                self._stale.append((key, revision, written))
            return self._keys.open(key, revision, written)
        if plain(written):
            return written
        raise StoreUnavailable(f"{key} is encrypted, and no keys of the store are given")

    def _row(self, event: Event) -> tuple[object, ...]:
        record = event.record
        previous = event.previous.revision if event.previous else None
        value = record.value
        if self._keys is not None:
            value = self._keys.seal(record.key, record.revision, value)
        return (record.revision, event.change.value, *record.key, previous, value)

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            self.broken = True

    def _explain(self, error: sqlite3.Error) -> StoreUnavailable:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(_FULL):
            return StoreFull(f"the disk refused the write: {error}")
        # After these nobody knows what is on the disk: only a new start, which reads it, does.
        self.broken = self.broken or name.startswith(_FATAL)
        kind = StoreBroken if self.broken else StoreUnavailable
        return kind(f"the store cannot be written: {error}")


def open_journal(path: Path, keys: KeyRing | None = None) -> Journal:
    """Open or make the database at `path`, readable by its owner only.

    Raises `StoreUnavailable` when it cannot be used or a newer version of the program made it.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        connection = _connect(str(path))
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_BOUND}")
            _migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable(f"{path}: the store cannot be opened: {error}") from error
    return Journal(connection, keys)


def open_journal_readonly(path: Path, keys: KeyRing | None = None) -> Journal:
    """Open the database of a running or stopped daemon for reading only."""
    try:
        connection = _connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            _check_version(connection, path)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{path}: the store cannot be read: {error}") from error
    return Journal(connection, keys)


def forget(events: Iterable[Event]) -> Forgotten | None:
    """Return what may be deleted once `events`, oldest first, have left the history."""
    revisions: list[int] = []
    compacted = 0
    for event in events:
        compacted = event.record.revision
        if event.previous is not None:
            revisions.append(event.previous.revision)
        if event.change is Change.DELETED:
            revisions.append(compacted)
    return Forgotten(tuple(revisions), compacted) if compacted else None


def _connect(target: str, *, uri: bool = False) -> sqlite3.Connection:
    # The writer's thread uses it after the opening thread is done with it, never both.
    connection = sqlite3.connect(
        target, uri=uri, timeout=_LOCK_WAIT, isolation_level=None, check_same_thread=False
    )
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        marks = f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={SCHEMA_VERSION};"
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} {marks} COMMIT;")
    else:
        _check_version(connection, path)


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != SCHEMA_VERSION:
        raise StoreUnavailable(
            f"{path}: the store has schema version {version}, this program knows {SCHEMA_VERSION}"
        )
