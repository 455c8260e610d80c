"""Short TCP connections into pods, many at once: what the probes from the host are made of.

Called by `probing.py`. One set of the kernel watches all sockets, so that the event loop is woken
once for all that have an answer; a peer on this host has mostly answered by the time that it is
asked, and is not waited for at all; answers are gathered for a moment. Time limits are looked at
together, once a tick: one may end that much late. It knows no HTTP.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import NamedTuple

from reconciler.core.errors import ReconcilerError
from reconciler.core.ticks import TICK

_CHUNK = 16 * 1024
# What is answered within this time (seconds) is read together. A gRPC server answers in three
# pieces: with it they are mostly one, which spares a third of such a probe's cost.
_GATHERED = 0.004
_UNDER_WAY = frozenset((errno.EINPROGRESS, errno.EALREADY))


class TooLate(ReconcilerError):
    """The time limit is over."""


class _Wait(NamedTuple):
    future: asyncio.Future[None]
    by: float


class Wire:
    """The connections of one host's probes. `close` it on the loop that it was used on.

    `gathered` is for how long, in seconds, answers are gathered.
    """

    def __init__(self, gathered: float = _GATHERED) -> None:
        self._gathered = gathered
        self._watched: select.epoll | None = None
        self._waiting: dict[int, _Wait] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._look: asyncio.TimerHandle | None = None

    async def connect(self, host: str, port: int, by: float) -> socket.socket:
        """Return a connected, non-blocking socket.

        `host` may be a name; `by` is a moment of the event loop's clock. Raises `OSError`,
        `TooLate`.
        """
        family, address = _literal(host), (host, port)
        if family is None:
            family, address = await _resolve(host, port, by)
        made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            await self._shake_hands(made, address, by)
        except BaseException:
            made.close()
            raise
        return made

    async def _shake_hands(self, made: socket.socket, address: tuple[str, int], by: float) -> None:
        failure = made.connect_ex(address)
        if failure in _UNDER_WAY:  # a near peer has answered by now
            failure = made.connect_ex(address)
        if failure in _UNDER_WAY:
            await self._ready(made, select.EPOLLOUT, by)
            failure = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failure:
            raise OSError(failure, os.strerror(failure))

    async def send(self, connected: socket.socket, data: bytes, by: float) -> None:
        """Send all of it; raises `OSError`, `TooLate`."""
        left = memoryview(data)
        while left:
            try:
                left = left[connected.send(left) :]
            except BlockingIOError:
                await self._ready(connected, select.EPOLLOUT, by)

    async def receive(self, connected: socket.socket, by: float) -> bytes:
        """Return what there is, nothing at the end; raises `OSError`, `TooLate`."""
        await self._ready(connected, select.EPOLLIN, by)
        return connected.recv(_CHUNK)

    def close(self) -> None:
        """Let go of the event loop."""
        if self._watched is not None:
            asyncio.get_running_loop().remove_reader(self._watched.fileno())
            self._watched.close()
            self._watched = None
        for timer in (self._sweep, self._look):
            if timer is not None:
                timer.cancel()
        self._sweep = self._look = None

    async def _ready(self, connected: socket.socket, event: int, by: float) -> None:
        """Wait until the socket has something to say."""
        loop, number, watched = asyncio.get_running_loop(), connected.fileno(), self._watch()
        wait = self._waiting[number] = _Wait(loop.create_future(), by)
        if self._sweep is None:
            self._sweep = loop.call_later(TICK, self._expire)
        watched.register(number, event | select.EPOLLONESHOT)
        try:
            await wait.future
        finally:
            del self._waiting[number]
            if not watched.closed:
                watched.unregister(number)

    def _watch(self) -> select.epoll:
        if self._watched is None:
            self._watched = select.epoll()
            asyncio.get_running_loop().add_reader(self._watched.fileno(), self._wake)
        return self._watched

    def _wake(self) -> None:
        """Look in a moment: what else has an answer by then is served with it."""
        if self._watched is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._watched.fileno())
            self._look = loop.call_later(self._gathered, self._serve, self._watched)

    def _serve(self, watched: select.epoll) -> None:
        asyncio.get_running_loop().add_reader(watched.fileno(), self._wake)
        for number, _event in watched.poll(0):
            wait = self._waiting.get(number)
            if wait is not None and not wait.future.done():
                wait.future.set_result(None)

    def _expire(self) -> None:
        """End the waits whose time is over; look again while there are any."""
        loop = asyncio.get_running_loop()
        for wait in self._waiting.values():
            if wait.by <= loop.time() and not wait.future.done():
                wait.future.set_exception(TooLate("the time limit is over"))
        self._sweep = loop.call_later(TICK, self._expire) if self._waiting else None


@asynccontextmanager
async def limited(by: float) -> AsyncIterator[None]:
    """Bound what keeps no time limit itself; raises `TooLate`."""
    try:
        async with asyncio.timeout_at(by):
            yield
    except TimeoutError as error:
        raise TooLate("the time limit is over") from error


@lru_cache(maxsize=4096)
def _literal(host: str) -> socket.AddressFamily | None:
    """Return the family of a numeric address, None of a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return family
    return None


async def _resolve(host: str, port: int, by: float) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """Look a name up, as a probe's `host` may be one; raises `OSError`, `TooLate`."""
    async with limited(by):
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    family, _kind, _protocol, _name, address = found[0]
    return family, (str(address[0]), port)
