"""A WebSocket, server side, over an upgraded connection. The only importer of wsproto.

wsproto is loaded with the first WebSocket: the idle daemon needs none.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from reconciler.apiserver.http.message import Duplex, Request, Upgrade

_LONGEST_MESSAGE = 4 * 1024 * 1024
NORMAL, PROTOCOL_ERROR, TOO_BIG = 1000, 1002, 1009


def asked(request: Request) -> bool:
    """Say whether a request wants to become a WebSocket (RFC 6455, section 4.2.1)."""
    return (
        "upgrade" in request.headers.get("connection", "").lower()
        and request.headers.get("upgrade", "").lower() == "websocket"
    )


def offered(request: Request) -> list[str]:
    """Return the subprotocols that the client offers, the dearest first."""
    text = request.headers.get("sec-websocket-protocol", "")
    return [each.strip() for each in text.split(",") if each.strip()]


def chosen(request: Request, known: Sequence[str]) -> str | None:
    """Return the first offered protocol that we know, "" when none is offered, else None."""
    names = offered(request)
    if not names:
        return ""
    return next((each for each in names if each in known), None)


def complete(request: Request) -> bool:
    """Say whether the handshake has what it needs."""
    headers = request.headers
    return bool(headers.get("sec-websocket-key")) and headers.get("sec-websocket-version") == "13"


def upgrade(request: Request, protocol: str, serve: Any) -> Upgrade:
    """Return the answer that makes the connection a WebSocket, which `serve` gets."""
    token = import_module("wsproto.utilities").generate_accept_token(
        request.headers["sec-websocket-key"].encode("latin-1")
    )
    headers = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", token.decode()),
    ]
    if protocol:
        headers.append(("Sec-WebSocket-Protocol", protocol))

    async def run(connection: Duplex) -> None:
        socket = WebSocket(connection)
        try:
            await serve(socket)
        finally:
            await socket.close()

    return Upgrade(run, headers)


class WebSocket:
    """Messages both ways; one ends at the latest with the connection."""

    def __init__(self, connection: Duplex) -> None:
        self._connection = connection
        self._events = import_module("wsproto.events")
        module = import_module("wsproto.connection")
        self._protocol = module.Connection(module.ConnectionType.SERVER)
        self._pieces: list[bytes] = []
        self._size = 0
        self._closed = False

    async def receive(self) -> bytes | None:
        """Return the next message, text as its UTF-8; None at the end."""
        while not self._closed:
            for event in self._protocol.events():
                message = await self._take(event)
                if message is not None or self._closed:
                    return message
            data = await self._connection.read()
            if not data:
                self._closed = True
                return None
            try:
                self._protocol.receive_data(data)
            except import_module("wsproto.utilities").RemoteProtocolError:
                await self.close(PROTOCOL_ERROR)
        return None

    async def _take(self, event: Any) -> bytes | None:
        """Handle one event; return a message that is complete."""
        events = self._events
        if isinstance(event, events.Message):
            return await self._piece(event)
        if isinstance(event, events.Ping):
            await self._send(event.response())
        elif isinstance(event, events.CloseConnection):
            await self.close(int(event.code) if event.code is not None else NORMAL)
        return None

    async def _piece(self, event: Any) -> bytes | None:
        data = event.data.encode() if isinstance(event.data, str) else bytes(event.data)
        self._size += len(data)
        if self._size > _LONGEST_MESSAGE:
            await self.close(TOO_BIG)
            return None
        self._pieces.append(data)
        if not event.message_finished:
            return None
        message = b"".join(self._pieces)
        self._pieces, self._size = [], 0
        return message

    async def send(self, data: bytes) -> None:
        """Send a binary message. Raises `ConnectionError` when the client is gone."""
        await self._send(self._events.BytesMessage(data))

    async def send_text(self, text: str) -> None:
        """Send a text message. Raises `ConnectionError` when the client is gone."""
        await self._send(self._events.TextMessage(text))

    async def _send(self, event: Any) -> None:
        if self._closed:
            raise ConnectionResetError("the WebSocket is closed")
        await self._connection.write(self._protocol.send(event))

    async def close(self, code: int = NORMAL) -> None:
        """Say goodbye, once."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._connection.write(
                self._protocol.send(self._events.CloseConnection(code=code))
            )
        except (ConnectionError, import_module("wsproto.utilities").LocalProtocolError):
            return  # the client was faster
