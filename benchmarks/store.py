"""What the store and the registry cost: `python benchmarks/store.py [objects]`.

Prints milliseconds and microseconds of this machine; admission's own cost stands beside them,
so that ratios can be carried to another machine.
"""

import asyncio
import gc
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from reconciler.admission.admit import admit
from reconciler.admission.defaults import apply_defaults
from reconciler.apiserver.registry.registry import Registry
from reconciler.client.local import LocalClient
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.model.pod import Pod
from reconciler.model.replication import ReplicationController
from reconciler.store.sqlite import SqliteStore, open_store

CONTAINER = {
    "name": "c",
    "image": "example/web:1",
    "ports": [{"containerPort": 80}],
    "env": [{"name": "A", "value": "B"}],
    "resources": {"requests": {"cpu": "100m"}},
    "readinessProbe": {"httpGet": {"path": "/", "port": 80}},
}
META = {"generateName": "p-", "namespace": "default", "labels": {"app": "web"}}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": META, "spec": {"containers": [CONTAINER]}}
RC = {
    "apiVersion": "v1",
    "kind": "ReplicationController",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "replicas": 3,
        "selector": {"app": "web"},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [CONTAINER]}},
    },
}


def resident() -> float:
    """Return the resident memory in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


async def mean(times: int, work: Callable[[], Awaitable[Any]]) -> float:
    """Return the microseconds of one `work`, done one after the other."""
    start = time.perf_counter()
    for _ in range(times):
        await work()
    return (time.perf_counter() - start) / times * 1e6


async def writes(client: LocalClient, count: int) -> None:
    pod = admit(POD)

    async def admission() -> None:
        apply_defaults(admit(POD))

    async def client_of(share: int) -> None:
        for _ in range(share):
            await client.create(pod)

    print(f"decode, default, validate one pod       {await mean(1000, admission):8.0f} us")
    print(
        f"create, one client                      {await mean(300, _creates(client, pod)):8.0f} us"
    )
    gc.collect()
    before, start, cpu = resident(), time.perf_counter(), time.process_time()
    await asyncio.gather(*(client_of(count // 100) for _ in range(100)))
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    gc.collect()
    print(f"create, 100 clients: wall per object    {wall / count * 1e6:8.0f} us")
    print(f"create, 100 clients: CPU per object     {cpu / count * 1e6:8.0f} us")
    print(f"memory per object                       {(resident() - before) / count * 1e6:8.0f} B")


def _creates(client: LocalClient, pod: Any) -> Callable[[], Awaitable[Any]]:
    return lambda: client.create(pod)


async def applies(client: LocalClient) -> None:
    async def apply() -> None:
        await client.apply(RC, manager="bench", force=True)

    async def touch() -> None:
        live = await client.get(ReplicationController, "web", "default")
        status = live.status.replace(replicas=live.status.replicas + 1)
        await client.update(live.replace(status=status), subresource="status")

    await apply()
    print(f"apply that changes nothing              {await mean(500, apply):8.0f} us")
    print(f"status update                           {await mean(300, touch):8.0f} us")


async def watching(client: LocalClient, watchers: int = 200) -> None:
    version = (await client.list(ReplicationController)).resource_version

    async def first() -> float:
        async for _ in client.watch(ReplicationController, resource_version=version):
            return time.perf_counter()
        return 0.0

    tasks = [asyncio.create_task(first()) for _ in range(watchers)]
    await asyncio.sleep(0.05)
    live = await client.get(ReplicationController, "web", "default")
    start = time.perf_counter()
    await client.update(live.replace(spec=live.spec.replace(replicas=live.spec.replicas + 1)))
    print(f"update to the last of {watchers} watchers      "
          f"{(max(await asyncio.gather(*tasks)) - start) * 1e6:8.0f} us")  # fmt: skip


async def lists(registry: Registry, store: SqliteStore, path: Path) -> None:
    for attempt in ("cold", "again"):
        start = time.perf_counter()
        held = registry.list(Pod)
        spent = (time.perf_counter() - start) * 1e3
        print(f"list of {len(held)} pods, {attempt:5}               {spent:8.1f} ms")
    await store.close()
    start = time.perf_counter()
    store = await open_store(path)
    print(f"open with them                          {(time.perf_counter() - start) * 1e3:8.1f} ms")
    await store.close()


async def main(count: int) -> None:
    gc.set_threshold(50_000, 50, 50)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        path = Path(folder) / "state.db"
        store = await open_store(path)
        registry = Registry(store, SystemClock(), Ids())
        await registry.start()
        client = LocalClient(registry)
        await writes(client, count)
        await applies(client)
        await watching(client)
        await lists(registry, store, path)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
