from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler import rundir

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tmpfs needs root")


@needs_root
def test_a_directory_on_disk_gets_a_tmpfs_once_and_loses_it_again(tmp_path: Path):
    run = tmp_path / "run"
    rundir.prepare(run)
    rundir.prepare(run)
    (run / "secret").write_text("x")
    mounts = [m for m in Path("/proc/self/mountinfo").read_text().splitlines() if str(run) in m]
    assert len(mounts) == 1
    assert " - tmpfs reconciler " in mounts[0]
    rundir.release(run)
    assert not run.exists()
    rundir.release(run)


@needs_root
def test_a_directory_in_memory_already_is_left_as_it_is():
    run = Path(f"/dev/shm/reconciler-test-{os.getpid()}/run")  # noqa: S108 - a tmpfs everywhere
    rundir.prepare(run)
    mounts = Path("/proc/self/mountinfo").read_text()
    assert str(run) not in mounts
    rundir.release(run)
    assert not run.exists()
    run.parent.rmdir()


@needs_root
def test_what_others_keep_in_a_shared_directory_stays(tmp_path: Path):
    (tmp_path / "other").write_text("x")
    rundir.release(tmp_path)
    assert (tmp_path / "other").read_text() == "x"
