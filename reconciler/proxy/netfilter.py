"""Questions to the kernel's netfilter over netlink: how messages are framed, not what they mean.

Used by `conntrack.py`, `readback.py` and `commits.py`. One question at a time; each call blocks.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

ACK, DUMP = 0x004, 0x300
NESTED = 0x8000
"""Marks an attribute that holds others."""

_NETLINK_NETFILTER = 12
_REQUEST = 0x001
_INTERRUPTED = 0x10  # NLM_F_DUMP_INTR
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_FAMILY_HEADER = struct.Struct("=BBH")
_ATTRIBUTE = struct.Struct("=HH")
_TYPE_MASK = 0x3FFF
_BUFFER_BYTES = 1 << 16
_RECEIVE_BUFFER_FORCE = 33  # SO_RCVBUFFORCE


class Netfilter:
    """A socket in the network namespace of the opening thread.

    Every method raises `OSError` when the kernel refuses, or does not answer within `patience`
    seconds.
    """

    def __init__(self, patience: float) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        self._socket.settimeout(patience)
        self._sequence = 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def ask(
        self, kind: int, flags: int = 0, body: bytes = b"", *, whole: bool = False
    ) -> Iterator[bytes]:
        """Send a question about IPv4 now; return an iterator of the attributes of each answer.

        It ends with the kernel's last word: without `ACK` or `DUMP` there is none, and the caller
        takes one answer. Of a `whole` dump it raises `InterruptedError` at the end when what the
        kernel tells of changed meanwhile.
        """
        self._sequence += 1
        payload = _FAMILY_HEADER.pack(socket.AF_INET, 0, 0) + body
        size = _HEADER.size + len(payload)
        header = _HEADER.pack(size, kind, _REQUEST | flags, self._sequence, 0)
        self._socket.send(header + payload)
        return self._answers(self._sequence, whole=whole)

    def _answers(self, asked: int, *, whole: bool) -> Iterator[bytes]:
        interrupted = False
        while True:
            for kind, flags, sequence, body in _messages(self._socket.recv(_BUFFER_BYTES)):
                if sequence != asked:
                    continue  # the rest of a question that was given up
                interrupted = interrupted or bool(flags & _INTERRUPTED)
                if kind == _ERROR:
                    _raise_failure(body)
                if kind in (_DONE, _ERROR):
                    if interrupted and whole:
                        raise InterruptedError
                    return
                yield body[_FAMILY_HEADER.size :]


class Listener:
    """Hears what the kernel announces to one of netfilter's groups, in the opener's namespace."""

    def __init__(self, group: int, held: int) -> None:
        """Join; so many bytes are held for us. Raises `PermissionError` without CAP_NET_ADMIN."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, _RECEIVE_BUFFER_FORCE, held)
            self._socket.bind((0, 1 << (group - 1)))
        except OSError:
            self._socket.close()
            raise

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def messages(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield kind, family and attributes of what has been announced; does not wait.

        Raises `OSError` (ENOBUFS) once when some of it was lost.
        """
        while True:
            try:
                data = self._socket.recv(_BUFFER_BYTES)
            except BlockingIOError:
                return
            for kind, _, _, body in _messages(data):
                yield kind, body[0], body[_FAMILY_HEADER.size :]


def _messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield the kind, the flags, the sequence number and the content of each message."""
    at = 0
    while at + _HEADER.size <= len(data):
        size, kind, flags, sequence, _ = _HEADER.unpack_from(data, at)
        yield kind, flags, sequence, data[at + _HEADER.size : at + size]
        at += max((size + 3) & ~3, _HEADER.size)


def _raise_failure(body: bytes) -> None:
    """Raise what an error message says; one that says 0 is an acknowledgement."""
    code = -struct.unpack_from("=i", body)[0]
    if code:
        raise OSError(code, os.strerror(code))


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the kind and the value of each attribute."""
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, at)
        if size < _ATTRIBUTE.size:
            return
        yield kind & _TYPE_MASK, data[at + _ATTRIBUTE.size : at + size]
        at += (size + 3) & ~3


def attribute(kind: int, value: bytes) -> bytes:
    """Encode an attribute."""
    size = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(size, kind) + value + bytes(-size % 4)
