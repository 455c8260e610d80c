"""WebSockets from a real client's side of wsproto: handshake, messages, bounds, channels."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from reconciler.apiserver.http.message import Request
from reconciler.apiserver.streaming import outcome, websocket
from reconciler.apiserver.streaming.websocket import WebSocket
from reconciler.apiserver.streaming.wschannels import Channels
from reconciler.model.streaming import Size
from tests.unit.apiserver.streaming.links import Link


class Client:
    """The client's end of a link."""

    def __init__(self) -> None:
        self.link = Link()
        self._protocol = Connection(ConnectionType.CLIENT)
        self._read = 0

    def send(self, event: Any) -> None:
        self.link.feed(self._protocol.send(event))

    def got(self) -> list[Any]:
        data = bytes(self.link.sent[self._read :])
        self._read = len(self.link.sent)
        if data:
            self._protocol.receive_data(data)
        return list(self._protocol.events())


def handshake(**headers: str) -> Request:
    given = {
        "connection": "keep-alive, Upgrade",
        "upgrade": "websocket",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-version": "13",
        **headers,
    }
    return Request("GET", "/", {}, given)


def test_the_handshake_answers_the_key_of_the_rfc() -> None:
    answer = websocket.upgrade(handshake(), "v4.channel.k8s.io", None)
    assert ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") in answer.headers
    assert ("Sec-WebSocket-Protocol", "v4.channel.k8s.io") in answer.headers


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [("a, b", "b"), ("", ""), ("x", None), ("b,c", "b")],
)
def test_the_first_known_protocol_is_chosen(offered: str, chosen: str | None) -> None:
    asked = handshake(**({"sec-websocket-protocol": offered} if offered else {}))
    assert websocket.chosen(asked, ("b", "c")) == chosen


async def test_messages_come_whole_and_pings_are_answered() -> None:
    client = Client()
    socket = WebSocket(client.link)
    client.send(BytesMessage(b"one ", message_finished=False))
    client.send(Ping(b"there?"))
    client.send(BytesMessage(b"two"))
    client.send(TextMessage("three"))
    assert await socket.receive() == b"one two"
    assert await socket.receive() == b"three"
    assert client.got() == [Pong(b"there?")]
    client.send(CloseConnection(1000))
    assert await socket.receive() is None
    assert [type(event) for event in client.got()] == [CloseConnection]
    with pytest.raises(ConnectionError):
        await socket.send(b"late")


async def test_a_message_beyond_the_bound_closes() -> None:
    client = Client()
    socket = WebSocket(client.link)
    for _ in range(5):
        client.send(BytesMessage(bytes(1 << 20), message_finished=False))
    assert await socket.receive() is None
    assert [event.code for event in client.got()] == [websocket.TOO_BIG]


async def test_what_is_no_websocket_closes() -> None:
    client = Client()
    socket = WebSocket(client.link)
    client.link.feed(b"\xff" * 32)
    assert await socket.receive() is None
    assert [event.code for event in client.got()] == [websocket.PROTOCOL_ERROR]


async def test_a_client_that_goes_ends_it() -> None:
    client = Client()
    socket = WebSocket(client.link)
    waiting = asyncio.create_task(socket.receive())
    client.link.hang_up()
    assert await waiting is None


@pytest.mark.parametrize("text", [False, True])
async def test_channels(text: bool) -> None:
    client = Client()
    channels = Channels(WebSocket(client.link), text=text)
    client.send(BytesMessage(b""))  # no channel at all
    client.send(TextMessage("!no channel") if text else BytesMessage(b""))
    client.send(TextMessage("0aGk=") if text else BytesMessage(b"\x00hi"))
    assert await channels.receive() == (0, b"hi")
    await channels.send(1, b"hi")
    sent = client.got()[0].data
    assert sent == ("1aGk=" if text else b"\x01hi")


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b'{"Width":80,"Height":24}', Size(80, 24)),
        (b'{"Width":0,"Height":24}', None),
        (b'{"Width":1e99,"Height":24}', None),
        (b"[]", None),
        (b"[" * 100_000, None),
        (b"\xff", None),
    ],
)
def test_sizes(data: bytes, size: Size | None) -> None:
    assert outcome.read_size(data) == size
