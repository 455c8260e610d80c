"""(g) of `make bench`: 10,000 manifests on the fake runtime, against reading the text alone.

Everything is real but Docker, the network and the kernel's rules: Git, store on disk, registry,
controllers, scheduler, sync.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import mean, median
from typing import Any

import structlog
import uvloop
import yaml
from rich.console import Console
from rich.table import Table

from reconciler.controlplane import ControlPlane
from reconciler.core import gc
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.core.tasks import supervise
from reconciler.settings import Settings
from reconciler.store.sqlite import open_store

SIZES = (1_000, 10_000)
COMMITS = 15

MANIFEST = """\
apiVersion: v1
kind: ReplicationController
metadata:
  name: app-{n:05d}
  namespace: bench
  labels:
    app: app-{n:05d}
    tier: backend
spec:
  replicas: 0
  selector:
    app: app-{n:05d}
  template:
    metadata:
      labels:
        app: app-{n:05d}
        tier: backend
    spec:
      containers:
      - name: main
        image: registry.example/app:{tag}
        args:
        - --listen
        - "0.0.0.0:8080"
        ports:
        - name: http
          containerPort: 8080
        env:
        - name: GET_HOSTS_FROM
          value: dns
        - name: CACHE_SIZE
          value: "1024"
        resources:
          requests:
            cpu: 100m
            memory: 128Mi
        readinessProbe:
          httpGet:
            path: /healthz
            port: http
          periodSeconds: 5
        volumeMounts:
        - name: scratch
          mountPath: /scratch
      volumes:
      - name: scratch
        hostPath:
          path: /var/scratch
"""


class Heard:
    """The log as a queue of entries; the daemon's only voice here."""

    def __init__(self) -> None:
        self.entries: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        structlog.configure(
            processors=[self._take],
            wrapper_class=structlog.make_filtering_bound_logger(20),
            logger_factory=structlog.ReturnLoggerFactory(),
            cache_logger_on_first_use=True,  # as the daemon does
        )

    def _take(self, _logger: Any, _name: str, entry: Any) -> str:
        if entry["event"].startswith("revision."):
            self.entries.put_nowait({**entry, "at": time.monotonic()})
        return ""

    async def until(self, event: str, revision: str) -> float:
        """Return the monotonic time at which `event` of `revision` was said."""
        while True:
            entry = await asyncio.wait_for(self.entries.get(), 120)
            if entry["event"] == event and entry["revision"] == revision:
                return float(entry["at"])
            if entry["event"] == "revision.rejected":
                raise SystemExit(f"rejected: {entry}")


class Repository:
    """A local Git repository of `count` manifests, a file each."""

    def __init__(self, root: Path, count: int) -> None:
        self.root = root
        self._git("init", "-q", "-b", "main")
        (root / "namespace.yaml").write_text(
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: bench}\n"
        )
        for n in range(count):
            (root / f"app-{n:05d}.yaml").write_text(MANIFEST.format(n=n, tag="1"))
        self.commit()

    def change(self, tag: str) -> None:
        """Change one line of one file."""
        (self.root / "app-00500.yaml").write_text(MANIFEST.format(n=500, tag=tag))

    def commit(self) -> str:
        """Commit what is there, nothing new included; return the commit."""
        self._git("add", "-A")
        self._git("commit", "-q", "--allow-empty", "-m", "Change")
        return self.head()

    def head(self) -> str:
        """Return the newest commit."""
        return self._git("rev-parse", "HEAD")

    def _git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=Benchmark", "-c", "user.email=benchmark@localhost")
        done = subprocess.run(
            ["git", "-C", str(self.root), *identity, *arguments],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout.strip()


@asynccontextmanager
async def plane(source: Path, state: Path) -> Iterator[None]:
    """Run a control plane on `source` for as long as the block."""
    settings = Settings(source=str(source), state_dir=state)
    store = await open_store(settings.store_path)
    control = ControlPlane(settings, store, SystemClock(), Ids())
    await control.registry.start()
    stop = asyncio.Event()
    task = asyncio.create_task(supervise(control.parts(), stop))
    try:
        yield
    finally:
        stop.set()
        await task
        await store.close()


def bare_yaml(source: Path) -> dict[str, float]:
    """Return the seconds that CSafeLoader alone needs for all the text."""
    texts = [path.read_text() for path in sorted(source.glob("*.yaml"))]
    begin, spent = time.monotonic(), time.process_time()
    for text in texts:
        yaml.load(text, Loader=yaml.CSafeLoader)
    return {"bare": time.monotonic() - begin, "bare, processor": time.process_time() - spent}


def measure(count: int) -> dict[str, float]:
    """Return seconds by name, for a repository of `count` manifests."""
    with tempfile.TemporaryDirectory(prefix="reconciler-benchmark-") as scratch:
        source, state = Path(scratch, "source"), Path(scratch, "state")
        source.mkdir()
        state.mkdir()
        repository = Repository(source, count)
        before = bare_yaml(source)
        ours = uvloop.run(_starts_and_commits(repository, state))
        # The machine of one minute is not that of the next: the bare limit counts from both sides.
        after = bare_yaml(source)
        return {**{name: mean((before[name], after[name])) for name in before}, **ours}


async def _starts_and_commits(repository: Repository, state: Path) -> dict[str, float]:
    heard, head = Heard(), repository.head()
    begin, spent = time.monotonic(), time.process_time()
    async with plane(repository.root, state):
        planned = await heard.until("revision.planned", head) - begin
        cold = await heard.until("revision.applied", head) - begin
        cold_spent = time.process_time() - spent
        await heard.until("revision.healthy", head)
        noop = [await _commit(repository, heard, tag="") for _ in range(COMMITS)]
        line = [await _commit(repository, heard, tag=f"t{n}") for n in range(COMMITS)]
    head = repository.head()
    begin, spent = time.monotonic(), time.process_time()
    async with plane(repository.root, state):
        warm = await heard.until("revision.applied", head) - begin
        warm_spent = time.process_time() - spent
    return {
        "cold, planned": planned,
        "cold": cold,
        "cold, processor": cold_spent,
        "warm": warm,
        "warm, processor": warm_spent,
        "no-op, planned": median(plan for plan, _ in noop),
        "no-op": median(whole for _, whole in noop),
        "one line, planned": median(plan for plan, _ in line),
        "one line": median(whole for _, whole in line),
    }


async def _commit(repository: Repository, heard: Heard, tag: str) -> tuple[float, float]:
    """Return the seconds from fetched to planned, and from the commit until it is applied."""
    if tag:
        repository.change(tag)
    revision = await asyncio.to_thread(repository.commit)
    begin = time.monotonic()
    fetched = await heard.until("revision.fetched", revision)
    planned = await heard.until("revision.planned", revision) - fetched
    return planned, await heard.until("revision.applied", revision) - begin


def main() -> None:
    """Each size in a process of its own, so that none inherits another's memory."""
    if len(sys.argv) > 1:
        gc.tune()
        print(json.dumps(measure(int(sys.argv[1]))))
        return
    results = {}
    for size in SIZES:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.scale", str(size)],
            check=True,
            capture_output=True,
            text=True,
        )
        results[size] = json.loads(done.stdout.splitlines()[-1])
    _print(results)


def _print(results: dict[int, dict[str, float]]) -> None:
    table = Table("what", *(f"{size:,}" for size in results), "aim", title="manifests")
    aims = {
        "bare": "",
        "bare, processor": "",
        "cold, planned": "<= 1.3 x bare",
        "cold": "<= 1.3 x bare",
        "cold, processor": "",
        "warm": "< 1 s",
        "warm, processor": "",
        "no-op, planned": "< 0.150 s",
        "no-op": "",
        "one line, planned": "< 0.150 s",
        "one line": "",
    }
    for name, aim in aims.items():
        table.add_row(name, *(f"{each[name]:.3f} s" for each in results.values()), aim)
    # Under a load only the processor's time says something.
    for name, bare in (("cold, planned", ""), ("cold", ""), ("cold, processor", ", processor")):
        shares = (f"{each[name] / each['bare' + bare]:.2f}" for each in results.values())
        table.add_row(f"{name} / bare", *shares, "<= 1.3")
    small, large = (results[size] for size in SIZES)
    for name in ("no-op, planned", "one line, planned", "no-op", "one line"):
        aim = "<= 1.5" if name.endswith("planned") else ""
        table.add_row(f"{name}, growth", "", f"{large[name] / small[name]:.2f}", aim)
    Console().print(table)


if __name__ == "__main__":
    main()
