from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.core.ownership import (
    AlreadyOwned,
    FileOwnership,
    NamespaceOwnership,
    find_owner,
)

_NAME = f"reconciler-test-{os.getpid()}"  # several runs may share a host


def test_the_second_to_ask_learns_who_the_first_is():
    first = NamespaceOwnership(_NAME, "state in /here")
    try:
        with pytest.raises(AlreadyOwned, match=r"process \d+ \(state in /here\)") as caught:
            NamespaceOwnership(_NAME, "the second")
        assert caught.value.owner.pid == os.getpid()
    finally:
        first.close()


def test_the_name_is_free_once_its_owner_is_gone():
    NamespaceOwnership(_NAME, "x").close()
    assert find_owner(_NAME) is None
    NamespaceOwnership(_NAME, "y").close()


def test_a_killed_owner_holds_nothing(tmp_path: Path):
    program = (
        "import sys,time;from pathlib import Path;from reconciler.core.ownership import *\n"
        f"a=NamespaceOwnership('{_NAME}','child');"
        f"b=FileOwnership(Path('{tmp_path}/socket'),Path('{tmp_path}/locks'),'child')\n"
        "print('held',flush=True);sys.stdin.read()"
    )
    (tmp_path / "socket").touch()
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout
        assert child.stdout.readline() == b"held\n"
        owner = find_owner(_NAME)
        assert owner
        assert owner.pid == child.pid
        with pytest.raises(AlreadyOwned, match=f"process {child.pid} "):
            FileOwnership(tmp_path / "socket", tmp_path / "locks", "me")
        child.kill()
        child.wait()
    assert find_owner(_NAME) is None
    FileOwnership(tmp_path / "socket", tmp_path / "locks", "me").close()


def test_a_file_is_the_same_file_under_another_name(tmp_path: Path):
    (tmp_path / "socket").touch()
    os.link(tmp_path / "socket", tmp_path / "alias")
    first = FileOwnership(tmp_path / "socket", tmp_path / "locks", "first")
    with pytest.raises(AlreadyOwned, match="first"):
        FileOwnership(tmp_path / "alias", tmp_path / "locks", "second")
    first.close()
    assert list((tmp_path / "locks").iterdir()) == []
