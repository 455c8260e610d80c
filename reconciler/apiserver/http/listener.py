"""Accepts TCP connections and secures those that have something to say.

Run by `server.py`. A connection costs half a hundred kilobytes as soon as TLS knows it, and next to
nothing before: so TLS begins with the client's first byte. Who says nothing is shut out soon, who
comes when the house is full at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Self

import structlog

_BACKLOG = 1024
_FIRST_BYTE_SECONDS = 10.0
_HANDSHAKE_SECONDS = 10.0
_PAUSE_SECONDS = 1.0
_AT_ONCE = 64  # connections taken before others get their turn

MOST = 20_000
"""So many connections may be open, those that say nothing among them."""


class Listener:
    """Owns a bound socket. `make` makes a connection's protocol, `count` tells how many are open.

    Used as a context: it accepts inside.
    """

    def __init__(
        self,
        bound: socket.socket,
        context: ssl.SSLContext,
        make: Callable[[], asyncio.Protocol],
        count: Callable[[], int],
    ) -> None:
        self._context = context
        self._make = make
        self._count = count
        self._waiting: dict[socket.socket, asyncio.TimerHandle] = {}
        self._securing: set[asyncio.Task[None]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._log = structlog.get_logger(component="api")
        self._socket = bound

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        name, port = self._socket.getsockname()[:2]
        return name, port

    async def __aenter__(self) -> Self:
        """Begin to accept."""
        self._loop = asyncio.get_running_loop()
        self._socket.listen(_BACKLOG)
        self._socket.setblocking(False)
        self._loop.add_reader(self._socket, self._accept)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Accept no more, and forget who has not come in."""
        self._loop.remove_reader(self._socket)
        self._socket.close()
        if self._retry is not None:
            self._retry.cancel()
        for waiting in tuple(self._waiting):
            self._shut_out(waiting)
        for task in self._securing:
            task.cancel()
        await asyncio.gather(*self._securing, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # no descriptor or no memory is left
                self._pause(error)
                return
            if len(self._waiting) + len(self._securing) + self._count() >= MOST:
                connection.close()
                continue
            self._let_wait(connection)

    def _pause(self, error: OSError) -> None:
        self._log.warning("api.accept_paused", reason=str(error))
        self._loop.remove_reader(self._socket)
        self._retry = self._loop.call_later(
            _PAUSE_SECONDS, self._loop.add_reader, self._socket, self._accept
        )

    def _let_wait(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._waiting[connection] = self._loop.call_later(
            _FIRST_BYTE_SECONDS, self._shut_out, connection
        )
        self._loop.add_reader(connection, self._begin, connection)

    def _stop_waiting(self, connection: socket.socket) -> None:
        self._loop.remove_reader(connection)
        self._waiting.pop(connection).cancel()

    def _shut_out(self, connection: socket.socket) -> None:
        self._stop_waiting(connection)
        connection.close()

    def _begin(self, connection: socket.socket) -> None:
        """Let TLS have a connection: the client said something, or went away."""
        self._stop_waiting(connection)
        task = self._loop.create_task(self._secure(connection))
        self._securing.add(task)
        task.add_done_callback(self._securing.discard)

    async def _secure(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # What is wrong with a handshake is the client's affair: it has been told.
        with contextlib.suppress(OSError, TimeoutError):
            await self._loop.connect_accepted_socket(
                self._make,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS,
            )
