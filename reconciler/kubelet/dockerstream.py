"""The Docker engine's connections that carry bytes instead of answers: logs, exec, attach.

The only module that speaks to the engine's socket by itself: the SDK reads such a connection
through a buffer from which it loses what arrives early. Called by `streams.py`; no pod in here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

from reconciler.kubelet.dockerversion import ApiVersion
from reconciler.model.streaming import Output, StreamFailure

_PIECE = 64 * 1024
_LONGEST_ANSWER = 16 * 1024 * 1024
_CALL_SECONDS = 60.0
_FRAME = struct.Struct(">BxxxI")
_OUTPUTS: dict[int, Output] = {0: "stdout", 1: "stdout", 2: "stderr"}


class Engine:
    """An engine at a Unix socket. Every failure is a `StreamFailure`."""

    def __init__(self, socket: Path) -> None:
        self._socket, self._version = socket, ApiVersion()

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """Make one call and return its JSON, None when the answer is empty."""
        async with _bounded():
            reader, writer = await self._ask(method, path, body, version="1.0")
            try:
                text = await _to_the_end(reader)
            finally:
                writer.close()
        return json.loads(text) if text.strip() else None

    async def stream(self, path: str, method: str = "GET") -> Raw:
        """Open an endless answer."""
        async with _bounded():
            # HTTP/1.0 has no chunks: the body is what the container wrote.
            return Raw(*await self._ask(method, path, None, version="1.0"))

    async def hijack(self, path: str, body: object = None) -> Raw:
        """Open a connection that goes both ways."""
        async with _bounded():
            return Raw(*await self._ask("POST", path, body, version="1.1", upgrade=True))

    async def _ask(
        self, method: str, path: str, body: object, *, version: str, upgrade: bool = False
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        call = partial(self._ask_once, method, path, body, version=version, upgrade=upgrade)
        return await self._version.spoken(call, StreamFailure)

    async def _ask_once(
        self, method: str, path: str, body: object, *, version: str, upgrade: bool
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        content = b"" if body is None else json.dumps(body).encode()
        lines = [
            f"{method} /v{self._version.text}{path} HTTP/{version}",
            "Host: docker",
            "Content-Type: application/json",
            f"Content-Length: {len(content)}",
            *(("Connection: Upgrade", "Upgrade: tcp") if upgrade else ()),
        ]
        reader, writer = await asyncio.open_unix_connection(str(self._socket), limit=_PIECE)
        try:
            writer.write("\r\n".join((*lines, "\r\n")).encode() + content)
            await writer.drain()
            await _check(reader)
        except BaseException:
            writer.close()
            raise
        return reader, writer


class Raw:
    """The bytes of a connection to the engine."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def pieces(self, *, tty: bool) -> AsyncIterator[tuple[Output, bytes]]:
        """Yield output: as it is from a terminal, else from the engine's frames."""
        try:
            if tty:
                while data := await self._reader.read(_PIECE):
                    yield "stdout", data
                return
            while True:
                kind, size = _FRAME.unpack(await self._reader.readexactly(_FRAME.size))
                while size:
                    data = await self._reader.read(min(size, _PIECE))
                    if not data:
                        return
                    size -= len(data)
                    yield _OUTPUTS.get(kind, "stdout"), data
        except (asyncio.IncompleteReadError, ConnectionError):
            return

    async def ended(self) -> None:
        """Return at the end of the answer, whatever it says."""
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(_PIECE):
                pass

    async def write(self, data: bytes) -> None:
        """Feed input; what the other end no longer reads is dropped."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError:
            return

    def end_input(self) -> None:
        """Close the way in, and leave the way out."""
        if self._writer.can_write_eof() and not self._writer.is_closing():
            self._writer.write_eof()

    def close(self) -> None:
        """Let go."""
        self._writer.close()


@asynccontextmanager
async def _bounded() -> AsyncIterator[None]:
    """A time-out, and the library's errors as ours."""
    try:
        async with asyncio.timeout(_CALL_SECONDS):
            yield
    except TimeoutError as error:
        raise StreamFailure("Docker does not answer in time") from error
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise StreamFailure(f"Docker does not answer: {error}") from error


async def _to_the_end(reader: asyncio.StreamReader) -> bytes:
    text = b""
    while data := await reader.read(_PIECE):
        text += data
        if len(text) > _LONGEST_ANSWER:
            raise StreamFailure("Docker's answer is too long")
    return text


async def _check(reader: asyncio.StreamReader) -> None:
    """Read status and headers; raise `StreamFailure` with the engine's words on a refusal."""
    head = await reader.readuntil(b"\r\n\r\n")
    try:
        code = int(head.split(b" ", 2)[1])
    except (IndexError, ValueError) as error:
        raise StreamFailure(f"Docker does not answer in HTTP: {head[:80]!r}") from error
    if code < 400:  # noqa: PLR2004 - HTTP's errors begin there
        return
    text = await reader.read(_PIECE)
    try:
        message = str(
            cast(Any, json.loads(text[text.index(b"{") : text.rindex(b"}") + 1]))["message"]
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        message = f"HTTP {code}"
    raise StreamFailure(message)
