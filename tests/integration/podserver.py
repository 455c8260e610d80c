"""An HTTP server to run in a pod: answers each request with the pod's name, then closes.

It obeys SIGTERM at once, as a well-behaved server does: it takes what already waits at its door,
answers it, and ends without waiting for more. Standard library only, quick to start.
"""

from __future__ import annotations

import selectors
import signal
import socket

_BODY = socket.gethostname().encode() + b"\n"
_HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(_BODY)


class Server:
    """One thread; every connection is answered once."""

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server(("", port), backlog=4096)
        self._listener.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._signalled, write = socket.socketpair()
        self._selector.register(self._signalled, selectors.EVENT_READ)
        write.setblocking(False)
        signal.set_wakeup_fd(write.detach())
        signal.signal(signal.SIGTERM, lambda *_: None)
        self._open: dict[socket.socket, bytes] = {}

    def run(self) -> None:
        """Serve until SIGTERM, and then whoever is there."""
        ending = False
        while not ending or self._open:
            for key, _ in self._selector.select():
                if key.fileobj is self._signalled:
                    ending = True
                    self._signalled.recv(64)
                    self._accept()
                    self._selector.unregister(self._listener)
                    self._listener.close()
                elif key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket):
                    self._read(key.fileobj)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setblocking(False)
            self._open[client] = b""
            self._selector.register(client, selectors.EVENT_READ)
            self._read(client)

    def _read(self, client: socket.socket) -> None:
        try:
            data = client.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        request = self._open[client] + data
        if data and b"\r\n\r\n" not in request:
            self._open[client] = request
            return
        self._selector.unregister(client)
        del self._open[client]
        with client:
            if data:
                client.send(_HEAD + _BODY)


if __name__ == "__main__":
    Server(8080).run()
