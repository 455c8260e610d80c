"""Connections in memory, for tests of what runs over an upgraded one."""

from __future__ import annotations

import asyncio


class Link:
    """`Duplex` for the server; the test feeds it and reads what was sent."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.sent = bytearray()
        self.changed = asyncio.Event()

    def feed(self, data: bytes) -> None:
        self._queue.put_nowait(data)

    def hang_up(self) -> None:
        self._queue.put_nowait(b"")

    async def read(self) -> bytes:
        return await self._queue.get()

    async def write(self, data: bytes) -> None:
        self.send(data)

    def send(self, data: bytes) -> bool:
        self.sent += data
        self.changed.set()
        return True

    async def drain(self) -> None:
        """Nobody is slow here."""

    async def until(self, wanted: bytes) -> None:
        """Return when `wanted` was sent; fail after 5 seconds."""
        async with asyncio.timeout(5):
            while wanted not in self.sent:
                self.changed.clear()
                await self.changed.wait()
