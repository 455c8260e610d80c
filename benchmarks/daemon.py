"""A daemon under measurement: its own repository, state and log, and a clock on what it says.

Times are wall-clock seconds (`time.time`), because the daemon's log lines carry wall time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Self

DEADLINE = 180.0
_IDENTITY = ("-c", "user.name=Benchmark", "-c", "user.email=benchmark@localhost")


class Daemon:
    """`reconciler run` on a repository of its own (or on a directory, when `git` is false)."""

    def __init__(self, *, git: bool = True) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="reconciler-benchmark-"))
        self.source = self.root / "source"
        self.log = self.root / "log"
        self._told: list[dict[str, Any]] = []
        self._read = 0
        self._git = git
        self.source.mkdir()
        (self.source / "namespace.yaml").write_text(
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: bench}\n"
        )
        if git:
            self._run_git("init", "-q", "-b", "main")
            self.commit("Begin")

    def __enter__(self) -> Self:
        environment = {
            **os.environ,
            "RECONCILER_RUN_DIR": "/run/reconciler",
            # What is removed is measured: it neither waits for approval nor rests.
            "RECONCILER_PRUNE_THRESHOLD": "100",
            "RECONCILER_PRUNE_KEEP_SECONDS": "0",
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "reconciler", "run", "--source", str(self.source),
                 "--state-dir", str(self.root / "state")],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment,
            )  # fmt: skip
        self.wait_for("revision.healthy", since=0.0)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)
        subprocess.run(
            [sys.executable, "-m", "reconciler", "down", "--state-dir", str(self.root / "state")],
            check=True, capture_output=True,
        )  # fmt: skip
        shutil.rmtree(self.root)

    def write(self, files: dict[str, str | None]) -> None:
        """Put files into the source; `None` deletes one. Nothing is committed."""
        for name, text in files.items():
            path = self.source / name
            if text is None:
                path.unlink()
            else:
                path.write_text(text)

    def commit(self, message: str) -> float:
        """Commit everything; return the time at which the commit was there."""
        self._run_git("add", "-A")
        self._run_git("commit", "-q", "-m", message)
        return time.time()

    def apply(self, files: dict[str, str | None]) -> float:
        """Write, and commit where the source is a repository; return the time it was there."""
        if not self._git:
            self.write(files)
            return time.time()
        self.write(files)
        return self.commit("Change")

    def lines(self) -> list[dict[str, Any]]:
        """Return the log's lines so far, decoded, `timestamp` as wall-clock seconds.

        Only what is new is read: a look at the whole log every 50 ms would take a fifth of a core
        from what is being measured.
        """
        with self.log.open("rb") as log:
            log.seek(self._read)
            new, _, _ = log.read().rpartition(b"\n")
        if new:
            self._read += len(new) + 1
        for line in new.splitlines():
            if line.startswith(b"{"):
                entry = json.loads(line)
                stamp = datetime.fromisoformat(entry["timestamp"])
                self._told.append({**entry, "timestamp": stamp.timestamp()})
        return self._told

    def wait_for(
        self,
        event: str,
        *,
        since: float,
        count: int = 1,
        where: Callable[[dict[str, Any]], bool] = lambda _: True,
    ) -> float:
        """Return the time of the `count`-th log line of that name after `since`."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise SystemExit(f"the daemon ended; its log:\n{self.log.read_text()[-4000:]}")
            seen = [
                each["timestamp"]
                for each in self.lines()
                if each["event"] == event and each["timestamp"] >= since and where(each)
            ]
            if len(seen) >= count:
                return float(seen[count - 1])
            time.sleep(0.05)
        raise SystemExit(f"no {event} within {DEADLINE} s; log:\n{self.log.read_text()[-4000:]}")

    def cost(self) -> tuple[float, float]:
        """Return the daemon's CPU seconds so far and its resident memory in MB."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def _run_git(self, *arguments: str) -> None:
        subprocess.run(
            ["git", "-C", str(self.source), *_IDENTITY, *arguments], check=True, capture_output=True
        )


def replication_controller(name: str, replicas: int, image: str, command: list[str]) -> str:
    """Return the manifest of a ReplicationController of one-container pods that die at once."""
    return json.dumps({
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "metadata": {"name": name, "namespace": "bench"},
        "spec": {
            "replicas": replicas,
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{"name": "main", "image": image, "command": command}],
                },
            },
        },
    })  # fmt: skip
