"""How long sync takes from a revision to its writes, by the number of objects; no Docker.

    .venv/bin/python benchmarks/sync.py [COUNT ...]

In one process, on the store in memory, without controllers: `cold` is the first revision, `no-op`
the same tree again under a new name, `one line` a changed value, `restart` a new sync on what is
there. Milliseconds until every write is done.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import structlog

from reconciler.apiserver.registry.registry import Registry
from reconciler.client.informer import Informer
from reconciler.client.local import LocalClient
from reconciler.core import gc
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.desired.load import Loader
from reconciler.desired.objects import Desired
from reconciler.model.gitops import Revision, SourceSpec
from reconciler.source.snapshot import FileRef, Snapshot, SourceProblem
from reconciler.store.memory import MemoryStore
from reconciler.sync.live import Live, followed_kinds
from reconciler.sync.loop import Sync
from reconciler.sync.steering import SyncOptions

_CONTROLLER = """apiVersion: v1
kind: ReplicationController
metadata:
  name: app-{number}
  namespace: default
  labels: {{app: app-{number}}}
spec:
  replicas: {replicas}
  selector: {{app: app-{number}}}
  template:
    metadata:
      labels: {{app: app-{number}, tier: web}}
    spec:
      containers:
      - name: web
        image: registry.example.com/team/app:1.2.3
        args: ["--listen", "0.0.0.0:8080", "--verbose"]
        ports:
        - name: http
          containerPort: 8080
        env:
        - name: LOG_LEVEL
          value: info
        - name: REGION
          value: "3"
        resources:
          requests: {{cpu: 100m, memory: 64Mi}}
          limits: {{cpu: 200m, memory: 128Mi}}
        readinessProbe:
          httpGet: {{path: /ready, port: http}}
          periodSeconds: 5
"""


class _Tree:
    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files

    def read(self, files: Sequence[FileRef]) -> Iterator[bytes]:
        return (self.files[ref.path] for ref in files)


class _Feed:
    def __init__(self) -> None:
        self.shown: asyncio.Queue[Snapshot] = asyncio.Queue()

    async def snapshots(self) -> AsyncIterator[Snapshot | SourceProblem]:
        while True:
            yield await self.shown.get()

    def trigger(self) -> None:
        return

    def keep(self, revision: str) -> None:
        """A benchmark has no past."""

    async def close(self) -> None:
        return


def _snapshot(count: int) -> Snapshot:
    files = {
        f"app-{number}.yaml": _CONTROLLER.format(number=number, replicas=1).encode()
        for number in range(count)
    }
    refs = {path: _ref(path, data) for path, data in files.items()}
    return Snapshot("first", "A", datetime.now(UTC), "", refs, _Tree(files))


def _ref(path: str, data: bytes) -> FileRef:
    return FileRef(path, sha256(data).hexdigest(), len(data))


def _one_line(shown: Snapshot) -> Snapshot:
    path = next(iter(shown.files))
    data = _CONTROLLER.format(number=0, replicas=2).encode()
    files = {**shown.files, path: _ref(path, data)}
    return replace(shown, revision="line", files=files, contents=_Tree({path: data}))


class _Bench:
    """One registry, and a sync on it at a time."""

    def __init__(self) -> None:
        self.registry = Registry(MemoryStore(), SystemClock(), Ids())
        self.client = LocalClient(self.registry)

    async def start(self) -> None:
        self.feed = _Feed()
        informers = [Informer(self.client, kind) for kind in (*followed_kinds(), Revision)]
        loader = Loader()

        async def load(shown: Snapshot) -> Desired:
            return await asyncio.to_thread(loader.load, shown)

        sync = Sync(
            self.feed, load, self.client, SystemClock(), Live(informers),
            options=SyncOptions(SourceSpec(path="/bench")),
        )  # fmt: skip
        self.tasks = [asyncio.create_task(each.run()) for each in [*informers, sync]]
        self.sync = sync
        await asyncio.sleep(0.1)

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def applied(self, shown: Snapshot) -> float:
        """Show a revision; return the milliseconds until the Source says that it is applied."""
        start = time.perf_counter()
        self.feed.shown.put_nowait(shown)
        await _until(lambda: self._applied() == shown.revision)
        return (time.perf_counter() - start) * 1000

    def _applied(self) -> str:
        return self.sync.source.status.applied_revision


async def _until(condition: Callable[[], Any]) -> None:
    while not condition():  # noqa: ASYNC110 - any condition, measured finely
        await asyncio.sleep(0.0005)


async def _measure(count: int) -> dict[str, float]:
    bench, shown = _Bench(), _snapshot(count)
    await bench.registry.start()
    await bench.start()
    found = {"cold": await bench.applied(shown)}
    await asyncio.sleep(1)
    found["no-op"] = await bench.applied(replace(shown, revision="same"))
    await asyncio.sleep(1)
    found["one line"] = await bench.applied(_one_line(shown))
    await asyncio.sleep(1)
    await bench.stop()
    await bench.start()
    found["restart"] = await bench.applied(replace(shown, revision="again"))
    await bench.stop()
    return found


def main() -> None:
    """Print a line per count."""
    gc.tune()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    for count in [int(text) for text in sys.argv[1:]] or [1000, 10_000]:
        found = asyncio.run(_measure(count))
        print(count, {name: round(value, 1) for name, value in found.items()})


if __name__ == "__main__":
    main()
