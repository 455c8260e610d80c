"""Answers a second of the cluster DNS, one core for the server and one for its clients.

Runs on the loopback, on a port of its own; needs no rights.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import time
from collections.abc import AsyncIterator
from multiprocessing.connection import Connection
from typing import Any

import dns.message
import uvloop
from rich.console import Console
from rich.table import Table as Report

from benchmarks import readiness
from reconciler.client.informer import Informer
from reconciler.client.protocol import ObjectList, WatchEvent
from reconciler.model.endpointslice import EndpointSlice
from reconciler.model.meta import KubeObject, ObjectMeta
from reconciler.model.service import Service, ServicePort, ServiceSpec
from reconciler.proxy.dns.records import RRsets, service_records
from reconciler.proxy.dns.resolver import Resolver
from reconciler.proxy.dns.server import DnsServer, open_sockets
from reconciler.proxy.dns.zone import Settings, Zone

SERVICES = 5000
SECONDS = 3.0
WINDOW = 64


def main() -> None:
    """Measure the resolver alone, then the server with a pipelining client."""
    report = Report("what", "answers/s", "aim", title=f"cluster DNS, {SERVICES} services")
    report.add_row("resolver alone, A", f"{_resolver_rate('A'):,.0f}", "")
    report.add_row("resolver alone, AAAA (no data)", f"{_resolver_rate('AAAA'):,.0f}", "")
    receiver, sender = multiprocessing.Pipe(duplex=False)
    server = multiprocessing.Process(target=_serve, args=(sender,), daemon=True)
    server.start()
    report.add_row("server over UDP", f"{_server_rate(receiver.recv()):,.0f}", ">= 5,000")
    server.terminate()
    server.join()
    Console().print(report)
    Console().print(readiness.names_report(SERVICES))


def _resolver() -> Resolver:
    resolver = Resolver(_filled(Zone(Settings())))
    resolver.ready = True
    return resolver


def _filled(zone: Zone) -> Zone:
    for number in range(SERVICES):
        zone.put(("bench", f"s{number}"), _records(number))
    return zone


def _records(number: int) -> dict[bytes, RRsets]:
    return service_records(_service(number), None, "cluster.local")


def _service(number: int) -> Service:
    high, low = divmod(number, 250)
    address = f"10.96.{high}.{low + 1}"
    ports = (ServicePort(name="http", port=80, protocol="TCP"),)
    return Service(
        metadata=ObjectMeta(name=f"s{number}", namespace="bench"),
        spec=ServiceSpec(cluster_ip=address, cluster_ips=(address,), type="ClusterIP", ports=ports),
    )


def _queries(kind: str, count: int) -> list[bytes]:
    names = (f"s{number}.bench.svc.cluster.local." for number in range(count))
    return [dns.message.make_query(name, kind).to_wire() for name in names]


def _resolver_rate(kind: str) -> float:
    resolver, queries = _resolver(), _queries(kind, 1000)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < 1.0:
        for query in queries:
            resolver.decide(query)
        count += len(queries)
    return count / (time.perf_counter() - started)


def _serve(ready: Connection) -> None:
    uvloop.install()
    asyncio.run(_server(ready))


async def _server(ready: Connection) -> None:
    sockets = open_sockets("127.0.0.1", 0)
    client: Any = _Fixed()
    services, endpoints = Informer(client, Service), Informer(client, EndpointSlice)
    server = DnsServer(services, endpoints, Settings(), sockets=lambda: sockets)
    async with asyncio.TaskGroup() as group:
        for part in (services, endpoints, server):
            group.create_task(part.run())
        await services.synced.wait()
        await asyncio.sleep(1.0)
        ready.send(sockets[0].getsockname()[1])


class _Fixed:
    """A client whose services are there and never change."""

    async def list(self, kind: type[KubeObject], _namespace: str) -> ObjectList[Any]:
        items = tuple(map(_service, range(SERVICES))) if kind is Service else ()
        return ObjectList(items, "1")

    async def watch(self, *_: object, **__: object) -> AsyncIterator[WatchEvent[Any]]:
        await asyncio.Event().wait()
        yield  # type: ignore[misc]


def _server_rate(port: int) -> float:
    queries = _queries("A", 1000)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", port))
        client.settimeout(1.0)
        for query in queries[:WINDOW]:
            client.send(query)
        started, count = time.perf_counter(), 0
        while time.perf_counter() - started < SECONDS:
            client.recv(512)
            client.send(queries[count % len(queries)])
            count += 1
        return count / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
