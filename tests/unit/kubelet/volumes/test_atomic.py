"""Files put in place all at once."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from reconciler.kubelet.volumes import atomic
from reconciler.kubelet.volumes.atomic import File
from reconciler.kubelet.volumes.protocol import VolumeError

GROUP = os.getegid()


def files(root: Path) -> dict[str, str]:
    """What a user sees."""
    found: dict[str, str] = {}
    for entry in root.iterdir():
        if not entry.name.startswith(".."):
            below = [p for p in entry.rglob("*") if p.is_file()] if entry.is_dir() else [entry]
            found.update((str(p.relative_to(root)), p.read_text()) for p in below)
    return found


def test_files_appear_change_and_go(tmp_path: Path) -> None:
    root = tmp_path / "volume"
    assert atomic.write(root, {"a": File(b"1", 0o640), "d/e/f": File(b"2", 0o400)})
    assert files(root) == {"a": "1", "d/e/f": "2"}
    assert (root / "a").readlink() == Path("..data/a")
    assert stat.S_IMODE((root / "a").stat().st_mode) == 0o640
    assert stat.S_IMODE((root / "d/e/f").stat().st_mode) == 0o400
    assert atomic.write(root, {"d/g": File(b"3", 0o644)})
    assert files(root) == {"d/g": "3"}
    assert sorted(p.name for p in root.iterdir() if not p.is_symlink()) == [
        (root / "..data").readlink().name
    ]
    assert atomic.write(root, {})
    assert files(root) == {}


def test_nothing_is_touched_when_nothing_differs(tmp_path: Path) -> None:
    payload = {"a": File(b"1", 0o640)}
    assert atomic.write(tmp_path, payload, GROUP)
    before = (tmp_path / "..data").readlink()
    assert not atomic.write(tmp_path, payload, GROUP)
    assert (tmp_path / "..data").readlink() == before
    assert atomic.write(tmp_path, {"a": File(b"1", 0o660)}, GROUP)


def test_a_group_may_read_what_it_owns(tmp_path: Path) -> None:
    atomic.write(tmp_path, {"a": File(b"1", 0o400)}, GROUP)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o440
    assert (tmp_path / "a").stat().st_gid == GROUP


def test_what_a_crash_left_is_removed(tmp_path: Path) -> None:
    atomic.write(tmp_path, {"a": File(b"1", 0o644)})
    (tmp_path / "..2020_01_01_00_00_00.12345678").mkdir()
    (tmp_path / "..2020_01_01_00_00_00.12345678" / "a").write_text("half")
    (tmp_path / "..data_tmp").symlink_to("..2020_01_01_00_00_00.12345678")
    (tmp_path / "gone").symlink_to("..data/gone")
    assert not atomic.write(tmp_path, {"a": File(b"1", 0o644)})
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        [(tmp_path / "..data").readlink().name, "..data", "a"]
    )
    (tmp_path / "..data").unlink()
    (tmp_path / "a").unlink()
    assert atomic.write(tmp_path, {"a": File(b"2", 0o644)})
    assert files(tmp_path) == {"a": "2"}


def test_a_reader_never_sees_a_mix(tmp_path: Path) -> None:
    def payload(number: int) -> dict[str, File]:
        return {name: File(str(number).encode(), 0o644) for name in ("a", "b")}

    atomic.write(tmp_path, payload(0))
    over = threading.Event()

    def change() -> None:
        number = 0
        while not over.is_set():
            number += 1
            atomic.write(tmp_path, payload(number))

    thread = threading.Thread(target=change)
    thread.start()
    seen: set[str] = set()
    try:
        while len(seen) < 20:
            seen |= _pair(tmp_path)
    finally:
        over.set()
        thread.join()


def _pair(tmp_path: Path) -> set[str]:
    """Read both files as one who resolves `..data` once; nothing when the switch was faster."""
    folder = os.open(tmp_path / "..data", os.O_RDONLY | os.O_DIRECTORY)
    try:
        pair = [_read(name, folder) for name in ("a", "b")]
    except FileNotFoundError:
        return set()  # the old folder is removed after the switch: the reader opens anew
    finally:
        os.close(folder)
    assert pair[0] == pair[1]
    return {pair[0]}


def _read(name: str, folder: int) -> str:
    descriptor = os.open(name, os.O_RDONLY, dir_fd=folder)
    try:
        return os.read(descriptor, 9).decode()
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/x", "..data", "..x/y", ""])
def test_no_file_is_written_outside(tmp_path: Path, path: str) -> None:
    root = tmp_path / "volume"
    with pytest.raises(VolumeError, match="invalid path"):
        atomic.write(root, {path: File(b"", 0o644)})
    assert not root.exists()


def test_a_secret_file_has_no_repr() -> None:
    assert "s3cret" not in repr(File(b"s3cret", 0o400))
