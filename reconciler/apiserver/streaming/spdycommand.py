"""exec and attach over SPDY/3.1: a stream for each of input, output, errors, size and outcome."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from reconciler.apiserver.streaming import outcome
from reconciler.apiserver.streaming.spdy.session import Session, Stream
from reconciler.model.streaming import Command, Output, Size

PROTOCOLS = (
    "v4.channel.k8s.io",
    "v3.channel.k8s.io",
    "v2.channel.k8s.io",
    "channel.k8s.io",
)
_RESIZABLE = ("v4.channel.k8s.io", "v3.channel.k8s.io")
_OPEN_SECONDS = 30.0


class SpdyConsole:
    """`Console` on the streams of a session."""

    def __init__(self, session: Session, protocol: str, command: Command) -> None:
        self._session = session
        self._protocol = protocol
        self._wanted = _wanted(protocol, command)
        self._streams: dict[str, Stream] = {}

    async def start(self) -> None:
        """Wait for the client's streams. Raises `ConnectionError` when they do not come."""
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                while self._wanted - self._streams.keys():
                    await self._accept()
        except TimeoutError:
            raise ConnectionResetError("the client did not open its streams") from None

    async def _accept(self) -> None:
        stream = await self._session.next()
        if stream is None:
            raise ConnectionResetError("the client went before it opened its streams")
        name = stream.headers.get("streamtype", "")
        if name in self._wanted and name not in self._streams:
            self._streams[name] = stream
        else:
            await stream.reset()

    async def listen(self) -> None:
        """Read the session until the caller is gone."""
        await self._session.run()

    async def read(self) -> bytes:
        """See `Console.read`."""
        return await self._streams["stdin"].read()

    async def resized(self) -> Size | None:
        """See `Console.resized`: JSON values, one after the other."""
        stream = self._streams.get("resize")
        while stream is not None and (data := await stream.read()):
            for line in reversed(data.splitlines()):
                size = outcome.read_size(line)
                if size is not None:
                    return size
        return None

    async def write(self, output: Output, data: bytes) -> None:
        """See `Console.write`."""
        stream = self._streams.get(output)
        if stream is not None:
            await stream.write(data)

    async def finish(self, status: dict[str, Any]) -> None:
        """See `Console.finish`."""
        for name in ("stdout", "stderr"):
            if name in self._streams:
                await self._streams[name].end()
        if self._protocol == PROTOCOLS[0]:
            await self._streams["error"].write(json.dumps(status).encode())
        elif text := outcome.as_text(status):
            await self._streams["error"].write(text.encode())
        await self._streams["error"].end()
        await self._session.close()


def _wanted(protocol: str, command: Command) -> set[str]:
    names = {"error"}
    names |= {"stdin"} if command.stdin else set()
    names |= {"stdout"} if command.stdout else set()
    names |= {"stderr"} if command.stderr and not command.tty else set()
    names |= {"resize"} if command.tty and protocol in _RESIZABLE else set()
    return names
