"""`make demo` and `make demo-down`, without the part that installs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.demo import RUN, STATE
from scripts.leftovers import find_leftovers
from tests.integration.harness import ROOT, Engine, fetch

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]


def demo(command: str, cache: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RECONCILER_CACHE": str(cache), "TMPDIR": str(cache)}
    return subprocess.run(
        [sys.executable, "-m", "scripts.demo", command],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


@pytest.fixture
def cache(tmp_path: Path, engine: Engine) -> Iterator[Path]:
    assert find_leftovers([STATE, RUN]) == [], "this host is in use"
    yield tmp_path
    demo("down", tmp_path)


def test_up_again_and_down(cache: Path, engine: Engine) -> None:
    first = demo("up", cache)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "http://127.0.0.1:30001/" in first.stdout
    assert re.search(r"guestbook/frontend +3/3 +ready", first.stdout)
    assert fetch().status == 200
    before = {each.id for each in engine.containers()}

    second = demo("up", cache)
    assert second.returncode == 0
    assert "nothing was changed" in second.stdout
    assert {each.id for each in engine.containers()} == before

    down = demo("down", cache)
    assert down.returncode == 0, down.stdout + down.stderr
    assert find_leftovers([STATE, RUN]) == []
    assert list(cache.glob("reconciler-demo-*")) == []

    again = demo("down", cache)
    assert again.returncode == 0
    assert "nothing was changed" in again.stdout
