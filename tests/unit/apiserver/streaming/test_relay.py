"""The proxy subresource against a real server of this test: what is passed on, and what is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from reconciler.apiserver.http.message import Reply, Request, Stream, Upgrade
from reconciler.apiserver.registry.errors import StatusError
from reconciler.apiserver.streaming.backend import Backend
from reconciler.apiserver.streaming.relay import relay
from tests.unit.apiserver.streaming.links import Link

Serve = Callable[[bytes], Awaitable[bytes]]


class Server:
    """Answers every request with `answer`, and keeps the last one."""

    def __init__(self) -> None:
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Own: 1\r\n\r\nhi"
        self.asked = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked = await reader.readuntil(b"\r\n\r\n")
        writer.write(self.answer)
        if b"101 " in self.answer:
            writer.write((await reader.read(100)).upper())
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, Backend]]:
    told = Server()
    listening = await asyncio.start_server(told.serve, "127.0.0.1", 0)
    yield told, Backend("127.0.0.1", listening.sockets[0].getsockname()[1])
    listening.close()
    await listening.wait_closed()


async def text(stream: Stream) -> bytes:
    link = Link()
    await stream.produce(link)
    return bytes(link.sent)


async def test_an_answer_is_passed_on(server: tuple[Server, Backend]) -> None:
    told, backend = server
    headers = {"authorization": "Bearer secret", "cookie": "a=b", "connection": "keep-alive"}
    headers["impersonate-user"] = "secret"
    answer = await relay(Request("GET", "", {"q": ["1", "ä"]}, headers), backend, "/a b")
    assert isinstance(answer, Stream)
    assert ("X-Own", "1") in answer.headers
    assert answer.content_type == ""
    assert await text(answer) == b"hi"
    assert told.asked.startswith(b"GET /a%20b?q=1&q=%C3%A4 HTTP/1.1\r\n")
    assert b"secret" not in told.asked
    assert b"cookie: a=b" in told.asked.lower()


async def test_an_answer_without_a_body(server: tuple[Server, Backend]) -> None:
    told, backend = server
    told.answer = b"HTTP/1.1 204 No Content\r\n\r\n"
    answer = await relay(Request("DELETE", "", {}, {}), backend, "/")
    assert isinstance(answer, Reply)
    assert answer.code == 204


async def test_an_upgrade_is_passed_on(server: tuple[Server, Backend]) -> None:
    told, backend = server
    told.answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: shout\r\n\r\nearly "
    request = Request("GET", "", {}, {"connection": "Upgrade", "upgrade": "shout"})
    answer = await relay(request, backend, "/")
    assert isinstance(answer, Upgrade)
    assert ("Upgrade", "shout") in answer.headers
    link = Link()
    link.feed(b"hello")
    await answer.serve(link)
    assert bytes(link.sent) == b"early HELLO"


@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", b"", b"HTTP/1.1 200"])
async def test_a_server_that_answers_nonsense(
    server: tuple[Server, Backend], answer: bytes
) -> None:
    told, backend = server
    told.answer = answer
    with pytest.raises(StatusError) as error:
        await relay(Request("GET", "", {}, {}), backend, "/")
    assert error.value.code == 503


async def test_an_answer_that_is_cut_off_is_cut_off(server: tuple[Server, Backend]) -> None:
    told, backend = server
    told.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhi"
    answer = await relay(Request("GET", "", {}, {}), backend, "/")
    assert isinstance(answer, Stream)
    with pytest.raises(ConnectionError):
        await text(answer)


async def test_nobody_there(server: tuple[Server, Backend]) -> None:
    with pytest.raises(StatusError, match="1: connect: connection refused") as error:
        await relay(Request("GET", "", {}, {}), Backend("127.0.0.1", 1), "/")
    assert error.value.code == 503


async def test_a_header_that_cannot_be_passed_on(server: tuple[Server, Backend]) -> None:
    request = Request("GET", "", {}, {"x": "a\r\nb: c"})
    with pytest.raises(StatusError) as error:
        await relay(request, server[1], "/")
    assert error.value.code == 400
