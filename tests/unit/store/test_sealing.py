"""Secrets on the disk: never in plain text, opened by their keys alone, rotated."""

from __future__ import annotations

import base64
import sqlite3
from pathlib import Path

import pytest

from reconciler.model.meta import ObjectKey
from reconciler.store.protocol import Put, Remove, StoreUnavailable
from reconciler.store.sealing import KeyRing, make_keys, open_keys
from reconciler.store.sqlite import open_readonly, open_store

PLAIN = b'{"data":{"password":"correct-horse-battery"}}'
SECRET = ObjectKey("Secret", "shop", "db")
SETTINGS = ObjectKey("ConfigMap", "shop", "db")


def line(name: str, byte: int) -> str:
    return f"{name} {base64.b64encode(bytes([byte]) * 32).decode()}\n"


def ring(folder: Path, *lines: str) -> KeyRing:
    path = folder / "store.keys"
    path.write_text("".join(lines))
    path.chmod(0o600)
    return open_keys(path)


def put(key: ObjectKey, expect: int = 0, value: bytes = PLAIN) -> Put:
    return Put(key, lambda _revision: value, expect)


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("store.db*"))


async def write(folder: Path, keys: KeyRing | None, *operations: Put | Remove) -> None:
    store = await open_store(folder / "store.db", keys=keys)
    for operation in operations:
        await store.commit([operation])
    await store.close()


def read(folder: Path, keys: KeyRing | None) -> dict[ObjectKey, bytes]:
    store = open_readonly(folder / "store.db", keys=keys)
    try:
        found = [*store.list("Secret"), *store.list("ConfigMap")]
        return {record.key: record.value for record in found}
    finally:
        store.close()


async def test_a_secret_is_never_on_the_disk_in_plain_text(tmp_path: Path) -> None:
    keys = ring(tmp_path, line("k1", 1))
    store = await open_store(tmp_path / "store.db", keys=keys)
    await store.commit([put(SECRET)])
    running = on_disk(tmp_path)
    assert store.get(SECRET).value == PLAIN  # type: ignore[union-attr]
    await store.close()
    assert b"horse" not in running + on_disk(tmp_path)
    assert read(tmp_path, keys) == {SECRET: PLAIN}


async def test_other_kinds_stay_readable_for_people(tmp_path: Path) -> None:
    await write(tmp_path, ring(tmp_path, line("k1", 1)), put(SETTINGS))
    assert b"horse" in on_disk(tmp_path)


async def test_an_object_with_fields_of_a_secret_is_sealed_whatever_its_kind(
    tmp_path: Path,
) -> None:
    value = PLAIN[:-1] + b',"metadata":{"annotations":{"reconciler.dev/secret-fields":"data.a"}}}'
    await write(tmp_path, None, put(SETTINGS, value=value))
    await write(tmp_path, ring(tmp_path, line("k1", 1)), put(SETTINGS, 1, value))
    assert b"horse" not in on_disk(tmp_path)
    await write(tmp_path, ring(tmp_path, line("k2", 2), line("k1", 1)))
    assert read(tmp_path, ring(tmp_path, line("k2", 2))) == {SETTINGS: value}


async def test_a_restart_and_the_history_open_what_was_sealed(tmp_path: Path) -> None:
    keys = ring(tmp_path, line("k1", 1))
    await write(
        tmp_path,
        keys,
        put(SECRET),
        put(SECRET, 1, b'{"data":{}}'),
        Remove(SECRET, lambda _: PLAIN, 2),
    )
    store = await open_store(tmp_path / "store.db", keys=keys)
    seen = store.feed("Secret", since=0).read()
    await store.close()
    assert [event.record.value for event in seen] == [PLAIN, b'{"data":{}}', PLAIN]


async def test_what_was_written_before_there_were_keys_is_sealed_and_wiped(tmp_path: Path) -> None:
    await write(tmp_path, None, put(SECRET), put(SECRET, 1))
    assert b"horse" in on_disk(tmp_path)
    keys = ring(tmp_path, line("k1", 1))
    await write(tmp_path, keys)
    assert b"horse" not in on_disk(tmp_path)
    assert read(tmp_path, keys) == {SECRET: PLAIN}


async def test_rotation_encrypts_anew_so_that_the_old_key_may_go(tmp_path: Path) -> None:
    await write(tmp_path, ring(tmp_path, line("k1", 1)), put(SECRET))
    await write(tmp_path, ring(tmp_path, line("k2", 2), line("k1", 1)))
    assert read(tmp_path, ring(tmp_path, line("k2", 2))) == {SECRET: PLAIN}


async def test_without_its_key_the_store_does_not_open_and_says_which(tmp_path: Path) -> None:
    await write(tmp_path, ring(tmp_path, line("k1", 1)), put(SECRET))
    with pytest.raises(
        StoreUnavailable, match=r'Secret.*the key "k1", which is not in .*store.keys'
    ):
        await write(tmp_path, ring(tmp_path, line("k2", 2)))
    with pytest.raises(StoreUnavailable, match="no keys of the store are given"):
        read(tmp_path, None)
    assert read(tmp_path, ring(tmp_path, line("k1", 1))) == {SECRET: PLAIN}


async def test_another_key_of_the_same_name_is_told_from_the_right_one(tmp_path: Path) -> None:
    await write(tmp_path, ring(tmp_path, line("k1", 1)), put(SECRET))
    with pytest.raises(StoreUnavailable, match='does not open with the key "k1"'):
        read(tmp_path, ring(tmp_path, line("k1", 9)))


async def test_a_value_in_another_objects_row_is_refused(tmp_path: Path) -> None:
    keys = ring(tmp_path, line("k1", 1))
    await write(tmp_path, keys, put(SECRET), put(SECRET._replace(name="other")))
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute(
            "UPDATE changes SET value = (SELECT value FROM changes WHERE revision = 1)"
            " WHERE revision = 2"
        )
    connection.close()
    with pytest.raises(StoreUnavailable, match="or the store was changed"):
        read(tmp_path, keys)


def test_the_first_start_makes_a_key_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.keys"
    make_keys(path)
    made = path.read_bytes()
    make_keys(path)
    assert path.read_bytes() == made
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["store.keys"]
    open_keys(path)


BAD_FILES = {
    "": "has no key",
    "# nothing\n": "has no key",
    "k1\n": "store.keys:1: a line is a name",
    "k1 !!!!\n": "store.keys:1: the key is not base64",
    "k1 AAAA\n": "the key has 3 bytes, AES-256 needs 32",
    "k/1 AAAA\n": "a line is a name",
    line("k1", 1) + line("k1", 2): 'store.keys:2: a key named "k1" stands above',
}


@pytest.mark.parametrize("text", BAD_FILES)
def test_a_bad_key_file_says_what_is_wrong(tmp_path: Path, text: str) -> None:
    with pytest.raises(StoreUnavailable, match=BAD_FILES[text]):
        ring(tmp_path, text)


def test_keys_that_others_may_read_are_refused(tmp_path: Path) -> None:
    ring(tmp_path, line("k1", 1))
    path = tmp_path / "store.keys"
    path.chmod(0o640)
    with pytest.raises(StoreUnavailable, match="chmod 600"):
        open_keys(path)


def test_a_key_is_never_in_a_message(tmp_path: Path) -> None:
    secret = base64.b64encode(b"\x07" * 31).decode()
    with pytest.raises(StoreUnavailable) as refused:
        ring(tmp_path, f"k1 {secret}\n")
    assert secret not in str(refused.value)
