"""Asks the host's resolvers for names that are not the cluster's, with time-outs and a cache.

`server.py` is the only caller.
"""

from __future__ import annotations

import asyncio
import secrets
import struct
from collections import OrderedDict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from reconciler.core.errors import ReconcilerError
from reconciler.proxy.dns import message
from reconciler.proxy.dns.message import Query
from reconciler.proxy.dns.ttl import age, lifetime

_PORT = 53
_LENGTH = struct.Struct("!H")
_HOST_FILE = Path("/etc/resolv.conf")


class NoAnswer(ReconcilerError):
    """No resolver of the host answered in time, or there is none."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of forwarding; times in seconds."""

    attempt: float = 1.5  # a client gives up after 5 s: three attempts fit
    attempts: int = 3
    cached: int = 1000
    cached_for: float = 30.0


class Resolvers:
    """The host's resolvers as its resolv.conf names them, read again when it changes."""

    def __init__(self, own_address: str, path: Path = _HOST_FILE) -> None:
        self._own = own_address
        self._path = path
        self._stamp = 0
        self._addresses: tuple[tuple[str, int], ...] = ()

    def __call__(self) -> tuple[tuple[str, int], ...]:
        """Return (address, port) in order of preference, without this server itself."""
        try:
            stamp = self._path.stat().st_mtime_ns
            if stamp != self._stamp:
                self._addresses = tuple(_nameservers(self._path.read_text(), self._own))
                self._stamp = stamp
        except OSError:
            self._addresses = ()
            self._stamp = 0
        return self._addresses


class Upstream:
    """Forwards queries; equal ones within their lifetime are answered from memory."""

    def __init__(
        self, resolvers: Callable[[], tuple[tuple[str, int], ...]], limits: Limits | None = None
    ) -> None:
        self._resolvers = resolvers
        self._limits = limits or Limits()
        self._cache: OrderedDict[tuple[bytes, int, int, bool], tuple[float, float, bytes]] = (
            OrderedDict()
        )

    async def ask(self, query: Query, *, stream: bool = False) -> bytes:
        """Return the answer under the query's own id. Raises `NoAnswer`.

        `stream` asks over TCP, and so does an answer that came truncated over UDP to a client
        that can take more.
        """
        key = (query.name, query.kind, query.flags, stream)
        now = asyncio.get_running_loop().time()
        data = self._recall(key, now)
        if data is None:
            data = await self._fetch(query, stream=stream)
            self._keep(key, now, data)
        return query.ident.to_bytes(2, "big") + data[2:]

    async def _fetch(self, query: Query, *, stream: bool) -> bytes:
        exchange = _stream if stream else _datagram
        resolvers = self._resolvers()
        for attempt in range(self._limits.attempts if resolvers else 0):
            sent = _outgoing(query)
            try:
                async with asyncio.timeout(self._limits.attempt):
                    return await exchange(resolvers[attempt % len(resolvers)], sent)
            except (OSError, EOFError):
                continue  # TimeoutError is an OSError too
        raise NoAnswer("no resolver of the host answered")

    def _recall(self, key: tuple[bytes, int, int, bool], now: float) -> bytes | None:
        stored, until, data = self._cache.get(key, (0.0, 0.0, b""))
        if until <= now:
            self._cache.pop(key, None)
            return None
        self._cache.move_to_end(key)
        return age(data, int(now - stored))

    def _keep(self, key: tuple[bytes, int, int, bool], now: float, data: bytes) -> None:
        seconds = min(lifetime(data), self._limits.cached_for)
        if seconds <= 0:
            return
        self._cache[key] = (now, now + seconds, data)
        while len(self._cache) > self._limits.cached:
            self._cache.popitem(last=False)


class _Exchange(asyncio.DatagramProtocol):
    """Waits for the one answer to the one query that a socket of its own sends."""

    def __init__(self, sent: bytes) -> None:
        self._sent = sent
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, _addr: object) -> None:
        if not self.answer.done() and _answers(data, self._sent):
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def _datagram(resolver: tuple[str, int], sent: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    transport, exchange = await loop.create_datagram_endpoint(
        lambda: _Exchange(sent), remote_addr=resolver
    )
    with closing(transport):
        transport.sendto(sent)
        return await exchange.answer


async def _stream(resolver: tuple[str, int], sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*resolver)
    with closing(writer):
        writer.write(_LENGTH.pack(len(sent)) + sent)
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        data = await reader.readexactly(length)
    if not _answers(data, sent):
        raise EOFError("the resolver answered another question")
    return data


def _outgoing(query: Query) -> bytes:
    """The query under an id that nobody can guess, so that nobody can answer in a resolver's name.

    It always has an EDNS record: the answer may be as long as we may pass on.
    """
    header = struct.pack("!HHHHHH", secrets.randbits(16), query.flags, 1, 0, 0, 1)
    return header + query.question + message.OWN_OPT


def _answers(data: bytes, sent: bytes) -> bool:
    end = len(sent) - len(message.OWN_OPT)
    same = data[:2] == sent[:2] and data[2:3] >= b"\x80"
    question = slice(message.HEADER_SIZE, end)
    return same and data[question].lower() == sent[question].lower()


def _nameservers(text: str, own_address: str) -> list[tuple[str, int]]:
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver" and words[1] != own_address:
            address = _address(words[1])
            if address:
                found.append((str(address), _PORT))
    return found


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
