"""Bytes of one stream that wait for their reader. Used where a connection carries several."""

from __future__ import annotations

import asyncio
from collections import deque

ENOUGH = 1 << 20


class Inbox:
    """Bytes in order, with an end. `room` is waited for by who feeds, so that memory is bounded."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._changed = asyncio.Condition()
        self.ended = False

    async def put(self, data: bytes) -> None:
        """Add; waits while more than `ENOUGH` waits to be read. After the end nothing is added."""
        async with self._changed:
            while self._size > ENOUGH and not self.ended:
                await self._changed.wait()
            if data and not self.ended:
                self._pieces.append(data)
                self._size += len(data)
                self._changed.notify_all()

    async def end(self) -> None:
        """Let the reader see the end after what waits."""
        async with self._changed:
            self.ended = True
            self._changed.notify_all()

    async def read(self) -> bytes:
        """Return the next bytes, none at the end."""
        async with self._changed:
            while not self._pieces and not self.ended:
                await self._changed.wait()
            if not self._pieces:
                return b""
            data = self._pieces.popleft()
            self._size -= len(data)
            self._changed.notify_all()
            return data
