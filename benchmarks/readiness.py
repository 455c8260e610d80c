"""From a pod's readiness to the kernel, with 5,000 services: registry, controllers and proxy.

The real parts of the daemon on a store on disk, in one process as in the daemon; the kernel is
that of a network namespace. The clock starts when the kubelet's write begins and stops when the
kernel has the changed rules.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median, quantiles
from types import SimpleNamespace
from typing import Any

import dns.message
import dns.query
import structlog
import uvloop
from rich.table import Table as Report

from benchmarks.peers import address, endpoints
from reconciler import host
from reconciler.app import kubelet_informers
from reconciler.client.casualties import Casualties
from reconciler.controlplane import ControlPlane
from reconciler.core import gc
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.core.tasks import supervise
from reconciler.model.meta import KubeObject, ObjectMeta
from reconciler.model.namespace import Namespace
from reconciler.model.pod import Pod
from reconciler.model.service import Endpoints, Service
from reconciler.proxy.balanced import BalancedAddresses
from reconciler.proxy.conntrack import Conntrack
from reconciler.proxy.dns.server import DnsServer, open_sockets
from reconciler.proxy.dns.zone import Settings as DnsSettings
from reconciler.proxy.loop import Host
from reconciler.proxy.ruleset import Transaction
from reconciler.proxy.table import Table, open_table, remove_table
from reconciler.settings import Settings
from reconciler.store.sqlite import open_store
from tests.integration.netns import World, inside, world

CHANGES = 60
QUIET_SECONDS = 1.0

Taken = tuple[float, float]
"""Seconds of the clock, and of the processor."""


class Kernel:
    """The table of a namespace, opened anew for each proxy; tells when each change was done."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._table: Table
        self._loop = asyncio.get_running_loop()
        self.changed = asyncio.Event()
        self.done = self.used = 0.0
        self.elements = 0

    def open(self) -> Kernel:
        """Open the table; the proxy closes it."""
        self._table = inside(self._namespace, lambda: open_table(host.Network()))
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def replace(self, everything: Transaction) -> None:
        self._table.replace(everything)
        self.elements, self.done = len(everything.additions), time.perf_counter()
        self.used = time.process_time()

    def apply(self, transaction: Transaction) -> None:
        self._table.apply(transaction)
        self.elements += len(transaction.additions) - len(transaction.deletions)
        self.done = time.perf_counter()
        self._loop.call_soon_threadsafe(self.changed.set)


def report(size: int) -> Report:
    """Measure, and return the table."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    gc.tune()
    with world() as net, tempfile.TemporaryDirectory(prefix="readiness-") as folder:
        load, changes = uvloop.run(_measure(net, Path(folder), size))
    (first, first_cost), (walls, costs) = load, zip(*changes, strict=True)
    late = quantiles(walls, n=10)[-1]
    table = Report("what", "ours", "aim", title=f"rules in the kernel, {size:,} services x 3")
    table.add_row("first load, from the objects to the kernel", f"{first:.2f} s", "< 1 s")
    table.add_row("... processor time", f"{first_cost:.2f} s", "")
    table.add_row(
        "a pod's readiness to the changed rules, median", f"{median(walls) * 1000:.1f} ms",
        "10 ms",
    )  # fmt: skip
    table.add_row("... the slowest tenth", f"{late * 1000:.1f} ms or more", "")
    table.add_row("... processor time, all of it", f"{median(costs) * 1000:.1f} ms", "")
    return table


def names_report(size: int) -> Report:
    """Measure how soon the cluster DNS tells a change, and return the table."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory(prefix="names-") as folder:
        changes = uvloop.run(_measure_names(Path(folder), size))
    title = f"a pod's readiness to the right answer, {size:,} services"
    table = Report("median", "slowest", "aim", title=title)
    table.add_row(f"{median(changes) * 1000:.1f} ms", f"{max(changes) * 1000:.1f} ms", "100 ms")
    return table


async def _measure(net: World, folder: Path, size: int) -> tuple[Taken, list[Taken]]:
    kernel = Kernel(net.host)
    reached = Host(
        lambda _network: kernel.open(),
        lambda: inside(net.host, Conntrack),
        lambda: inside(net.host, BalancedAddresses),
    )
    on: Any = SimpleNamespace(kernel=reached, address="192.168.77.1", casualties=Casualties())
    async with _plane(folder) as (plane, settings):
        pods = await _fill(plane, size)
        informers = kubelet_informers(plane.informers)
        async with _part(host.proxy(settings, plane.client, informers, on)["proxy"]):
            await _settled(kernel, size)
        inside(net.host, remove_table)
        kernel.elements, began, used = 0, time.perf_counter(), time.process_time()
        async with _part(host.proxy(settings, plane.client, informers, on)["proxy"]):
            await _settled(kernel, size)
            load = kernel.done - began, kernel.used - used
            changes = [await _change(plane, kernel, pods[turn % 3]) for turn in range(CHANGES)]
    return load, changes


async def _measure_names(folder: Path, size: int) -> list[float]:
    sockets = open_sockets("127.0.0.1", 0)
    port = sockets[0].getsockname()[1]
    async with _plane(folder) as (plane, _):
        informers = kubelet_informers(plane.informers)
        names = DnsServer(
            informers.services, informers.slices, DnsSettings(), sockets=lambda: sockets
        )
        pods = await _fill(plane, size)
        async with _part(names.run):
            ready = {f"10.244.0.{number + 6}" for number in range(3)}
            await _until_told(port, ready)
            return [await _rename(plane, port, pods, ready, turn) for turn in range(CHANGES)]


async def _rename(
    plane: ControlPlane, port: int, pods: list[str], ready: set[str], turn: int
) -> float:
    began = time.perf_counter()
    await _turn(plane, pods[turn % 3])
    ready ^= {f"10.244.0.{turn % 3 + 6}"}
    await _until_told(port, ready)
    return time.perf_counter() - began


async def _until_told(port: int, ready: set[str]) -> None:
    query = dns.message.make_query("pods.bench.svc.cluster.local.", "A")
    async with asyncio.timeout(60):
        while True:
            answer = await asyncio.to_thread(dns.query.udp, query, "127.0.0.1", port=port)
            if {item.address for found in answer.answer for item in found} == ready:
                return


@asynccontextmanager
async def _plane(folder: Path) -> AsyncIterator[tuple[ControlPlane, Settings]]:
    settings = Settings(state_dir=folder, run_dir=folder / "run", node_name="bench")
    store = await open_store(folder / "store.db")
    plane = ControlPlane(settings, store, SystemClock(), Ids())
    await plane.registry.start()
    kubelet_informers(plane.informers)
    stop = asyncio.Event()
    running = asyncio.create_task(supervise(plane.parts(), stop))
    try:
        yield plane, settings
    finally:
        stop.set()
        await running
        await store.close()


@asynccontextmanager
async def _part(run: Any) -> AsyncIterator[None]:
    running = asyncio.create_task(run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _fill(plane: ControlPlane, size: int) -> list[str]:
    """Make the services; the last one has three pods, whose names are returned."""
    await plane.client.create(Namespace(metadata=ObjectMeta(name="bench")))
    for number in range(size - 1):
        await plane.client.create(_decoded(Service, f"s{number}", spec=_service(number)))
        await plane.client.create(
            _decoded(Endpoints, f"s{number}", subsets=[{
                "addresses": [{"ip": each, "nodeName": "bench"} for each in endpoints(number)],
                "ports": [{"port": 8080}],
            }])
        )  # fmt: skip
    selected = {**_service(size), "selector": {"app": "web"}}
    await plane.client.create(_decoded(Service, "web", spec=selected))
    headless = {**selected, "clusterIP": "None"}
    await plane.client.create(_decoded(Service, "pods", spec=headless))
    return [await _pod(plane, number) for number in range(3)]


async def _pod(plane: ControlPlane, number: int) -> str:
    name = f"web-{number}"
    container = {"name": "main", "image": "web:1"}
    spec = {"nodeName": "bench", "containers": [container]}
    made = await plane.client.create(_decoded(Pod, name, labels={"app": "web"}, spec=spec))
    ip = f"10.244.0.{number + 6}"
    running = made.status.replace(phase="Running", pod_ip=ip)
    await plane.client.update(made.replace(status=running), subresource="status")
    await _turn(plane, name)
    return name


async def _turn(plane: ControlPlane, name: str) -> None:
    """Make a ready pod unready, or the other way round, as the kubelet does."""
    pod = await plane.client.get(Pod, name, "bench")
    ready = any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions)
    condition = json.dumps({"conditions": [{"type": "Ready", "status": str(not ready)}]})
    turned = type(pod.status).model_validate_json(condition).conditions
    status = pod.status.replace(conditions=turned)
    await plane.client.update(pod.replace(status=status), subresource="status")


async def _change(plane: ControlPlane, kernel: Kernel, pod: str) -> Taken:
    """Return the seconds, and the processor's, until the kernel has the change."""
    kernel.changed.clear()
    began, used = time.perf_counter(), time.process_time()
    await _turn(plane, pod)
    async with asyncio.timeout(10):
        await kernel.changed.wait()
    took = kernel.done - began, time.process_time() - used
    await asyncio.sleep(0.05)
    return took


async def _settled(kernel: Kernel, size: int) -> None:
    """Wait until the kernel has every service and hears of no more."""
    async with asyncio.timeout(300):
        while kernel.elements < 4 * size or time.perf_counter() < kernel.done + QUIET_SECONDS:  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(0.1)


def _service(number: int) -> dict[str, Any]:
    return {"clusterIP": address(number + 250), "ports": [{"port": 80, "targetPort": 8080}]}


def _decoded(kind: type[KubeObject], name: str, labels: Any = None, **fields: Any) -> Any:
    metadata = {"name": name, "namespace": "bench", "labels": labels or {}}
    return kind.model_validate_json(json.dumps({"metadata": metadata, **fields}))
