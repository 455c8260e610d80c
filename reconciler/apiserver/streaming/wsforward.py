"""Port-forward as channel pairs of a WebSocket: channel 2n carries port n's data, 2n+1 its errors.

The first message on each channel is the port itself, two bytes, the lower first. Used by
`forward.py`; the official Python client speaks it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from reconciler.apiserver.http.message import Request
from reconciler.apiserver.registry.errors import bad_request
from reconciler.apiserver.streaming.inbox import Inbox
from reconciler.apiserver.streaming.tasks import first_of
from reconciler.apiserver.streaming.websocket import WebSocket
from reconciler.apiserver.streaming.wschannels import Channels

PROTOCOLS = ("v4.channel.k8s.io", "v4.base64.channel.k8s.io")
LARGEST_PORT = 65535
_MOST_PORTS = 100

Connect = Callable[["Ends", Callable[[str], Awaitable[None]], int], Awaitable[None]]


def ports_of(request: Request) -> list[int]:
    """Return the ports asked for. Raises `StatusError`."""
    ports: list[int] = []
    for text in (each for value in request.query.get("ports", ()) for each in value.split(",")):
        if not text.isascii() or not text.isdigit() or not 0 < int(text) <= LARGEST_PORT:
            raise bad_request(f'unable to parse "{text}" as a port')
        ports.append(int(text))
    if not ports:
        raise bad_request('query parameter "ports" is required')
    if len(ports) > _MOST_PORTS:
        raise bad_request(f"at most {_MOST_PORTS} ports may be forwarded at once")
    return ports


class Ends:
    """The caller's end of one port."""

    def __init__(self, channels: Channels, number: int) -> None:
        self._channels = channels
        self._number = number
        self.inbox = Inbox()

    async def read(self) -> bytes:
        """Return the next bytes, none at the end."""
        return await self.inbox.read()

    async def write(self, data: bytes) -> None:
        """Send. Raises `ConnectionError`."""
        await self._channels.send(self._number, data)

    async def end(self) -> None:
        """The protocol cannot say that a channel ends."""


class Forward:
    """All ports of one WebSocket."""

    def __init__(self, socket: WebSocket, protocol: str, ports: list[int]) -> None:
        self._channels = Channels(socket, text="base64" in protocol)
        self._ports = ports
        self._ends = [Ends(self._channels, 2 * at) for at in range(len(ports))]

    async def serve(self, connect: Connect) -> None:
        """Forward until every connection has ended, or the caller is gone."""
        for channel in range(2 * len(self._ports)):
            port = self._ports[channel // 2]
            await self._channels.send(channel, port.to_bytes(2, "little"))
        await first_of(self._listen(), self._connect_all(connect))

    async def _listen(self) -> None:
        while (message := await self._channels.receive()) is not None:
            channel, data = message
            if channel % 2 == 0 and channel // 2 < len(self._ends):
                await self._ends[channel // 2].inbox.put(data)

    async def _connect_all(self, connect: Connect) -> None:
        async with asyncio.TaskGroup() as group:
            for at, port in enumerate(self._ports):
                group.create_task(self._one(connect, at, port))

    async def _one(self, connect: Connect, at: int, port: int) -> None:
        async def fail(message: str) -> None:
            await self._channels.send(2 * at + 1, message.encode())

        try:
            await connect(self._ends[at], fail, port)
        except ConnectionError:
            return  # the caller is gone, or the pod's end was cut
