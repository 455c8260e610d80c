"""Answers `healthCheckNodePort`: whether this node has a backend. Built by `host.py`.

An outside balancer asks each node of a service with `externalTrafficPolicy: Local` and sends
packets to those that answer 200; the answer is word for word that of kube-proxy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import structlog

from reconciler.client.informer import Informer
from reconciler.client.protocol import EventType
from reconciler.model.endpointslice import BY_SERVICE, EndpointSlice, service_of
from reconciler.model.service import Service
from reconciler.proxy.endpoints import ready_here
from reconciler.proxy.rules import is_ours

_RETRY_SECONDS = 2.0
_REQUEST_SECONDS = 5.0
_REQUEST_BYTES = 1 << 13
_ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - a node port answers on every address


@dataclass(frozen=True, slots=True)
class Name:
    """The service that a port speaks for."""

    namespace: str
    name: str


class HealthChecks:
    """One node's health check servers; a port that is taken is tried again."""

    def __init__(
        self,
        services: Informer[Service],
        slices: Informer[EndpointSlice],
        node_name: str,
        *,
        address: str = _ANY_ADDRESS,
        retry: float = _RETRY_SECONDS,
    ) -> None:
        self._services = services
        self._slices = slices
        slices.add_index(BY_SERVICE, service_of)
        self._node_name = node_name
        self._address = address
        self._retry = retry
        self._wanted: dict[int, Name] = {}
        self._servers: dict[int, asyncio.Server] = {}
        self._refused: set[int] = set()
        self._changed = asyncio.Event()
        self._log = structlog.get_logger(component="proxy")

    async def run(self) -> None:
        """Serve until cancelled."""
        self._services.subscribe(self._on_service)
        await self._services.synced.wait()
        await self._slices.synced.wait()
        try:
            while True:
                await self._settle()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._retry if self._refused else None):
                        await self._changed.wait()
        finally:
            for port in tuple(self._servers):
                self._servers.pop(port).close()

    def _on_service(self, _type: EventType, old: Service | None, new: Service | None) -> None:
        if old is not None and self._wanted.get(_port(old)) == _name(old):
            del self._wanted[_port(old)]
            self._changed.set()
        if new is not None and _port(new):
            self._wanted[_port(new)] = _name(new)
            self._changed.set()

    async def _settle(self) -> None:
        self._changed.clear()
        for port in self._servers.keys() - self._wanted.keys():
            self._servers.pop(port).close()
        self._refused &= self._wanted.keys()
        for port in sorted(self._wanted.keys() - self._servers.keys()):
            await self._listen(port)

    async def _listen(self, port: int) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._converse(port, reader, writer)

        try:
            self._servers[port] = await asyncio.start_server(
                answer, self._address, port, limit=_REQUEST_BYTES
            )
        except OSError as error:
            if port not in self._refused:
                self._log.warning("proxy.health_port_taken", port=port, reason=str(error))
            self._refused.add(port)
        else:
            self._refused.discard(port)

    async def _converse(
        self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer one request, whatever its path, and close."""
        faults = (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)
        with suppress(*faults):
            async with asyncio.timeout(_REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                service = self._wanted.get(port)
                if service is not None:
                    answer = response(service, self.local_endpoints(service))
                    writer.write(answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
                                 if head.startswith(b"HEAD ") else answer)  # fmt: skip
                    await writer.drain()
        writer.close()

    def local_endpoints(self, service: Name) -> int:
        """Return how many ready addresses of the service are on this node."""
        slices = self._slices.by_index(BY_SERVICE, f"{service.namespace}/{service.name}")
        return ready_here(slices, self._node_name)


def response(service: Name, count: int) -> bytes:
    """Return kube-proxy's answer: 200 with local endpoints, else 503."""
    body = (
        '{\n\t"service": {\n'
        f'\t\t"namespace": "{service.namespace}",\n\t\t"name": "{service.name}"\n'
        f'\t}},\n\t"localEndpoints": {count},\n\t"serviceProxyHealthy": true\n}}'
    )
    headers: Mapping[str, object] = {
        "Content-Type": "application/json",
        "X-Content-Type-Options": "nosniff",
        "X-Load-Balancing-Endpoint-Weight": count,
        "Content-Length": len(body),
        "Connection": "close",
    }
    status = "200 OK" if count else "503 Service Unavailable"
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n{body}".encode()


def _port(service: Service) -> int:
    """Return the port to serve, 0 for a service without one."""
    spec = service.spec
    local = spec.type == "LoadBalancer" and spec.external_traffic_policy == "Local"
    return spec.health_check_node_port if local and is_ours(service) else 0


def _name(service: Service) -> Name:
    return Name(service.metadata.namespace, service.metadata.name)
