"""The cluster's DNS server, on UDP and TCP port 53 of the cluster DNS address. Built by `app.py`.

It follows services and endpoints itself and answers their names; the host's resolvers are asked
for all others. No packet, however malformed, ends it.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import assert_never, cast

import structlog

from reconciler.client.informer import Informer
from reconciler.core.errors import ReconcilerError
from reconciler.model.endpointslice import EndpointSlice
from reconciler.model.service import Service
from reconciler.proxy.dns import message
from reconciler.proxy.dns.feed import Feed
from reconciler.proxy.dns.message import Query
from reconciler.proxy.dns.resolver import Follow, Forward, Resolver
from reconciler.proxy.dns.upstream import NoAnswer, Resolvers, Upstream
from reconciler.proxy.dns.zone import Settings, Zone

_IP_FREEBIND = 15
_LENGTH = struct.Struct("!H")
_BUFFER_BYTES = 1 << 20

Sockets = tuple[socket.socket, socket.socket]
Reply = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what clients may hold; `idle` and `retry` are seconds."""

    forwards: int = 512
    streams: int = 256
    idle: float = 10.0
    retry: float = 2.0


class DnsServer:
    """Answers for the cluster domain; `upstream` answers for the rest (default: the host's).

    `sockets` opens the UDP and the TCP socket; an address that is taken is tried again.
    """

    def __init__(
        self,
        services: Informer[Service],
        slices: Informer[EndpointSlice],
        settings: Settings,
        *,
        upstream: Upstream | None = None,
        sockets: Callable[[], Sockets] | None = None,
        limits: Limits | None = None,
    ) -> None:
        zone = Zone(settings)
        self._resolver = Resolver(zone)
        self._feed = Feed(services, slices, zone, self._resolver, settings.domain)
        self._upstream = upstream or Upstream(Resolvers(settings.server))
        self._open = sockets or (lambda: open_sockets(settings.server))
        self._limits = limits or Limits()
        self._forwards = 0
        self._streams = 0
        self._log = structlog.get_logger(component="dns")

    async def run(self) -> None:
        """Serve until cancelled."""
        udp, tcp = await self._opened()
        with closing(udp), closing(tcp):
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self._feed.run())
                group.create_task(self._serve(udp, tcp))

    async def _opened(self) -> Sockets:
        warned = False
        while True:
            try:
                return self._open()
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                if not warned:
                    self._log.error("dns.address_taken", reason=str(error))
                warned = True
                await asyncio.sleep(self._limits.retry)

    async def _serve(self, udp: socket.socket, tcp: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=udp)
        with ExitStack() as stack:
            stack.callback(transport.close)
            server = await asyncio.start_server(self._stream, sock=tcp)
            self._log.info("dns.started", address=":".join(map(str, udp.getsockname())))
            async with server:
                await server.serve_forever()

    def packet(self, data: bytes, reply: Reply) -> None:
        """Answer one UDP packet by `reply`, now or when the answer is there."""
        decision = self._resolver.decide(data)
        match decision:
            case None:
                return
            case bytes():
                reply(decision)
            case Forward() | Follow():
                if self._forwards < self._limits.forwards:
                    self._group.create_task(self._reply(decision, reply, stream=False))
                else:
                    reply(message.failure(decision.query, message.SERVER_FAILURE))
            case _:
                assert_never(decision)

    async def _reply(self, decision: Forward | Follow, reply: Reply, *, stream: bool) -> None:
        self._forwards += 1
        try:
            reply(await self._fetched(decision, stream=stream))
        except Exception:  # noqa: BLE001 - the loop boundary: one query's fault ends no other's
            self._log.exception("dns.query_failed")
        finally:
            self._forwards -= 1

    async def _fetched(self, decision: Forward | Follow, *, stream: bool) -> bytes:
        query = decision.query
        try:
            if isinstance(decision, Follow):
                from reconciler.proxy.dns import alias  # noqa: PLC0415 - the parser of `unusual.py`

                return await alias.follow(decision, self._resolver.resolve, self._asker(stream))
            return message.truncate(await self._upstream.ask(query, stream=stream), query)
        except NoAnswer as error:
            self._log.debug("dns.no_answer", reason=str(error))
            return message.failure(query, message.SERVER_FAILURE)

    def _asker(self, stream: bool) -> Callable[[Query], Awaitable[bytes]]:
        return lambda query: self._upstream.ask(query, stream=stream)

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the queries of one TCP connection, in order, until it is idle for too long."""
        self._streams += 1
        try:
            if self._streams <= self._limits.streams:
                await self._converse(reader, writer)
        except (OSError, EOFError):
            return  # the client went, or said nothing for too long
        finally:
            self._streams -= 1
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def reply(data: bytes) -> None:
            writer.write(_LENGTH.pack(len(data)) + data)

        while True:
            async with asyncio.timeout(self._limits.idle):
                (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
                data = await reader.readexactly(length)
            decision = self._resolver.decide(data, stream=True)
            match decision:
                case None:
                    return
                case bytes():
                    reply(decision)
                case Forward() | Follow():
                    await self._reply(decision, reply, stream=True)
                case _:
                    assert_never(decision)
            async with asyncio.timeout(self._limits.idle):
                await writer.drain()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._server.packet(data, lambda answer: self._transport.sendto(answer, addr))


class DnsForbidden(ReconcilerError):
    """The daemon lacks the right to listen on the port of DNS."""


def open_sockets(address: str, port: int = 53) -> Sockets:
    """Return a UDP and a TCP socket bound to the address, which need not be there yet.

    Raises `OSError` with EADDRINUSE when another program has it, `DnsForbidden` without the right.
    """
    with ExitStack() as stack:
        found = []
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            opened = stack.enter_context(socket.socket(socket.AF_INET, kind))
            opened.setblocking(False)
            opened.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
            if kind == socket.SOCK_STREAM:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            else:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            try:
                opened.bind((address, port))
            except PermissionError as error:
                raise DnsForbidden(
                    f"the cluster DNS may not listen on {address}:{port}: the capability "
                    "CAP_NET_BIND_SERVICE is needed"
                ) from error
            found.append(opened)
            port = opened.getsockname()[1]
        stack.pop_all()
    udp, tcp = found
    return udp, tcp
