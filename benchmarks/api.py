"""(a) of `make bench`: the API over TLS, beside what Kubernetes' own apiserver did on this machine.

The server is a process of its own with its store on the disk, written durably; the clients are
this process. Processor time of the server stands beside each figure: it hardly moves with what
else runs.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.api_client import Client, Place, encoded, watch

CLIENTS, WATCHERS = 8, 200
SMALL = 10_000
MAPS = "/api/v1/namespaces/default/configmaps"
MERGE = "application/merge-patch+json"
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"namespace": "default", "labels": {"app": "bench"}},
    "spec": {
        "nodeName": "bench",
        "containers": [
            {
                "name": "c",
                "image": "example/web:1",
                "ports": [{"containerPort": 80}],
                "env": [{"name": "A", "value": "B"}],
                "resources": {"requests": {"cpu": "100m"}},
                "readinessProbe": {"httpGet": {"path": "/", "port": 80}},
            }
        ],
    },
}


class Server:
    """The server's process as the system sees it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def processor(self) -> float:
        """Return the seconds of processor time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self) -> float:
        """Return the resident memory in bytes."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return float(pages * resource.getpagesize())


class Results:
    """What was measured, row by row."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._table = Table("what", "ours", "Kubernetes 1.31", "aim", "processor time", title="API")

    def add(self, what: str, ours: str, theirs: str = "", aim: str = "", cost: str = "") -> None:
        """Add a row."""
        self._table.add_row(what, ours, theirs, aim, cost)

    async def cost(self, times: int, work: Awaitable[Any]) -> tuple[Any, str]:
        """Return what `work` returns, and the server's processor time for each of `times`."""
        before = self._server.processor()
        result = await work
        return result, f"{(self._server.processor() - before) / times * 1e6:.0f} us each"

    def show(self) -> None:
        """Print the table."""
        Console(width=130).print(self._table)


@contextmanager
def server(state: Path) -> Iterator[tuple[Server, dict[str, Any]]]:
    """Run the server for as long as the block; yield its kubeconfig."""
    command = [sys.executable, "-m", "benchmarks.api_server", str(state)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        if process.stdout is None:
            raise SystemExit("the server has no output")
        yield Server(process), json.loads(process.stdout.readline())


async def rate(clients: list[Client], count: int, ask: Callable[[Client, int], Any]) -> float:
    """Return how many requests a second all clients together got answered."""

    async def of_one(client: Client, first: int) -> None:
        for number in range(first, count, len(clients)):
            await ask(client, number)

    begin = time.perf_counter()
    await asyncio.gather(*(of_one(client, n) for n, client in enumerate(clients)))
    return count / (time.perf_counter() - begin)


async def p50(count: int, ask: Callable[[], Awaitable[Any]]) -> float:
    """Return the median milliseconds of a request."""
    spent = []
    for _ in range(count):
        begin = time.perf_counter()
        await ask()
        spent.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(spent)


def _map(number: int) -> bytes:
    meta = {"name": f"m-{number:05d}", "labels": {"app": "bench"}}
    return encoded({"metadata": meta, "data": {"key": "value"}})


async def creates(clients: list[Client], results: Results, serving: Server) -> None:
    """Durable creates: the answer comes when the object is on the disk."""
    before = serving.resident()
    work = rate(clients, SMALL, lambda client, n: client.ask("POST", MAPS, _map(n)))
    found, cost = await results.cost(SMALL, work)
    results.add("ConfigMap creates, 8 clients", f"{found:.0f}/s", "1,549/s", ">= 1,500/s", cost)
    held = (serving.resident() - before) / SMALL
    results.add("memory of a small ConfigMap", f"{held / 1e3:.1f} KB", "", "recorded")


async def reads(clients: list[Client], results: Results) -> None:
    """GET by one client and by all, then the whole list."""
    one, path = clients[0], f"{MAPS}/m-00042"
    found, cost = await results.cost(2000, p50(2000, lambda: one.ask("GET", path)))
    results.add("GET, one client, p50", f"{found:.2f} ms", "0.84 ms", "< 0.8 ms", cost)
    work = rate(clients, SMALL, lambda client, n: client.ask("GET", f"{MAPS}/m-{n:05d}"))
    found, cost = await results.cost(SMALL, work)
    results.add("GET, 8 clients", f"{found:.0f}/s", "2,390/s", ">= 4,000/s", cost)
    found, cost = await results.cost(11, p50(11, lambda: one.ask("GET", MAPS)))
    results.add("list of 10,000 ConfigMaps", f"{found:.0f} ms", "119 ms", "< 100 ms", cost)


async def watches(place: Place, clients: list[Client], results: Results) -> None:
    """One change to the last of all watchers, then many changes."""
    version = json.loads(await clients[0].ask("GET", f"{MAPS}?limit=1"))["metadata"]
    since = f"watch=1&labelSelector=app%3Dbench&resourceVersion={version['resourceVersion']}"
    watchers = await watch(place, f"{MAPS}?{since}", WATCHERS)
    loop = asyncio.get_running_loop()

    async def patch(client: Client, number: int) -> None:
        change = encoded({"data": {"key": str(loop.time())}})
        await client.ask("PATCH", f"{MAPS}/m-{number:05d}", change, kind=MERGE)

    async def reach() -> float:
        told = [watcher.after(1) for watcher in watchers]
        begin = loop.time()
        await patch(clients[0], 0)
        return (max(await asyncio.gather(*told)) - begin) * 1e3

    async def reached() -> list[float]:
        return [await reach() for _ in range(30)]

    spent, cost = await results.cost(30, reached())
    found = f"{statistics.median(spent):.1f} ms"
    results.add("PATCH to the last of 200 watchers", found, "8.7 ms", "< 8 ms", cost)
    told = [watcher.after(1000) for watcher in watchers]
    begin = loop.time()
    _, cost = await results.cost(1000 * WATCHERS, _burst(clients, patch, told))
    seconds = max(each.result() for each in told) - begin
    found = f"{1000 * WATCHERS / seconds:.0f}/s"
    results.add("1,000 updates to 200 watchers, events", found, "", ">= 30,000/s", cost)
    for watcher in watchers:
        watcher.close()


async def _burst(clients: list[Client], patch: Any, told: list[asyncio.Future[float]]) -> None:
    await rate(clients, 1000, patch)
    await asyncio.gather(*told)


async def many_pods(clients: list[Client], results: Results, serving: Server, config: Path) -> None:
    """10,000 pods: what one costs in memory, and how long kubectl takes to print them."""
    node = encoded({"metadata": {"name": "bench"}})
    await clients[0].ask("POST", "/api/v1/nodes", node)
    path, before = "/api/v1/namespaces/default/pods", serving.resident()

    def pod(number: int) -> bytes:
        return encoded({**POD, "metadata": {**POD["metadata"], "name": f"p-{number:05d}"}})

    work = rate(clients, SMALL, lambda client, n: client.ask("POST", path, pod(n)))
    found, cost = await results.cost(SMALL, work)
    results.add("pod creates, 8 clients", f"{found:.0f}/s", "", "", cost)
    held = (serving.resident() - before) / SMALL
    results.add("memory of a pod, informers included", f"{held / 1e3:.1f} KB", "", "recorded")
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        results.add("kubectl get pods -A, 10,000 pods", "no kubectl here", "", "< 2 s")
        return
    command = [kubectl, "--kubeconfig", str(config), "get", "pods", "-A"]

    async def get() -> None:
        printed = await asyncio.to_thread(subprocess.check_output, command)
        if printed.count(b"\n") <= SMALL:
            raise SystemExit("kubectl did not print every pod")

    await get()  # kubectl keeps what it discovers
    spent, cost = await results.cost(5, p50(5, get))
    results.add("kubectl get pods -A, 10,000 pods", f"{spent / 1e3:.2f} s", "", "< 2 s", cost)


async def measure(serving: Server, config: dict[str, Any], file: Path) -> None:
    """Measure all of it, one after the other."""
    place, results = Place.of(config), Results(serving)
    clients = [await Client.connect(place) for _ in range(CLIENTS)]
    await creates(clients, results, serving)
    await reads(clients, results)
    await watches(place, clients, results)
    await many_pods(clients, results, serving, file)
    for client in clients:
        client.close()
    results.show()


def main() -> None:
    """Measure on the disk, where a commit costs what it costs."""
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    )
    with (
        tempfile.TemporaryDirectory(prefix="reconciler-benchmark-", dir="/var/tmp") as scratch,
        server(Path(scratch)) as (serving, config),
    ):
        file = Path(scratch, "kubeconfig")
        file.write_text(yaml.safe_dump(config))
        uvloop.run(measure(serving, config, file))


if __name__ == "__main__":
    main()
