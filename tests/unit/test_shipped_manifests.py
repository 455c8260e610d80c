"""Every manifest that the repository ships is one that the program accepts."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.core.clock import SystemClock
from reconciler.desired.load import Loader
from reconciler.source.offline import read_once

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [ROOT / "cluster-state", *sorted(p for p in (ROOT / "examples").iterdir() if p.is_dir())]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_a_shipped_source_is_valid(source: Path) -> None:
    desired = Loader().load(read_once([source], SystemClock()))
    assert list(desired.problems) == []
    assert desired.objects


def test_the_guestbook_is_the_guide_s() -> None:
    desired = Loader().load(read_once([ROOT / "cluster-state"], SystemClock()))
    names = sorted(str(key) for key in desired.objects)
    assert names == [
        "Namespace guestbook",
        "ReplicationController guestbook/frontend",
        "ReplicationController guestbook/redis-master",
        "ReplicationController guestbook/redis-slave",
        "Service guestbook/frontend",
        "Service guestbook/redis-master",
        "Service guestbook/redis-slave",
    ]
