"""The load balancers' addresses that this host has for its services; `loop.py` is the caller.

They are put on the pods' bridge, each with the label `reconciler0:lb`: so they answer ARP on every
interface of the host, are found again after a crash, and leave with the bridge when
`reconciler down` removes it. An address that the host has of its own is served too, but is
neither added nor ever removed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from reconciler.proxy.skeleton import BRIDGE

_NEW, _DELETE, _GET = 20, 21, 22  # RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR
_REQUEST, _ACK, _DUMP, _EXCLUSIVE, _CREATE = 0x1, 0x4, 0x300, 0x200, 0x400
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_ADDRESS_HEADER = struct.Struct("=BBBBi")  # struct ifaddrmsg
_ATTRIBUTE = struct.Struct("=HH")
_LOCAL, _LABEL = 2, 3  # IFA_LOCAL, IFA_LABEL
_GET_INDEX = 0x8933  # SIOCGIFINDEX
_INTERFACE_REQUEST = struct.Struct("=16si20x")  # struct ifreq
_BUFFER_BYTES = 1 << 16
_NO_ANSWER_SECONDS = 5.0


class Held(NamedTuple):
    """An address of this host, and whether it is one of ours."""

    address: str
    ours: bool


class BalancedAddresses:
    """A route netlink socket in the network namespace of the opening thread. Every call blocks.

    Methods raise `OSError` when the kernel refuses, as while the bridge is not there yet.
    """

    def __init__(self, bridge: str = BRIDGE) -> None:
        self._bridge = bridge
        self._label = f"{bridge}:lb"
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.settimeout(_NO_ANSWER_SECONDS)
        self._sequence = 0

    def close(self) -> None:
        """Close the socket; the addresses stay."""
        self._socket.close()

    def keep_only(self, wanted: Iterable[str]) -> frozenset[str]:
        """Remove our addresses that are not `wanted`; return the wanted ones that are for us.

        Left out are those that the host has of its own.
        """
        wanted = frozenset(wanted)
        held = tuple(self._held())
        for each in held:
            if each.ours and each.address not in wanted:
                self._change(_DELETE, _REQUEST | _ACK, each.address, errno.EADDRNOTAVAIL)
        return wanted - {each.address for each in held if not each.ours}

    def add(self, addresses: Iterable[str]) -> None:
        """Put addresses on the bridge; one that is there stays as it is."""
        flags = _REQUEST | _ACK | _CREATE | _EXCLUSIVE
        for address in sorted(addresses):
            self._change(_NEW, flags, address, errno.EEXIST)

    def _change(self, kind: int, flags: int, address: str, allowed: int) -> None:
        header = _ADDRESS_HEADER.pack(socket.AF_INET, 32, 0, 0, self._bridge_index())
        label = _attribute(_LABEL, self._label.encode() + b"\0")
        body = header + _attribute(_LOCAL, socket.inet_aton(address)) + label
        for answer, content in self._ask(kind, flags, body):
            code = -struct.unpack_from("=i", content)[0] if answer == _ERROR else 0
            if code not in (0, allowed):
                raise OSError(code, os.strerror(code))

    def _bridge_index(self) -> int:
        request = _INTERFACE_REQUEST.pack(self._bridge.encode(), 0)
        answer = fcntl.ioctl(self._socket, _GET_INDEX, request)
        index: int = _INTERFACE_REQUEST.unpack(answer)[1]
        return index

    def _held(self) -> Iterator[Held]:
        body = _ADDRESS_HEADER.pack(socket.AF_INET, 0, 0, 0, 0)
        for kind, content in self._ask(_GET, _REQUEST | _DUMP, body):
            if kind == _NEW:
                yield self._read(content)

    def _read(self, content: bytes) -> Held:
        address, label, at = "", "", _ADDRESS_HEADER.size
        while at + _ATTRIBUTE.size <= len(content):
            size, kind = _ATTRIBUTE.unpack_from(content, at)
            value = content[at + _ATTRIBUTE.size : at + size]
            if kind == _LOCAL:
                address = socket.inet_ntoa(value)
            elif kind == _LABEL:
                label = value.rstrip(b"\0").decode()
            at += max((size + 3) & ~3, _ATTRIBUTE.size)
        return Held(address, label == self._label)

    def _ask(self, kind: int, flags: int, body: bytes) -> list[tuple[int, bytes]]:
        """Send one message; return the answers up to the acknowledgement or the dump's end."""
        self._sequence += 1
        length = _HEADER.size + len(body)
        self._socket.send(_HEADER.pack(length, kind, flags, self._sequence, 0) + body)
        answers: list[tuple[int, bytes]] = []
        while True:
            for answer, sequence, content in _messages(self._socket.recv(_BUFFER_BYTES)):
                if sequence != self._sequence:
                    continue  # the rest of a call that gave up
                answers.append((answer, content))
                if answer in (_DONE, _ERROR):
                    return answers


def _attribute(kind: int, value: bytes) -> bytes:
    padding = b"\0" * (-len(value) % 4)
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + padding


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at + _HEADER.size <= len(data):
        size, kind, _, sequence, _ = _HEADER.unpack_from(data, at)
        yield kind, sequence, data[at + _HEADER.size : at + size]
        at += max((size + 3) & ~3, _HEADER.size)
