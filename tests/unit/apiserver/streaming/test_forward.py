"""Port-forward to servers of this test: pairs over SPDY, in a WebSocket, and channel pairs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from wsproto.events import BytesMessage

from reconciler.apiserver.http.message import Request
from reconciler.apiserver.registry.errors import StatusError
from reconciler.apiserver.streaming import forward
from reconciler.apiserver.streaming.spdy import frames
from reconciler.kubelet.streams import SocketPipe
from reconciler.model.streaming import Pipe, StreamFailure
from tests.unit.apiserver.streaming.links import Link
from tests.unit.apiserver.streaming.test_websocket import Client, handshake


async def _shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data.upper())
    writer.close()


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = await asyncio.start_server(_shout, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def dial(port: int) -> Pipe:
    try:
        return SocketPipe(*await asyncio.open_connection("127.0.0.1", port))
    except OSError as error:
        raise StreamFailure(f"nobody listens on {port}") from error


def pair(writer: frames.Writer, first: int, port: int | str, request: str = "0") -> bytes:
    about = {"port": str(port), "requestid": request}
    return writer.open(first, {"streamtype": "error", **about}) + writer.open(
        first + 2, {"streamtype": "data", **about}
    )


async def test_a_pair_is_a_connection(port: int) -> None:
    link = Link()
    running = asyncio.create_task(forward.serve_spdy(link, dial))
    link.feed(pair(frames.Writer(), 1, port) + frames.data(3, b"hello", fin=True))
    await link.until(frames.data(3, b"HELLO"))
    await link.until(frames.data(1, b"", fin=True))
    link.hang_up()
    await running


@pytest.mark.parametrize(("asked", "told"), [(1, b"nobody listens"), ("x", b"unable to parse")])
async def test_what_cannot_be_connected_is_told(asked: int | str, told: bytes) -> None:
    link = Link()
    running = asyncio.create_task(forward.serve_spdy(link, dial))
    link.feed(pair(frames.Writer(), 1, asked))
    await link.until(told)
    await link.until(frames.data(1, b"", fin=True))
    link.hang_up()
    await running


async def test_one_pair_that_fails_leaves_the_others(port: int) -> None:
    link = Link()
    running = asyncio.create_task(forward.serve_spdy(link, dial))
    writer = frames.Writer()
    link.feed(pair(writer, 1, port, "0") + pair(writer, 5, port, "1"))
    link.feed(frames.data(3, b"a") + frames.reset(3) + frames.reset(1))
    link.feed(frames.data(7, b"b"))
    await link.until(frames.data(7, b"B"))
    link.hang_up()
    await running


async def test_spdy_travels_in_a_websocket(port: int) -> None:
    client = Client()
    request = handshake(**{"sec-websocket-protocol": forward.TUNNEL})
    running = asyncio.create_task(forward.upgrade(request, dial).serve(client.link))
    client.send(BytesMessage(pair(frames.Writer(), 1, port) + frames.data(3, b"hello")))
    await client.link.until(b"HELLO")
    client.link.hang_up()
    await running


async def test_channel_pairs(port: int) -> None:
    client = Client()
    request = handshake(**{"sec-websocket-protocol": "v4.channel.k8s.io"})
    asked = Request("GET", "/", {"ports": [f"{port},1"]}, request.headers)
    running = asyncio.create_task(forward.upgrade(asked, dial).serve(client.link))
    client.send(BytesMessage(b"\x00hello"))
    await client.link.until(b"HELLO")
    await client.link.until(b"nobody listens on 1")
    sent = [event.data for event in client.got() if isinstance(event, BytesMessage)]
    assert sent[:4] == [
        b"\x00" + port.to_bytes(2, "little"),
        b"\x01" + port.to_bytes(2, "little"),
        b"\x02\x01\x00",
        b"\x03\x01\x00",
    ]
    assert b"\x00HELLO" in sent
    client.link.hang_up()
    await running


@pytest.mark.parametrize("ports", [[], ["0"], ["65536"], ["x"], ["1,,2"], ["1"] * 101])
def test_bad_ports_are_refused(ports: list[str]) -> None:
    request = handshake(**{"sec-websocket-protocol": "v4.channel.k8s.io"})
    with pytest.raises(StatusError) as error:
        forward.upgrade(Request("GET", "/", {"ports": ports}, request.headers), dial)
    assert error.value.code == 400
