"""Files for their owner alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from reconciler.core import privatefile


def test_only_the_owner_may_read_file_and_folder(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        privatefile.write(tmp_path / "pki" / "key", b"secret")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "pki" / "key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "pki").stat().st_mode) == 0o700


def test_a_file_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "key"
    privatefile.write(file, b"first")
    privatefile.write(file, b"2")
    assert file.read_bytes() == b"2"
    assert list(tmp_path.iterdir()) == [file]


def test_what_cannot_be_written_leaves_the_old(tmp_path: Path) -> None:
    file = tmp_path / "key"
    privatefile.write(file, b"old")
    (tmp_path / "key.new").mkdir()
    with pytest.raises(OSError, match=r"key\.new"):
        privatefile.write(file, b"new")
    assert file.read_bytes() == b"old"
