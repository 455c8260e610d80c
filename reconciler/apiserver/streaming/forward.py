"""Port-forward: pairs of a data and an error stream, each a connection to a port of the pod.

Over SPDY/3.1, plain or in a WebSocket's messages (kubectl), or as channel pairs of a WebSocket
(the Python client). Called by `service.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from reconciler.apiserver.http.message import Duplex, Request, Upgrade
from reconciler.apiserver.registry.errors import StatusError, bad_request
from reconciler.apiserver.streaming import websocket, wsforward
from reconciler.apiserver.streaming.spdy import negotiation
from reconciler.apiserver.streaming.spdy.session import Session, Stream
from reconciler.apiserver.streaming.tasks import first_of
from reconciler.apiserver.streaming.websocket import WebSocket
from reconciler.model.streaming import Pipe, StreamFailure

PROTOCOL = "portforward.k8s.io"
TUNNEL = "SPDY/3.1+portforward.k8s.io"

Dial = Callable[[int], Awaitable[Pipe]]


class Ends(Protocol):
    """The caller's end of one connection."""

    async def read(self) -> bytes:
        """Return the next bytes, none at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Send. Raises `ConnectionError`."""
        ...

    async def end(self) -> None:
        """Say that no more is sent."""
        ...


def upgrade(request: Request, dial: Dial) -> Upgrade:
    """Return the answer that forwards ports. Raises `StatusError`."""
    if negotiation.asked(request):
        protocol = negotiation.chosen(request, (PROTOCOL,))
        return negotiation.upgrade(protocol, lambda connection: serve_spdy(connection, dial))
    if not websocket.asked(request):
        raise bad_request("Upgrade request required")
    if not websocket.complete(request):
        raise bad_request("the WebSocket handshake is not complete")
    return _over_websocket(request, dial)


def _over_websocket(request: Request, dial: Dial) -> Upgrade:
    protocol = websocket.chosen(request, (TUNNEL, *wsforward.PROTOCOLS))
    if protocol is None:
        raise StatusError(403, "Forbidden", "the requested protocols are not supported")
    if protocol == TUNNEL:

        async def tunnel(socket: WebSocket) -> None:
            await serve_spdy(_Messages(socket), dial)

        return websocket.upgrade(request, protocol, tunnel)
    ports = wsforward.ports_of(request)

    async def channels(socket: WebSocket) -> None:
        await wsforward.Forward(socket, protocol, ports).serve(
            lambda ends, fail, port: connect(ends, fail, lambda: dial(port))
        )

    return websocket.upgrade(request, protocol, channels)


class _Messages:
    """`Duplex` in the binary messages of a WebSocket."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def read(self) -> bytes:
        while (message := await self._socket.receive()) is not None:
            if message:
                return message
        return b""

    async def write(self, data: bytes) -> None:
        await self._socket.send(data)


async def serve_spdy(connection: Duplex, dial: Dial) -> None:
    """Forward every pair of streams that the client opens, until it ends."""
    session = Session(connection)
    await first_of(session.run(), _accept_pairs(session, dial))


async def _accept_pairs(session: Session, dial: Dial) -> None:
    halves: dict[str, dict[str, Stream]] = {}
    async with asyncio.TaskGroup() as group:
        while (stream := await session.next()) is not None:
            key, kind = stream.headers.get("requestid", ""), stream.headers.get("streamtype", "")
            if kind not in ("data", "error") or kind in halves.get(key, {}):
                await stream.reset()
                continue
            pair = halves.setdefault(key, {})
            pair[kind] = stream
            if len(pair) == 2:  # noqa: PLR2004 - a pair
                del halves[key]
                group.create_task(_forward(pair["data"], pair["error"], dial))


async def _forward(data: Stream, error: Stream, dial: Dial) -> None:
    text = data.headers.get("port", "")
    port = int(text) if text.isascii() and text.isdigit() else 0

    async def fail(message: str) -> None:
        await error.write(message.encode())

    try:
        if 0 < port <= wsforward.LARGEST_PORT:
            await connect(data, fail, lambda: dial(port))
        else:
            await fail(f'unable to parse "{text}" as a port')
        await data.end()
        await error.end()
    except ConnectionError:
        return  # the client is gone, or reset the pair
    finally:
        data.retire()
        error.retire()


async def connect(
    ends: Ends, fail: Callable[[str], Awaitable[None]], dial: Callable[[], Awaitable[Pipe]]
) -> None:
    """Join a caller with a connection until both directions have ended, or one has failed.

    A port that nobody listens on is told by `fail`.
    """
    try:
        pipe = await dial()
    except StreamFailure as error:
        await fail(str(error))
        return
    feeding = asyncio.ensure_future(_feed(ends, pipe))
    try:
        while data := await pipe.read():
            await ends.write(data)
        await ends.end()
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        await pipe.close()


async def _feed(ends: Ends, pipe: Pipe) -> None:
    while data := await ends.read():
        await pipe.write(data)
    await pipe.end()
