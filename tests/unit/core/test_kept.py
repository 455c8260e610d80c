from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.core.kept import KeptFile, stamp_of_sources

ENTRIES = {"a": b"1" * 100, "b": b"", "c": b"3" * 10}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "cache" / "file"
    KeptFile(path, "stamp").replace(ENTRIES)
    return path


def test_what_is_kept_comes_back_and_grows(path: Path) -> None:
    file = KeptFile(path, "stamp")
    assert file.read() == ENTRIES
    file.add({"d": b"4"})
    file.add({"a": b"new"})
    assert KeptFile(path, "stamp").read() == {**ENTRIES, "d": b"4", "a": b"new"}
    assert path.stat().st_mode & 0o777 == 0o600


def test_another_stamp_forgets_all(path: Path) -> None:
    other = KeptFile(path, "other")
    assert other.read() == {}
    other.add({"x": b"1"})
    assert KeptFile(path, "other").read() == {"x": b"1"}
    assert KeptFile(path, "stamp").read() == {}


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_torn_file_keeps_what_is_before_the_tear_and_heals(path: Path, cut: int) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-cut])
    file = KeptFile(path, "stamp")
    found = file.read()
    assert found.items() < ENTRIES.items()
    file.add({"d": b"4"})
    assert KeptFile(path, "stamp").read() == {**found, "d": b"4"}


def test_no_flipped_bit_gives_a_wrong_value(path: Path) -> None:
    data = path.read_bytes()
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        assert KeptFile(path, "stamp").read().items() <= ENTRIES.items()


def test_a_place_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    blocked = tmp_path / "cache"
    blocked.write_text("a file where a folder should be")
    file = KeptFile(blocked / "file", "stamp")
    assert file.read() == {}
    file.add(ENTRIES)
    file.replace(ENTRIES)
    assert file.read() == {}


def test_a_stamp_differs_with_any_source(tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    assert stamp_of_sources({"room": room}) == ""
    (room / "a.py").write_text("x = 1\n")
    first = stamp_of_sources({"room": room}, "3.11")
    assert first != stamp_of_sources({"room": room}, "3.12")
    (room / "a.py").write_text("x = 2\n")
    assert first != stamp_of_sources({"room": room}, "3.11")
