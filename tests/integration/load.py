"""A load generator: requests at a fixed rate, each on a connection of its own, and what failed.

It sends on time whether or not the last request was answered (an open loop), so that a server that
stalls is seen. A failure is kept with its time, how far the request was, and which backend the
kernel had chosen, as connection tracking tells.
"""

from __future__ import annotations

import asyncio
import ctypes
import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import uvloop

from tests.integration.flows import Client, Translations

_PATIENCE = 5.0
_MOST_OPEN = 400
_SECOND_TRY = 0.9  # TCP asks again after a second
_CLONE_NEWNET = 0x40000000
_REQUEST = b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Route:
    """From where to where: the network namespace of process `pid` (0: this host's own)."""

    name: str
    address: str
    port: int
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """One request that got no whole answer. Times are seconds since the epoch.

    `phase` is what it was at: connect, made, send or answer. `backend` is the address that the
    kernel had translated the service's to, empty when there was none.
    """

    route: str
    began: float
    ended: float
    phase: str
    reason: str
    backend: str = ""

    def __str__(self) -> str:
        clock = datetime.fromtimestamp(self.began, UTC).strftime("%H:%M:%S.%f")
        backend = self.backend or "no backend"
        after = (self.ended - self.began) * 1000
        return f"{clock} {self.route} to {backend}: {self.phase}: {self.reason} ({after:.1f} ms)"


class _Broken(Exception):
    """The answer is none, or not whole."""


@dataclass(slots=True)
class Load:
    """Requests through every route in turns, `rate` a second in all, while the block runs.

    After the block `failures` tells what failed, `retried` when those began that were answered at
    their second try or later.
    """

    routes: Sequence[Route]
    rate: float
    _chosen: Translations = field(default_factory=Translations)
    sent: int = 0
    unsent: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    retried: list[float] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    _failed: list[tuple[Failure, Route, Client]] = field(default_factory=list)
    _open: int = 0
    _stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._chosen.start()
        for pid in sorted({route.pid for route in self.routes}):
            thread = threading.Thread(target=self._run, args=(pid,), name=f"load-{pid}")
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._chosen.close()
        assert not self._chosen.lost, "some of connection tracking's events were not heard"
        self.failures = [self._with_backend(*each) for each in self._failed]

    def _run(self, pid: int) -> None:
        if pid:
            enter(pid)
        routes = [route for route in self.routes if route.pid == pid]
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._drive(routes))

    async def _drive(self, routes: Sequence[Route]) -> None:
        async with asyncio.TaskGroup() as group:
            for route in routes:
                group.create_task(self._send(route, group))

    async def _send(self, route: Route, group: asyncio.TaskGroup) -> None:
        due = time.monotonic()
        while not self._stopping.is_set():
            due = max(due + len(self.routes) / self.rate, time.monotonic() - 0.1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if self._open < _MOST_OPEN:
                group.create_task(self._ask(route))
            else:
                self.unsent += 1

    async def _ask(self, route: Route) -> None:
        self._open += 1
        self.sent += 1
        began = time.time()
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.setblocking(False)
            client.bind(("", 0))  # else a refused one forgets its port
            attempt = _Attempt(client)
            try:
                async with asyncio.timeout(_PATIENCE):
                    served_by = await attempt.run(route)
            except (OSError, TimeoutError, _Broken) as error:
                self._fail(route, began, attempt, error)
            else:
                self.answers[served_by] += 1
                self._answered(began, time.time() - began)
            finally:
                self._open -= 1

    def _answered(self, began: float, took: float) -> None:
        self.slowest = max(self.slowest, took)
        if took > _SECOND_TRY:
            self.retried.append(began)

    def _fail(self, route: Route, began: float, attempt: _Attempt, error: Exception) -> None:
        reason = str(error) or type(error).__name__
        failure = Failure(route.name, began, time.time(), attempt.phase, reason)
        self._failed.append((failure, route, attempt.client.getsockname()))

    def _with_backend(self, failure: Failure, route: Route, client: Client) -> Failure:
        span = failure.began, failure.ended
        backend = self._chosen.backend(route.address, route.port, client, *span)
        return replace(failure, backend=backend)


@dataclass(slots=True)
class _Attempt:
    client: socket.socket
    phase: str = "connect"

    async def run(self, route: Route) -> str:
        """Ask once and return the answer's body, which is the name of the pod."""
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_connect(self.client, (route.address, route.port))
        except ConnectionResetError:  # made and reset before it was looked at; else: refused
            self.phase = "made"
            raise
        self.phase = "send"
        await loop.sock_sendall(self.client, _REQUEST)
        self.phase = "answer"
        answer = b""
        while data := await loop.sock_recv(self.client, 4096):
            answer += data
        return _body(answer)


def _body(answer: bytes) -> str:
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.lower().splitlines()
    if not lines or b" 200 " not in lines[0] + b" ":
        raise _Broken(f"answered {answer[:60]!r}")
    lengths = [int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")]
    if lengths != [len(body)]:
        raise _Broken(f"{len(body)} bytes of an answer of {lengths}")
    return body.decode().strip()


def enter(pid: int) -> None:
    """Move the calling thread into the network namespace of a process."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(f"/proc/{pid}/ns/net").open() as handle:
        if libc.setns(handle.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
