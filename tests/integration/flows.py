"""What connection tracking makes of connections, as it happens: which backend each one got.

A refused connection leaves no trace in the kernel's list, so its events are listened to.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from dataclasses import dataclass, field

from reconciler.proxy import conntrack

_NETLINK_NETFILTER = 12
_NEW_FLOWS = 1  # NFNLGRP_CONNTRACK_NEW, as a bit
_HEADER, _FAMILY_HEADER = 16, 4
_RECEIVE_BYTES = 8 << 20
_HEARD_WITHIN = 0.1
_RECEIVE_FORCED = 33  # SO_RCVBUFFORCE


Client = tuple[str, int]
"""The address and port that a connection was made from."""


@dataclass(slots=True)
class Translations:
    """The backends of each (destination, port, client), in this network namespace.

    Clients of several namespaces have the same ports at the same time: a client is an address too.
    """

    lost: bool = False
    _backends: dict[tuple[str, int, Client], list[tuple[float, str]]] = field(default_factory=dict)
    _socket: socket.socket | None = None
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen, in a thread of its own."""
        listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        listener.setsockopt(socket.SOL_SOCKET, _RECEIVE_FORCED, _RECEIVE_BYTES)
        listener.settimeout(0.1)
        listener.bind((0, _NEW_FLOWS))
        self._socket = listener
        self._thread = threading.Thread(target=self._listen, args=(listener,), name="flows")
        self._thread.start()

    def close(self) -> None:
        """Stop listening; what was heard stays."""
        listener, self._socket = self._socket, None
        if listener is not None and self._thread is not None:
            self._thread.join()
            listener.close()

    def backend(
        self, destination: str, port: int, client: Client, since: float, until: float
    ) -> str:
        """Return the address that a connection was last sent to; empty when it was to none.

        One that is refused is tried again and may be sent elsewhere. Ports come again: what is
        heard after the connection's end is its own only when nothing was heard before.
        """
        heard = self._backends.get((destination, port, client), [])
        during = [backend for at, backend in heard if since <= at <= until]
        late = (backend for at, backend in heard if until < at < until + _HEARD_WITHIN)
        return during[-1] if during else next(late, "")

    def _listen(self, listener: socket.socket) -> None:
        while self._socket is not None:
            try:
                self._take(listener.recv(1 << 16))
            except TimeoutError:
                continue
            except OSError:  # more came than was read
                self.lost = True

    def _take(self, data: bytes) -> None:
        at = 0
        while at + _HEADER <= len(data):
            (length,) = struct.unpack_from("=I", data, at)
            flow = conntrack.parse_flow(data[at + _HEADER + _FAMILY_HEADER : at + length])
            at += (length + 3) & ~3
            if flow is not None and flow.protocol == "tcp":
                sent = conntrack._tuple(flow.original)
                client = (sent.source, sent.source_port) if sent else ("", 0)
                key = (flow.destination, flow.port, client)
                backend = flow.backend.partition(" . ")[0]
                self._backends.setdefault(key, []).append((time.time(), backend))
