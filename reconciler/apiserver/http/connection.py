"""One HTTP/1.1 connection: bytes to `Request`s, `Answer`s to bytes.

Built by `server.py` for each client. The only module that knows httptools (the parser is llhttp,
strict about what could smuggle a request). Requests of one connection are answered in order, one
at a time; a client that sends ahead, too much, or too slowly is held back or cut.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import cast
from urllib.parse import parse_qs, unquote

import httptools

from reconciler.apiserver.http.message import BODY_LIMIT, Handler, Reply, Request, Stream, Upgrade
from reconciler.apiserver.http.status import too_large
from reconciler.apiserver.http.takeover import Tunnel
from reconciler.apiserver.security.identity import Identity

_HEADERS_LIMIT = 64 * 1024
_AHEAD = 16  # requests a client may send before it has read the answers
_BUFFER = 256 * 1024  # bytes of answers that may wait for a slow client
_READ_SECONDS = 30.0  # to send one request
_IDLE_SECONDS = 300.0  # between two requests
_STUCK_SECONDS = 60.0  # without reading anything of an answer

_BAD_REQUEST = Reply(400, b"400 Bad Request", "text/plain; charset=utf-8")
_HEADERS_TOO_LARGE = Reply(431, b"431 Request Header Fields Too Large", "text/plain")

# A percent sign that begins no octet: net/url refuses such a path, and guesses nothing.
_NO_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

PeerIdentity = Callable[[asyncio.Transport], Identity | None]
"""Return whom a transport itself proves: a client certificate, the user of a Unix socket."""

_BODILESS = (204, 304)
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class Connection(asyncio.Protocol):
    """See the module. `open_` has the connections that are open, for the server to end them."""

    def __init__(self, handler: Handler, identify: PeerIdentity, open_: set[Connection]) -> None:
        self._handler = handler
        self._identify = identify
        self._open = open_
        self._parser = httptools.HttpRequestParser(self)
        self._requests: deque[Request] = deque()
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._peer: Identity | None = None
        self._closing = False
        self._keep_alive = True
        self._early = b""  # what followed a request that asked for an upgrade
        self._upgrading = False
        self._tunnel: Tunnel | None = None
        self._unfinished = 0  # bytes since the parser last told of anything: it keeps them

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to answer."""
        # uvloop's transports are those of asyncio by their methods, not by their class.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_BUFFER)
        self._writable.set()
        self._peer = self._identify(self._transport)
        self._source = _source(self._transport)
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(_READ_SECONDS, self._transport.abort)
        self._worker = self._loop.create_task(self._work())
        self._open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """End what is being answered: nobody reads it any more."""
        self._timer.cancel()
        self._worker.cancel()
        self._writable.set()
        if self._tunnel is not None:
            self._tunnel.feed_end()
        self._open.discard(self)

    def close(self) -> None:
        """End the connection now."""
        self._worker.cancel()
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse; after an upgrade, hand over."""
        if self._tunnel is not None:
            self._tunnel.feed(data)
            return
        if self._upgrading:
            self._hold(data)
            return
        if self._closing:
            return
        self._unfinished += len(data)
        try:
            self._parser.feed_data(data)
            self._check_unfinished()
        except httptools.HttpParserUpgrade as error:
            # The request itself was complete and is answered; what follows is no HTTP.
            self._closing = self._upgrading = True
            self._hold(data[error.args[0] :])
        except httptools.HttpParserError:
            self._refuse(_BAD_REQUEST)

    def eof_received(self) -> bool:
        """Tell a tunnel; it may still write. Any other connection ends."""
        if self._tunnel is None:
            return False
        self._tunnel.feed_end()
        # TLS has no half-closed connection.
        return self._transport.get_extra_info("sslcontext") is None

    def _hold(self, data: bytes) -> None:
        """Keep what arrives before an upgrade is answered, within bounds."""
        self._early += data
        if len(self._early) > _HEADERS_LIMIT:
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """The client is slow."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The client caught up."""
        self._writable.set()

    # The parser's callbacks, in the order in which they come.

    def on_message_begin(self) -> None:
        """Forget the request before."""
        self._url = b""
        self._headers: dict[str, str] = {}
        self._trailing = False
        self._head_size = 0
        self._size = 0
        self._body: list[bytes] = []
        self._timer.cancel()
        self._timer = self._loop.call_later(_READ_SECONDS, self._transport.abort)

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._unfinished = 0
        self._url += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header. Trailers are left out: no proxy in front has looked at them."""
        self._unfinished = 0
        self._count(len(name) + len(value))
        if self._trailing:
            return
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        known = self._headers.get(key)
        self._headers[key] = text if known is None else f"{known},{text}"

    def on_headers_complete(self) -> None:
        """Start to count the body; tell a client to go on that waits for it."""
        self._size = 0
        self._trailing = True
        if self._headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._unfinished = 0
        self._size += len(body)
        if self._size > BODY_LIMIT:
            self._refuse(too_large(BODY_LIMIT))
        elif not self._closing:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """Queue the request."""
        if self._closing:
            return
        self._timer.cancel()
        self._keep_alive = self._parser.should_keep_alive()
        path, _, query = self._url.decode("latin-1").partition("?")
        if _NO_ESCAPE.search(path):
            self._refuse(_BAD_REQUEST)
            return
        self._requests.append(
            Request(
                self._parser.get_method().decode("latin-1"),
                unquote(path) if "%" in path else path,
                parse_qs(query, keep_blank_values=True) if query else {},
                self._headers,
                b"".join(self._body),
                self._peer,
                source=self._source,
            )
        )
        if len(self._requests) >= _AHEAD:
            self._transport.pause_reading()
        self._arrived.set()

    def _check_unfinished(self) -> None:
        """Refuse one header, or one chunk's extension, that does not come to an end."""
        if self._unfinished > _HEADERS_LIMIT:
            self._refuse(_HEADERS_TOO_LARGE)

    def _count(self, size: int) -> None:
        self._head_size += size
        if self._head_size > _HEADERS_LIMIT:
            self._refuse(_HEADERS_TOO_LARGE)

    def _refuse(self, reply: Reply) -> None:
        """Answer a request that is not read to its end, and close."""
        if not self._closing:
            self._closing = True
            self._transport.write(_head(reply, close=True) + reply.body)
            self._transport.close()

    async def _work(self) -> None:
        """Answer requests until the connection ends."""
        try:
            while await self._answer_next():
                pass
        except ConnectionError:
            self._transport.abort()
        else:
            self._transport.close()

    async def _answer_next(self) -> bool:
        """Wait for a request and answer it; return whether another may follow."""
        while not self._requests:
            self._arrived.clear()
            await self._arrived.wait()
        request = self._requests.popleft()
        last = not self._requests and (self._closing or not self._keep_alive)
        answer = await self._handler(request)
        if isinstance(answer, Upgrade):
            await self._hand_over(answer)
            return False
        await self._send(request, answer, close=last)
        if not self._requests:
            self._transport.resume_reading()
            self._timer.cancel()
            self._timer = self._loop.call_later(_IDLE_SECONDS, self._transport.abort)
        return not last

    async def _hand_over(self, answer: Upgrade) -> None:
        """Give the connection to what serves it from now on."""
        self._timer.cancel()
        self._transport.write(answer.head or _upgrade_head(answer))
        early, self._early = self._early, b""
        self._tunnel = Tunnel(self._transport, self.write, early)
        self._transport.resume_reading()
        await answer.serve(self._tunnel)
        await self._drain()

    async def _send(self, request: Request, answer: Reply | Stream, *, close: bool) -> None:
        if isinstance(answer, Reply):
            body = b"" if request.method == "HEAD" else answer.body
            self._transport.write(_head(answer, close=close) + body)
            await self._drain()
            return
        chunked = self._parser.get_http_version() != "1.0"
        self._transport.write(_stream_head(answer, chunked=chunked))
        if request.method == "HEAD":
            return
        sink = _Chunks(self) if chunked else _Plain(self)
        await answer.produce(sink)
        if chunked:
            self._transport.write(b"0\r\n\r\n")
        await self._drain()

    async def write(self, data: bytes) -> None:
        """Send raw bytes; waits while the client is slow, and cuts one that reads nothing."""
        self.send(data)
        await self.drain()

    def send(self, data: bytes) -> bool:
        """Send raw bytes without waiting; say whether more may follow before `drain`."""
        if self._transport.is_closing():
            return False
        self._transport.write(data)
        return self._writable.is_set()

    async def drain(self) -> None:
        """Wait while the client is slow; cut one that reads nothing. Raises `ConnectionError`."""
        if self._transport.is_closing():
            raise ConnectionResetError
        await self._drain()

    async def _drain(self) -> None:
        if self._writable.is_set():
            return
        try:
            async with asyncio.timeout(_STUCK_SECONDS):
                await self._writable.wait()
        except TimeoutError:
            self._transport.abort()
            raise ConnectionResetError from None


def _source(transport: asyncio.Transport) -> str:
    """Return where a client is."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) and peer else "unix"


class _Plain:
    """The body of a stream that ends with the connection, as HTTP/1.0 has it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def write(self, data: bytes) -> None:
        self.send(data)
        await self.drain()

    def send(self, data: bytes) -> bool:
        return self._connection.send(data)

    async def drain(self) -> None:
        await self._connection.drain()


class _Chunks(_Plain):
    """The body of a stream in chunks."""

    def send(self, data: bytes) -> bool:
        return self._connection.send(b"%x\r\n%b\r\n" % (len(data), data))


def _head(reply: Reply, *, close: bool) -> bytes:
    lines = [f"HTTP/1.1 {reply.code} {_REASONS.get(reply.code, '')}"]
    if reply.content_type:
        lines.append(f"Content-Type: {reply.content_type}")
    lines += [f"{name}: {value}" for name, value in reply.headers]
    lines += [f"Warning: {text}" for text in reply.warnings]
    if reply.code not in _BODILESS:
        lines.append(f"Content-Length: {len(reply.body)}")
    if close:
        lines.append("Connection: close")
    return "\r\n".join((*lines, "\r\n")).encode("utf-8", "replace")


def _stream_head(stream: Stream, *, chunked: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {stream.code} {_REASONS.get(stream.code, '')}",
        *([f"Content-Type: {stream.content_type}"] if stream.content_type else ()),
        *(f"{name}: {value}" for name, value in stream.headers),
        "Transfer-Encoding: chunked" if chunked else "Connection: close",
    ]
    return "\r\n".join((*lines, "\r\n")).encode("latin-1", "replace")


def _upgrade_head(upgrade: Upgrade) -> bytes:
    lines = [
        f"HTTP/1.1 {upgrade.code} {_REASONS.get(upgrade.code, '')}",
        *(f"{name}: {value}" for name, value in upgrade.headers),
    ]
    return "\r\n".join((*lines, "\r\n")).encode("latin-1", "replace")
