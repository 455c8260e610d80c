"""An engine of a test's own at a Unix socket: it says what it is told to, and remembers all."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Asked:
    """A request, as it came over one of the connections."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


def said(status: str, content: object = None, *headers: str) -> bytes:
    """Return a whole answer."""
    body = b"" if content is None else json.dumps(content).encode()
    lines = (f"HTTP/1.1 {status}", "Content-Type: application/json", *headers)
    return "\r\n".join((*lines, f"Content-Length: {len(body)}", "\r\n")).encode() + body


def failed(status: str, message: str) -> bytes:
    return said(status, {"message": message})


OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\nOK"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass
class Engine:
    """Answers what `answer` returns, and closes the connection where that is None or it `ends`."""

    answer: Callable[[Asked], bytes | None] = lambda _: OK
    ends: bool = False
    asked: list[Asked] = field(default_factory=list)
    accepted: list[socket.socket] = field(default_factory=list)
    open: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def serve(self, connection: socket.socket) -> None:
        with self._changed:
            self.accepted.append(connection)
            self.open += 1
            number = len(self.accepted)
        try:
            with connection.makefile("rb") as reader:
                while (asked := _read(reader, number)) and self._treat(connection, asked):
                    pass
        except OSError:
            return
        finally:
            with self._changed:
                self.open -= 1
                self._changed.notify_all()

    def _treat(self, connection: socket.socket, asked: Asked) -> bool:
        self.asked.append(asked)
        answer = self.answer(asked)
        if answer is not None:
            connection.sendall(answer)
        return answer is not None and not self.ends

    def cut(self) -> None:
        """Close all connections, as an engine does that ends."""
        for each in self.accepted:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self.wait_for_open(0)

    def wait_for_open(self, number: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.open == number, 10), self.open


def _read(reader: Any, connection: int) -> Asked | None:
    line = reader.readline().decode()
    if not line:
        return None
    method, target, _ = line.split(" ", 2)
    headers = {}
    while (header := reader.readline().decode().strip()) != "":
        name, _, value = header.partition(": ")
        headers[name.lower()] = value
    body = reader.read(int(headers.get("content-length", 0)))
    return Asked(method, target, headers, body, connection)


@contextmanager
def serving(path: Path) -> Iterator[Engine]:
    """Serve at a path, each connection on a thread of its own."""
    made = Engine()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            made.serve(self.request)

    class Server(socketserver.ThreadingUnixStreamServer):
        request_queue_size = 64

    with Server(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield made
        finally:
            made.cut()
            server.shutdown()
            thread.join()
