"""Channels in a WebSocket: each message begins with its channel's number.

Two codings: binary (a byte), and base64 (a digit, then the content in base64, as text).
"""

from __future__ import annotations

import base64
import binascii

from reconciler.apiserver.streaming.websocket import WebSocket

CLOSE = 255
"""The channel on which v5 clients say that another one ends."""


class Channels:
    """The channels of one WebSocket."""

    def __init__(self, socket: WebSocket, *, text: bool) -> None:
        self._socket = socket
        self._text = text

    async def receive(self) -> tuple[int, bytes] | None:
        """Return the next channel and content, None at the end; what is no message is left out."""
        while True:
            message = await self._socket.receive()
            if message is None:
                return None
            if not message:
                continue
            if not self._text:
                return message[0], message[1:]
            try:
                return int(message[:1]), base64.b64decode(message[1:], validate=True)
            except (ValueError, binascii.Error):
                continue

    async def send(self, channel: int, data: bytes) -> None:
        """Send content on a channel. Raises `ConnectionError` when the client is gone."""
        if self._text:
            await self._socket.send_text(f"{channel}{base64.b64encode(data).decode()}")
        else:
            await self._socket.send(bytes((channel,)) + data)
