"""A connection after an upgrade: bytes both ways, with back-pressure. Made by `connection.py`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

_ENOUGH = 256 * 1024  # bytes that may wait for a slow reader


class Tunnel:
    """`Duplex` on a transport. `send` writes and waits for a slow client."""

    def __init__(
        self, transport: asyncio.Transport, send: Callable[[bytes], Awaitable[None]], early: bytes
    ) -> None:
        self._transport = transport
        self._send = send
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._arrived = asyncio.Event()
        self._paused = False
        if early:
            self.feed(early)

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        self._pieces.append(data)
        self._size += len(data)
        if self._size > _ENOUGH and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._arrived.set()

    def feed_end(self) -> None:
        """Note that no more arrives."""
        self._ended = True
        self._arrived.set()

    async def read(self) -> bytes:
        """See `Duplex.read`."""
        while not self._pieces:
            if self._ended:
                return b""
            self._arrived.clear()
            await self._arrived.wait()
        data = self._pieces.popleft()
        self._size -= len(data)
        if self._paused and self._size <= _ENOUGH // 2:
            self._paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        """See `Duplex.write`."""
        await self._send(data)
