"""Requests and answers as values, between the connection and the API.

Used by every module of this room. Nothing here knows a kind or a rule.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from reconciler.apiserver.security.identity import ANONYMOUS, Identity

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
BODY_LIMIT = 3 * 1024 * 1024
"""The bytes that a request's body may have, as kube-apiserver's MaxRequestBodyBytes."""

Query = Mapping[str, Sequence[str]]
"""Query parameters, decoded; one given twice has two values."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Header names are lower case; a header given twice is joined by a comma.

    `source` is the client's address, "unix" for one of this host's socket.
    """

    method: str
    path: str
    query: Query
    headers: Mapping[str, str]
    body: bytes = b""
    peer: Identity | None = None
    user: Identity = ANONYMOUS
    source: str = ""

    def one(self, name: str) -> str:
        """Return the first value of a query parameter, empty when it is not given."""
        values = self.query.get(name)
        return values[0] if values else ""

    def flag(self, name: str) -> bool:
        """Say whether a query parameter is true as Kubernetes reads it."""
        values = self.query.get(name)
        return bool(values) and values[0].lower() not in ("0", "false")  # type: ignore[index]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is known whole. `warnings` become Warning headers."""

    code: int
    body: bytes
    content_type: str = JSON
    headers: Sequence[tuple[str, str]] = ()
    warnings: Sequence[str] = ()


class Sink(Protocol):
    """Where a stream writes."""

    async def write(self, data: bytes) -> None:
        """Send `data`; waits while the client is slow. Raises `ConnectionError` when it is gone."""
        ...

    def send(self, data: bytes) -> bool:
        """Send `data` without waiting; say whether more may be sent, or `drain` comes first."""
        ...

    async def drain(self) -> None:
        """Wait while the client is slow. Raises `ConnectionError` when it is gone."""
        ...


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that `produce` writes piece by piece until it returns."""

    produce: Callable[[Sink], Awaitable[None]]
    content_type: str = JSON
    code: int = 200
    headers: Sequence[tuple[str, str]] = field(default=())


class Duplex(Protocol):
    """A connection that speaks HTTP no more."""

    async def read(self) -> bytes:
        """Return what arrived next, nothing at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Send `data`; waits while the client is slow. Raises `ConnectionError` when it is gone."""
        ...


@dataclass(frozen=True, slots=True)
class Upgrade:
    """An answer that takes the connection over: `serve` has it, then it is closed.

    `head` replaces the status line and headers, for an answer that somebody else wrote.
    """

    serve: Callable[[Duplex], Awaitable[None]]
    headers: Sequence[tuple[str, str]] = ()
    head: bytes = b""
    code: int = 101


Answer = Reply | Stream | Upgrade
Handler = Callable[[Request], Awaitable[Answer]]
