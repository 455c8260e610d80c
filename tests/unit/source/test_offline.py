"""Paths that are read once, as `validate` is given them."""

from __future__ import annotations

import os
from pathlib import Path

from reconciler.core.clock import SystemClock
from reconciler.source.files import TreeLimits
from reconciler.source.offline import read_once


def test_a_pipe_is_read_to_its_end() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"kind: Pod")
    os.close(writing)
    path = f"/dev/fd/{reading}"
    snapshot = read_once([Path(path)], SystemClock())
    os.close(reading)
    assert list(snapshot.contents.read([snapshot.files[path]])) == [b"kind: Pod"]


def test_what_never_ends_is_refused() -> None:
    snapshot = read_once([Path("/dev/zero")], SystemClock(), TreeLimits(file_bytes=10))
    assert snapshot.files["/dev/zero"].refused == "it has more than the 10 bytes that are read"
