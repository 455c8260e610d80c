"""Listens for webhooks, so that a push is seen at once. Composed by `app.py`.

It speaks as much HTTP/1.1 as a forge does: one POST a connection, bounded in size, time and number.
What a request is worth is `webhook.py`'s to say; a good one makes the source look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from reconciler.core.clock import Clock
from reconciler.core.errors import ReconcilerError
from reconciler.source.webhook import Answer, Doorkeeper

_HEAD_BYTES = 16 * 1024
_BODY_BYTES = 4 * 1024 * 1024
_SECONDS = 10.0
_CONNECTIONS = 32
_UNREAD = (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)
_WORDS = {200: "OK", 202: "Accepted", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found",
          405: "Method Not Allowed", 409: "Conflict", 411: "Length Required",
          413: "Content Too Large", 429: "Too Many Requests"}  # fmt: skip


class HookListenError(ReconcilerError):
    """The address of the receiver cannot be listened on."""


class _Refused(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def _no_place(_: str) -> str:
    return ""


class Receiver:
    """Answers `POST /` (any path below it too); `look` is called with (path, body) of a good one.

    `place` tells which source a path names, "" for none. `address` is (host, port) once `ready` is
    set; port 0 asks for any.
    """

    def __init__(
        self,
        host: str,
        port: int,
        keeper: Doorkeeper,
        look: Callable[[str, bytes], None],
        clock: Clock,
        *,
        place: Callable[[str], str] = _no_place,
    ) -> None:
        self.ready = asyncio.Event()
        self.address = (host, port)
        self._keeper = keeper
        self._look = look
        self._place = place
        self._clock = clock
        self._open: dict[asyncio.StreamWriter, None] = {}  # the oldest first
        self._log = structlog.get_logger(component="source")

    async def run(self) -> None:
        """Listen until cancelled; raises `HookListenError`."""
        try:
            server = await asyncio.start_server(self._serve, *self.address, limit=_HEAD_BYTES)
        except OSError as error:
            raise HookListenError(
                f"cannot listen for webhooks on {self.address}: {error}"
            ) from error
        self.address = server.sockets[0].getsockname()[:2]
        self.ready.set()
        async with server:
            await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._make_room()
        self._open[writer] = None
        try:
            async with asyncio.timeout(_SECONDS):
                await _answer(writer, await self._status(reader))
        except _UNREAD as error:
            self._log.debug("webhook.unread", reason=type(error).__name__)
        finally:
            self._open.pop(writer, None)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def _make_room(self) -> None:
        """Cut the oldest connection when there are too many: a forge has spoken in a moment."""
        if len(self._open) >= _CONNECTIONS:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.transport.abort()

    async def _status(self, reader: asyncio.StreamReader) -> int:
        try:
            target, headers, body = await _request(reader)
        except _Refused as refused:
            return refused.status
        now = self._clock.monotonic()
        answer = self._keeper.judge(headers, body, now, self._place(target))
        if answer is Answer.ACCEPTED:
            self._log.info("webhook.accepted")
            self._look(target, body)
        else:
            self._log.warning("webhook.refused", reason=answer.name.lower())
        return answer.value


async def _request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):  # noqa: PLR2004 - method, path, version
        raise _Refused(400)
    if words[0] != "POST":
        raise _Refused(405)
    headers = {name.strip().lower(): value.strip() for name, _, value in
               (line.partition(":") for line in lines)}  # fmt: skip
    length = headers.get("content-length", "")
    if "transfer-encoding" in headers or not (length.isascii() and length.isdigit()):
        raise _Refused(411)
    if int(length) > _BODY_BYTES:
        raise _Refused(413)
    return words[1], headers, await reader.readexactly(int(length))


async def _answer(writer: asyncio.StreamWriter, status: int) -> None:
    text = f"HTTP/1.1 {status} {_WORDS[status]}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    writer.write(text.encode())
    await writer.drain()
