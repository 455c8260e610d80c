"""What the engine answers that an image has a say in: a file of it, packed in a tar."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

import pytest

from reconciler.kubelet.dockerapi import LARGEST_FILE, only_file
from reconciler.kubelet.runtime import RuntimeFailure


def packed(content: bytes, mode: str = "w") -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode=mode) as tar:  # type: ignore[call-overload]
        member = tarfile.TarInfo("passwd")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()


def test_a_file_is_read_in_pieces():
    archive = packed(b"root:x:0:0")
    assert only_file([archive[:700], archive[700:]]) == b"root:x:0:0"


def test_the_largest_file_is_read_whole():
    assert len(only_file([packed(b"x" * LARGEST_FILE)])) == LARGEST_FILE


def test_of_a_file_without_end_no_more_is_taken_than_is_allowed():
    taken = 0

    def pieces() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1 << 16
            yield bytes(1 << 16)

    with pytest.raises(RuntimeFailure, match="more than 1048576 bytes"):
        only_file(pieces())
    assert taken < 2 * LARGEST_FILE


def test_a_compressed_archive_is_not_unpacked():
    with pytest.raises(RuntimeFailure, match="no known form"):
        only_file([packed(bytes(1 << 20), "w:gz")])
