"""The health check port on real sockets, fed by the real registry."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from structlog.testing import capture_logs

from reconciler.apiserver.registry.registry import Registry
from reconciler.apiserver.registry.settings import RegistrySettings
from reconciler.client.informer import Informer
from reconciler.client.local import LocalClient
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.model.endpointslice import EndpointSlice
from reconciler.model.meta import ObjectMeta
from reconciler.model.namespace import Namespace
from reconciler.model.service import Service
from reconciler.proxy.healthcheck import HealthChecks
from reconciler.store.memory import MemoryStore
from tests.unit.proxy.builders import make_endpoint, make_service, make_slice

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@asynccontextmanager
async def running() -> AsyncIterator[LocalClient]:
    settings = RegistrySettings(node_ports=(1024, 65535))
    registry = Registry(MemoryStore(), SystemClock(), Ids(), settings)
    await registry.start()
    client = LocalClient(registry)
    await client.create(Namespace(metadata=ObjectMeta(name="shop")))
    services, endpoints = Informer(client, Service), Informer(client, EndpointSlice)
    checks = HealthChecks(services, endpoints, "node-a", address="127.0.0.1", retry=0.01)
    tasks = [asyncio.create_task(part.run()) for part in (services, endpoints, checks)]
    try:
        yield client
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def create(client: LocalClient, port: int) -> Service:
    return await client.create(
        make_service(
            type="LoadBalancer", external_traffic_policy="Local", health_check_node_port=port
        )
    )


async def ask(port: int, request: bytes = GET) -> tuple[int, dict[str, str], bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.split(": ") for line in lines), body


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not await attempt(condition):  # noqa: ASYNC110 - sockets have no event to wait for
            await asyncio.sleep(0.005)


async def attempt(condition: Callable[[], object]) -> bool:
    try:
        return bool(await condition())  # type: ignore[misc]
    except OSError:
        return False


async def test_the_port_tells_whether_this_node_has_a_backend() -> None:
    port = free_port()
    async with running() as client:
        await create(client, port)
        await until(lambda: ask(port))
        status, _, body = await ask(port)
        assert status == 503
        assert json.loads(body) == {
            "service": {"namespace": "shop", "name": "web"},
            "localEndpoints": 0,
            "serviceProxyHealthy": True,
        }
        await client.create(make_slice("10.244.1.6", node="node-b", version=""))
        leaving = make_endpoint("10.244.0.8", fares="st")
        await client.create(make_slice("10.244.0.6", "10.244.0.7", leaving, part=2, version=""))

        async def healthy() -> bool:
            return (await ask(port))[0] == 200

        await until(healthy)
        _, headers, body = await ask(port)
        assert headers["X-Load-Balancing-Endpoint-Weight"] == "2"
        assert int(headers["Content-Length"]) == len(body)
        assert (await ask(port, b"HEAD / HTTP/1.0\r\n\r\n"))[2] == b""


async def test_the_port_closes_with_the_service() -> None:
    port = free_port()
    async with running() as client:
        await create(client, port)
        await until(lambda: ask(port))
        await client.delete(Service, "web", "shop")

        async def closed() -> bool:
            with socket.create_server(("127.0.0.1", port)):
                return True

        await until(closed)


async def test_a_taken_port_is_tried_again() -> None:
    port = free_port()
    async with running() as client:
        with socket.create_server(("127.0.0.1", port)), capture_logs() as logs:
            await create(client, port)

            async def told() -> bool:
                return [line["port"] for line in logs] == [port]

            await until(told)
        await until(lambda: ask(port))


async def test_rubbish_harms_nothing() -> None:
    port = free_port()
    async with running() as client:
        await create(client, port)
        await until(lambda: ask(port))
        for rubbish in (b"", b"\0" * 100, b"G" * 100_000):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(rubbish)
            writer.write_eof()
            with suppress(ConnectionResetError):  # it read no further than it had to
                await reader.read()
            writer.close()
        assert (await ask(port))[0] == 503
