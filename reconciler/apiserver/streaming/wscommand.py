"""exec and attach over a WebSocket: the protocols `*.channel.k8s.io`.

Channels: 0 standard input, 1 output, 2 errors, 3 how it ended, 4 the terminal's size.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from reconciler.apiserver.streaming import outcome
from reconciler.apiserver.streaming.inbox import Inbox
from reconciler.apiserver.streaming.websocket import WebSocket
from reconciler.apiserver.streaming.wschannels import CLOSE, Channels
from reconciler.model.streaming import Command, Output, Size

V5 = "v5.channel.k8s.io"
PROTOCOLS = (
    V5,
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
)
_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE = range(5)
_OUTPUTS: dict[Output, int] = {"stdout": _STDOUT, "stderr": _STDERR}


class WebSocketConsole:
    """`Console` on the channels of a protocol of `PROTOCOLS`; "" speaks the oldest."""

    def __init__(self, socket: WebSocket, protocol: str, command: Command) -> None:
        self._channels = Channels(socket, text="base64" in protocol)
        self._plain_errors = not protocol.startswith("v")
        self._protocol = protocol
        self._command = command
        self._input = Inbox()
        self._sizes: asyncio.Queue[Size | None] = asyncio.Queue()

    async def start(self) -> None:
        """Open the channels that carry output, as the server does at once."""
        for wanted, channel in (
            (self._command.stdout, _STDOUT),
            (self._command.stderr and not self._command.tty, _STDERR),
            (True, _ERROR),
        ):
            if wanted:
                await self._channels.send(channel, b"")

    async def listen(self) -> None:
        """Take what the caller sends until it is gone."""
        while (message := await self._channels.receive()) is not None:
            channel, data = message
            if channel == _STDIN and data:
                await self._input.put(data)
            elif channel == _RESIZE:
                size = outcome.read_size(data)
                if size is not None:
                    self._sizes.put_nowait(size)
            elif channel == CLOSE and data == bytes((_STDIN,)) and self._protocol == V5:
                await self._input.end()
        await self._input.end()
        self._sizes.put_nowait(None)

    async def read(self) -> bytes:
        """See `Console.read`."""
        return await self._input.read()

    async def resized(self) -> Size | None:
        """See `Console.resized`."""
        return await self._sizes.get()

    async def write(self, output: Output, data: bytes) -> None:
        """See `Console.write`."""
        await self._channels.send(_OUTPUTS[output], data)

    async def finish(self, status: dict[str, Any]) -> None:
        """See `Console.finish`."""
        if self._plain_errors:
            text = outcome.as_text(status)
            if text:
                await self._channels.send(_ERROR, text.encode())
            return
        await self._channels.send(_ERROR, json.dumps(status).encode())
