"""Commands that look at a daemon's store: one that keeps looking, one that reads as it does."""

from __future__ import annotations

import asyncio
import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest
from rich.console import Console

from reconciler.cli.place import NoSource
from reconciler.cli.render import run_render
from reconciler.model.gitops import Source, SourceSpec
from reconciler.model.meta import ObjectMeta
from reconciler.settings import Settings
from tests.unit.cli.test_reading_commands import (
    WEB,
    console,
    daemon_wrote,
    options,
    printed,
    source,
)
from tests.unit.sync.world import controller

__all__ = ("console", "options")

DEADLINE = 60.0


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "reconciler", *arguments]
        wide = {**os.environ, "COLUMNS": "200"}
        # Who runs behind another program may be told to ignore SIGINT, and would pass that on.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self.process = subprocess.Popen(
                command, stdin=theirs, stdout=theirs, stderr=theirs, env=wide
            )
        finally:
            signal.signal(signal.SIGINT, before)
        os.close(theirs)

    def until(self, words: str) -> None:
        """Read until the terminal has shown `words`."""
        said, end = "", time.monotonic() + DEADLINE
        while words not in said:
            assert time.monotonic() < end, said
            if select.select([self._ours], [], [], 0.1)[0]:
                said += os.read(self._ours, 65536).decode(errors="replace")

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)


def test_status_follows_what_happens_until_it_is_interrupted(options: Settings) -> None:
    asyncio.run(daemon_wrote(options, WEB, controller("first", 3), objects=(source(),)))
    terminal = Terminal(
        "status",
        "--watch",
        "--state-dir",
        str(options.state_dir),
        "--run-dir",
        str(options.run_dir),
    )
    try:
        terminal.until("ReplicationController/first")
        asyncio.run(daemon_wrote(options, controller("second", 2)))
        terminal.until("ReplicationController/second")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(DEADLINE) == 0
    finally:
        terminal.close()


def test_render_as_a_source_has_its_namespace_and_its_variables(
    options: Settings, console: Console, tmp_path
) -> None:
    spec = SourceSpec(url="/srv/team", namespaces=("team",), substitute={"REGION": "eu"})
    team = Source(metadata=ObjectMeta(name="team"), spec=spec)
    asyncio.run(daemon_wrote(options, objects=(team,)))
    tree = tmp_path / "files"
    tree.mkdir()
    (tree / "a.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {region: '${REGION}'}\n"
    )
    assert run_render(options, console, tree, "team") == 0
    assert "namespace: team" in printed(console)
    assert "region: eu" in printed(console)
    with pytest.raises(NoSource, match="no source 'other' is known"):
        run_render(options, console, tree, "other")
