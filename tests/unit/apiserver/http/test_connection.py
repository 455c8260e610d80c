"""One connection, fed with bytes: what is answered, what is refused, what is cut."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.apiserver.http.connection import Connection
from reconciler.apiserver.http.message import BODY_LIMIT, Answer, Reply, Request, Sink, Stream


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.aborted = self.closed = False
        self.reading = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write(self, data: Any) -> None:
        self.sent += bytes(data)

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


async def echo(request: Request) -> Answer:
    text = f"{request.method} {request.path} {dict(request.query)} {len(request.body)}"
    return Reply(200, text.encode(), "text/plain")


async def talk(
    *pieces: bytes, handler: Callable[[Request], Any] = echo, wait: float = 0
) -> Transport:
    """Send pieces one by one; return the transport when the loop is idle."""
    transport = Transport()
    connection = Connection(handler, lambda _: None, set())
    connection.connection_made(transport)
    for piece in pieces:
        connection.data_received(piece)
        for _ in range(20):
            await asyncio.sleep(0)
    await asyncio.sleep(wait)
    connection.connection_lost(None)
    await asyncio.gather(connection._worker, return_exceptions=True)
    return transport


def bodies(sent: bytes) -> list[bytes]:
    found = []
    while sent:
        head, _, rest = sent.partition(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        found.append(rest[:size])
        sent = rest[size:]
    return found


GET = b"GET /api?x=1&x=2&y HTTP/1.1\r\nHost: h\r\n\r\n"


async def test_a_request_in_pieces() -> None:
    transport = await talk(*(GET[at : at + 7] for at in range(0, len(GET), 7)))
    assert bodies(transport.sent) == [b"GET /api {'x': ['1', '2'], 'y': ['']} 0"]
    assert not transport.is_closing()


async def test_requests_sent_ahead_are_answered_in_order() -> None:
    paths = [b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number for number in range(5)]
    transport = await talk(b"".join(paths))
    assert bodies(transport.sent) == [b"GET /%d {} 0" % number for number in range(5)]


async def test_a_client_far_ahead_is_held_back() -> None:
    async def never(_: Request) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    transport = await talk(GET * 20, handler=never)
    assert not transport.reading


async def test_chunked_body() -> None:
    head = b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    transport = await talk(head + b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n")
    assert bodies(transport.sent) == [b"POST /a {} 5"]


@pytest.mark.parametrize(
    "smuggled",
    [
        b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length : 3\r\n\r\nabc",
        b"GET /a HTTP/1.1\r\nHost: h\r\nX: a\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: h\r\nX: a\r\n folded: b\r\n\r\n",
        b"GET /a HTTP/1.1\nHost: h\n\n",
        b"GET /a HTTP/1.1\r\nHost: h\r\nX\x00Y: a\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: h\r\nX: a\rY: b\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\nabc",
        b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3, 3\r\n\r\nabc",
        b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n",
        b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /a HTTP/3.7\r\nHost: h\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked, identity\r\n\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
    ],
)
async def test_what_could_smuggle_a_request_is_refused(smuggled: bytes) -> None:
    transport = await talk(smuggled)
    assert transport.sent.startswith(b"HTTP/1.1 400 ")
    assert transport.closed


@pytest.mark.parametrize("path", [b"/a%", b"/a%4", b"/a%zz/b", b"/%u0041"])
async def test_a_path_with_a_broken_escape_is_refused(path: bytes) -> None:
    transport = await talk(b"GET %s HTTP/1.1\r\nHost: h\r\n\r\n" % path)
    assert transport.sent.startswith(b"HTTP/1.1 400 ")
    assert transport.closed


async def test_a_body_too_large_is_refused_before_it_is_read() -> None:
    head = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (BODY_LIMIT * 4)
    transport = await talk(head, *[b"x" * (1 << 20)] * 4)
    assert transport.sent.startswith(b"HTTP/1.1 413 ")
    assert transport.sent.count(b"HTTP/1.1") == 1
    assert transport.closed


async def test_headers_too_large_are_refused() -> None:
    transport = await talk(b"GET / HTTP/1.1\r\n", *[b"X: %s\r\n" % (b"x" * 4000)] * 20)
    assert transport.sent.startswith(b"HTTP/1.1 431 ")
    assert transport.closed


@pytest.mark.parametrize(
    "lead",
    [
        b"GET / HTTP/1.1\r\nX: ",
        b"GET / HTTP/1.1\r\nX",
        b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
        b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;x=",
    ],
)
async def test_a_header_that_never_ends_is_refused_before_it_fills_the_memory(lead: bytes) -> None:
    transport = await talk(lead, *[b"x" * 16_384] * 8)
    assert transport.sent.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))
    assert transport.closed


async def test_trailers_say_nothing() -> None:
    seen: list[Request] = []

    async def keep(request: Request) -> Answer:
        seen.append(request)
        return await echo(request)

    head = b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    await talk(head, b"1\r\na\r\n0\r\nImpersonate-User: root\r\n\r\n" + GET, handler=keep)
    assert [request.method for request in seen] == ["POST", "GET"]
    assert set(seen[0].headers) == {"host", "transfer-encoding"}


async def test_head_has_no_body_and_http_1_0_closes() -> None:
    transport = await talk(b"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n")
    assert transport.sent.endswith(b"\r\n\r\n")
    transport = await talk(b"GET /a HTTP/1.0\r\n\r\n")
    assert b"Connection: close" in transport.sent
    assert transport.closed


async def test_continue_is_told_to_go_on() -> None:
    head = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    transport = await talk(head, b"ab")
    assert transport.sent.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


async def test_a_stream_is_chunked() -> None:
    async def streaming(_: Request) -> Answer:
        async def produce(sink: Sink) -> None:
            await sink.write(b"one\n")
            await sink.write(b"two\n")

        return Stream(produce)

    transport = await talk(GET, handler=streaming)
    assert transport.sent.endswith(b"4\r\none\n\r\n4\r\ntwo\n\r\n0\r\n\r\n")


async def test_a_stream_ends_with_its_client() -> None:
    ended = asyncio.Event()

    async def endless(_: Request) -> Answer:
        async def produce(_: Sink) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        return Stream(produce)

    await talk(GET, handler=endless)
    assert ended.is_set()


def test_a_client_that_sends_slowly_is_cut(virtual: Any) -> None:
    pieces = (b"GET /a HTTP/1.1\r\n", b"Host: h\r\n")
    assert not virtual.run_until_complete(talk(*pieces, wait=29)).aborted
    assert virtual.run_until_complete(talk(*pieces, wait=31)).aborted


def test_a_client_that_says_nothing_is_cut(virtual: Any) -> None:
    assert virtual.run_until_complete(talk(wait=31)).aborted
    assert not virtual.run_until_complete(talk(GET, wait=299)).aborted
    assert virtual.run_until_complete(talk(GET, wait=301)).aborted


def test_a_client_that_reads_nothing_is_cut(virtual: Any) -> None:
    async def stuck() -> Transport:
        transport = Transport()
        connection = Connection(echo, lambda _: None, set())
        connection.connection_made(transport)
        connection.pause_writing()
        connection.data_received(GET)
        await asyncio.sleep(61)
        connection.connection_lost(None)
        await asyncio.gather(connection._worker, return_exceptions=True)
        return transport

    assert virtual.run_until_complete(stuck()).aborted


async def test_a_head_of_a_stream_has_no_body_that_the_next_answer_would_begin_in() -> None:
    async def handler(request: Request) -> Answer:
        async def produce(sink: Sink) -> None:
            await sink.write(b"event")

        return Stream(produce) if request.path == "/stream" else await echo(request)

    head = b"HEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n"
    transport = await talk(head, GET, handler=handler)
    first, rest = transport.sent.split(b"\r\n\r\n", 1)
    assert b"chunked" in first
    assert bodies(rest) == [b"GET /api {'x': ['1', '2'], 'y': ['']} 0"]


async def test_a_stream_of_no_type_names_none() -> None:
    async def handler(request: Request) -> Answer:
        async def produce(sink: Sink) -> None:
            await sink.write(b"bytes")

        return Stream(produce, content_type="")

    transport = await talk(GET, handler=handler)
    assert b"Content-Type" not in transport.sent


@pytest.mark.parametrize("code", [204, 304])
async def test_what_has_no_body_tells_no_length(code: int) -> None:
    async def handler(request: Request) -> Answer:
        return Reply(code, b"", "", [("ETag", request.path)])

    transport = await talk(GET, handler=handler)
    assert transport.sent.startswith(b"HTTP/1.1 %d " % code)
    assert b"Content-Length" not in transport.sent
