"""The kernel's count of nftables transactions, asked over netlink; `table.py` calls it.

Each commit, by whomever, raises the count by one. One question costs some 20 microseconds, so a
foreign change of the rules is noticed without listing them.
"""

from __future__ import annotations

import os
import socket
import struct

_NETLINK_NETFILTER = 12
_GET_GENERATION = 10 << 8 | 16  # NFNL_SUBSYS_NFTABLES, NFT_MSG_GETGEN
_REQUEST = 1
_ERROR = 2
_HEADER = struct.Struct("=IHHII")
_FAMILY_HEADER = struct.Struct("=BBH")
_ATTRIBUTE = struct.Struct("=HH")
_GENERATION_ID = 1
_NO_ANSWER_SECONDS = 2.0


class Generation:
    """A netlink socket that reads the count in the network namespace of the opening thread."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        self._socket.settimeout(_NO_ANSWER_SECONDS)
        self._sequence = 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def read(self) -> int:
        """Return the count. Raises `OSError` when the kernel does not answer."""
        self._sequence += 1
        length = _HEADER.size + _FAMILY_HEADER.size
        header = _HEADER.pack(length, _GET_GENERATION, _REQUEST, self._sequence, 0)
        self._socket.send(header + _FAMILY_HEADER.pack(0, 0, 0))
        while True:
            answer = self._socket.recv(4096)
            _, kind, _, sequence, _ = _HEADER.unpack_from(answer)
            if sequence == self._sequence:
                return _generation(kind, answer)


def _generation(kind: int, answer: bytes) -> int:
    if kind == _ERROR:
        code = -struct.unpack_from("=i", answer, _HEADER.size)[0]
        raise OSError(code, os.strerror(code))
    offset = _HEADER.size + _FAMILY_HEADER.size
    while offset + _ATTRIBUTE.size <= len(answer):
        length, attribute = _ATTRIBUTE.unpack_from(answer, offset)
        if attribute == _GENERATION_ID:
            found: int = struct.unpack_from("!I", answer, offset + _ATTRIBUTE.size)[0]
            return found
        offset += max((length + 3) & ~3, _ATTRIBUTE.size)
    raise OSError("the kernel's answer has no nftables generation")
