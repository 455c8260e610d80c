"""A door before Docker's socket that the tests own: open, answering 500, or silent."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from contextlib import suppress
from pathlib import Path
from typing import Literal, Self

Mode = Literal["open", "failing", "silent"]
WORDS = "the engine behind this door is unwell"
_BODY = b'{"message":"%s"}' % WORDS.encode()
_FAILURE = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)


class EngineProxy:
    """Listens at `door` and leads to `engine`; a change of mode cuts what is connected."""

    def __init__(self, door: Path, engine: Path) -> None:
        self._door, self._engine = door, engine
        self._mode: Mode = "open"
        self._open: set[asyncio.Task[None]] = set()
        self._ready, self._loop = threading.Event(), asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="engine-proxy")

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)

    def turn(self, mode: Mode) -> None:
        """Treat every request from now on so, those under way included."""
        asyncio.run_coroutine_threadsafe(self._turn(mode), self._loop).result(10)

    async def _turn(self, mode: Mode) -> None:
        self._mode = mode
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._ended = asyncio.Event()
        server = await asyncio.start_unix_server(self._accept, self._door)
        self._ready.set()
        async with server:
            await self._ended.wait()
            await self._turn("open")

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._treat(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            await _closed(writer)

    async def _treat(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode == "open":
            await self._lead(reader, writer)
            return
        await reader.readuntil(b"\r\n\r\n")
        if self._mode == "silent":
            await asyncio.Event().wait()
        writer.write(_FAILURE)
        await writer.drain()

    async def _lead(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, begun: bytes = b""
    ) -> None:
        inner, outer = await asyncio.open_unix_connection(self._engine)
        try:
            outer.write(begun)
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, outer))
                group.create_task(_copy(inner, writer))
        finally:
            await _closed(outer)


class NewerEngine(EngineProxy):
    """A door behind which the engine seems to speak API 1.44 and newer alone, as Docker 29 does."""

    oldest = 44

    async def _treat(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        found = re.match(rb"(\w+ )/v1\.(\d+)(/.*)", head, re.DOTALL)
        if found and int(found[2]) < self.oldest:
            writer.write(_too_old(found[2].decode(), self.oldest))
            await writer.drain()
            return
        if found:
            head = found[1] + b"/v1.41" + found[3]
        if b"\r\nUpgrade:" not in head:  # each connection carries one request, which we can see
            head = re.sub(rb"\r\nConnection:[^\r]*", b"", head)
            head = head.removesuffix(b"\r\n") + b"Connection: close\r\n\r\n"
        await self._lead(reader, writer, head)


def _too_old(spoken: str, oldest: int) -> bytes:
    words = (
        f"client version 1.{spoken} is too old. Minimum supported API version is 1.{oldest},"
        " please upgrade your client to a newer version"
    )
    body = json.dumps({"message": words})
    head = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    with suppress(OSError):
        writer.write_eof()
