"""gRPC probes against real gRPC servers, and against what is none."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from reconciler.kubelet.grpcprobe import NotServing, check
from reconciler.kubelet.probing import ProbeFailed
from reconciler.kubelet.wire import Wire
from tests.unit.kubelet.test_probing import HERE, server, tried

LONG = "service-" + 200 * "x"


@contextmanager
def serving(*, with_health: bool = True) -> Iterator[int]:
    """Run a gRPC server whose services are in different health."""
    made = grpc.server(ThreadPoolExecutor(2))
    if with_health:
        states = health.HealthServicer()
        states.set("", health_pb2.HealthCheckResponse.SERVING)
        states.set(LONG, health_pb2.HealthCheckResponse.SERVING)
        states.set("sick", health_pb2.HealthCheckResponse.NOT_SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(states, made)
    port = made.add_insecure_port(f"{HERE}:0")
    made.start()
    try:
        yield port
    finally:
        made.stop(None).wait()


async def checked(port: int, service: str) -> None:
    with closing(Wire()) as wire:
        await check(wire, HERE, port, service, asyncio.get_running_loop().time() + 5)


@pytest.mark.parametrize("service", ["", LONG])
async def test_a_service_that_serves_is_healthy(service: str) -> None:
    with serving() as port:
        await tried({"grpc": {"port": port, "service": service}, "timeoutSeconds": 5})


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ("sick", r'service unhealthy \(responded with "NOT_SERVING"\)'),
        ("nobody", 'service "nobody" is unknown'),
    ],
)
async def test_what_does_not_serve_is_not(service: str, words: str) -> None:
    with serving() as port, pytest.raises(NotServing, match=words):
        await checked(port, service)


async def test_a_server_without_the_health_service_is_told() -> None:
    words = "does not implement the grpc health protocol"
    with serving(with_health=False) as port, pytest.raises(NotServing, match=words):
        await checked(port, "")


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 40])
async def test_a_server_that_speaks_something_else_is_no_success(answer: bytes) -> None:
    async with server(answer) as (port, _):
        with pytest.raises(NotServing):
            await checked(port, "")


async def test_nobody_and_a_silent_server_fail_the_probe() -> None:
    async with server(b"") as (port, _):
        await failing({"grpc": {"port": port}, "timeoutSeconds": 1}, "deadline exceeded")
    await failing({"grpc": {"port": port}, "timeoutSeconds": 1}, "failed to connect")


async def test_a_server_that_breaks_off_fails_the_call_and_not_the_connection() -> None:
    def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made = writer.get_extra_info("socket")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with await asyncio.start_server(reset, HERE, 0) as broken:
        port = broken.sockets[0].getsockname()[1]
        await failing({"grpc": {"port": port}}, "health rpc probe failed: (Conn|Broken)")


async def failing(probe: dict[str, Any], words: str) -> None:
    with pytest.raises(ProbeFailed, match=words):
        await tried(probe)
