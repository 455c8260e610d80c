"""A client for `benchmarks/api.py` that costs as little as one in Python can: HTTP over TLS."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from dataclasses import dataclass
from typing import Any, Self, cast

_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(frozen=True)
class Place:
    """Where the server listens, whom it is known by, and the token."""

    host: str
    port: int
    context: ssl.SSLContext
    token: str

    @classmethod
    def of(cls, config: dict[str, Any]) -> Self:
        """Return the place that a kubeconfig names."""
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        host, _, port = cluster["server"].removeprefix("https://").rpartition(":")
        return cls(host, int(port), ssl.create_default_context(cadata=authority), user["token"])

    def head(self, method: str, path: str, size: int = 0, kind: str = "application/json") -> bytes:
        """Return the head of a request."""
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {self.host}",
            f"Authorization: Bearer {self.token}",
            *([f"Content-Type: {kind}", f"Content-Length: {size}"] if size else ()),
        ]
        return "\r\n".join((*lines, "\r\n")).encode()


class Client(asyncio.Protocol):
    """One connection that asks one thing after another."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._answer: asyncio.Future[bytes] | None = None
        self._pieces: list[bytes] = []
        self._missing = -1

    @classmethod
    async def connect(cls, place: Place) -> Client:
        """Return a client that is connected."""
        loop = asyncio.get_running_loop()
        made = lambda: cls(place)  # noqa: E731 - the factory that asyncio wants
        _, client = await loop.create_connection(made, place.host, place.port, ssl=place.context)
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    async def ask(self, method: str, path: str, body: bytes = b"", **more: str) -> bytes:
        """Return the body of the answer; raises `SystemExit` for a refusal."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(self._place.head(method, path, len(body), **more) + body)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        if self._missing < 0:
            data = self._begin(b"".join((*self._pieces, data)))
        self._pieces.append(data)
        if self._missing < 0:
            return
        self._missing -= len(data)
        if self._missing == 0 and self._answer is not None:
            body, self._pieces, self._missing = b"".join(self._pieces), [], -1
            self._answer.set_result(body)

    def _begin(self, data: bytes) -> bytes:
        """Read the head when it is whole; return what is to be kept."""
        self._pieces = []
        head, found, rest = data.partition(_END)
        if not found:
            return data
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")):
            raise SystemExit(f"refused: {data[:500]!r}")
        lower = head.lower()
        start = lower.index(_LENGTH) + len(_LENGTH)
        self._missing = int(lower[start:].split(b"\r\n", 1)[0])
        return rest

    def close(self) -> None:
        """End the connection."""
        self._transport.close()


class Watcher(asyncio.Protocol):
    """One watch: counts events, and says when a wanted number of them has come."""

    def __init__(self, place: Place, path: str) -> None:
        self._place, self._path = place, path
        self.events = 0
        self._wanted = 0
        self._reached: asyncio.Future[float] | None = None
        self.open = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._place.head("GET", self._path))

    def data_received(self, data: bytes) -> None:
        if not self.open.is_set():
            self.open.set()
        self.events += data.count(b'{"type":"')
        if self._reached is not None and self.events >= self._wanted:
            self._reached.set_result(asyncio.get_running_loop().time())
            self._reached = None

    def after(self, more: int) -> asyncio.Future[float]:
        """Return the loop's time at which `more` further events have come."""
        self._wanted = self.events + more
        self._reached = asyncio.get_running_loop().create_future()
        return self._reached

    def close(self) -> None:
        """End the watch."""
        self._transport.close()


async def watch(place: Place, path: str, count: int) -> list[Watcher]:
    """Return that many watches, all of them answered."""
    loop = asyncio.get_running_loop()
    made: list[Watcher] = []
    for _ in range(count):
        _, watcher = await loop.create_connection(
            lambda: Watcher(place, path), place.host, place.port, ssl=place.context
        )
        made.append(watcher)
    await asyncio.gather(*(watcher.open.wait() for watcher in made))
    return made


def encoded(value: Any) -> bytes:
    """Return a request's body."""
    return json.dumps(value).encode()
