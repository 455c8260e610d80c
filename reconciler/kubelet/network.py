"""Netlink: the kernel's links, addresses and routes; the only module that speaks it.

A request is one batch of messages on a plain socket, answered before the call returns. The few
messages needed are packed here: see docs/decisions/netlink.md. Called by `bridge.py` from its
threads; it blocks, and it knows neither pods nor policy.
"""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Self

from reconciler.kubelet.podnetwork import NetworkFailure

POD_LINK = "eth0"
LOOPBACK_INDEX = 1

_NEW_LINK, _DEL_LINK, _GET_LINK, _SET_LINK, _NEW_ADDRESS, _NEW_ROUTE = 16, 17, 18, 19, 20, 24
_REQUEST, _ACK, _DUMP, _REPLACE, _EXCLUSIVE, _CREATE = 0x1, 0x4, 0x300, 0x100, 0x200, 0x400
_ERROR, _DONE = 2, 3
_NESTED = 0x8000
_UP = 1
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)  # once: each is a class, and garbage in a circle
_HEADER = struct.Struct("=IHHII")
_LINK_HEADER = 16
_ATTRIBUTE = struct.Struct("=HH")
# Attributes of links, addresses and routes, by the kernel's names (linux/if_link.h and others).
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_PROTINFO = 1, 3, 4, 10, 12
_IFLA_LINKINFO, _IFLA_NET_NS_PID = 18, 19
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER, _IFLA_BRPORT_MODE = 1, 2, 1, 4
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST = 1, 2, 4
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PREFSRC = 1, 4, 5, 7
_TABLE_MAIN, _PROTOCOL_STATIC, _UNICAST = 254, 4, 1
_SCOPE_UNIVERSE, _SCOPE_LINK = 0, 253


class Netlink:
    """A route netlink socket of the calling thread's network namespace."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self._socket.bind((0, 0))
        self._socket.settimeout(10)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exit_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def ask(self, messages: Sequence[Message], *, allow: int = 0) -> None:
        """Send all as one batch; raise on the first refusal other than the errno `allow`."""
        first = self._sequence + 1
        self._sequence += len(messages)
        pending = set(range(first, first + len(messages)))
        self._socket.send(b"".join(m.packed(n) for n, m in enumerate(messages, first)))
        refused = [code for code in self._answers(pending) if code not in (0, allow)]
        if refused:
            raise NetworkFailure(f"netlink: {os.strerror(refused[0])}")

    def _answers(self, pending: set[int]) -> Iterator[int]:
        while pending:
            data = self._socket.recv(1 << 16)
            for kind, sequence, body in _split(data):
                if kind == _ERROR and sequence in pending:
                    pending.discard(sequence)
                    yield -struct.unpack_from("=i", body)[0]

    def links_of(self, master: int) -> list[str]:
        """Return the names of the links that are ports of a bridge."""
        self._sequence += 1
        self._socket.send(Message(_GET_LINK, _DUMP, _link()).packed(self._sequence))
        names: list[str] = []
        while True:
            for kind, _sequence, body in _split(self._socket.recv(1 << 18)):
                if kind in (_DONE, _ERROR):
                    return names
                name, of = _identify(body)
                if of == master:
                    names.append(name)


def _split(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at + _HEADER.size <= len(data):
        size, kind, _flags, sequence, _port = _HEADER.unpack_from(data, at)
        yield kind, sequence, data[at + _HEADER.size : at + size]
        at += (size + 3) & ~3


def _identify(body: bytes) -> tuple[str, int]:
    """Return a link's name and the index of its master, 0 without one."""
    name, master, at = "", 0, _LINK_HEADER
    while at + _ATTRIBUTE.size <= len(body):
        size, kind = _ATTRIBUTE.unpack_from(body, at)
        value = body[at + _ATTRIBUTE.size : at + size]
        if kind == _IFLA_IFNAME:
            name = value.rstrip(b"\0").decode()
        elif kind == _IFLA_MASTER:
            (master,) = struct.unpack("=I", value)
        at += (size + 3) & ~3
    return name, master


class Message(NamedTuple):
    """One request: its type, its flags beside "request", and everything after the header."""

    kind: int
    flags: int
    body: bytes

    def packed(self, sequence: int) -> bytes:
        """Return the message as it is sent."""
        size = _HEADER.size + len(self.body)
        return _HEADER.pack(size, self.kind, _REQUEST | self.flags, sequence, 0) + self.body


def _attribute(kind: int, value: bytes | int | str | list[bytes]) -> bytes:
    """Encode an attribute: bytes as they are, 32-bit numbers, names, nested attributes."""
    if isinstance(value, int):
        value = struct.pack("=I", value)
    elif isinstance(value, str):
        value = value.encode() + b"\0"
    elif isinstance(value, list):
        value = b"".join(value)
    size = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(size, kind) + value + bytes(-size % 4)


def _link(index: int = 0, *, up: bool = False, family: int = 0) -> bytes:
    """Encode the kernel's ifinfomsg."""
    return struct.pack("=BxHiII", family, 0, index, _UP if up else 0, _UP if up else 0)


def new_bridge(name: str, address: str, mtu: int) -> Message:
    """Make a bridge; its hardware address follows from its IP address."""
    attributes = [
        _attribute(_IFLA_IFNAME, name),
        _attribute(_IFLA_MTU, mtu),
        # A bridge without an address of its own changes it with each port.
        _attribute(_IFLA_ADDRESS, _hardware_address(address)),
        _attribute(_IFLA_LINKINFO, [_attribute(_IFLA_INFO_KIND, "bridge")]),
    ]
    return Message(_NEW_LINK, _ACK | _CREATE | _EXCLUSIVE, _link() + b"".join(attributes))


def new_pair(link: str, bridge: int, pid: int, address: str, mtu: int) -> Message:
    """Make both ends at once: ours up and on the bridge, the pod's in its namespace."""
    peer = [
        _attribute(_IFLA_IFNAME, POD_LINK),
        _attribute(_IFLA_MTU, mtu),
        _attribute(_IFLA_ADDRESS, _hardware_address(address)),
        _attribute(_IFLA_NET_NS_PID, pid),
    ]
    kind = [
        _attribute(_IFLA_INFO_KIND, "veth"),
        _attribute(_IFLA_INFO_DATA, [_attribute(_VETH_INFO_PEER, [_link(), *peer])]),
    ]
    attributes = [
        _attribute(_IFLA_IFNAME, link),
        _attribute(_IFLA_MTU, mtu),
        _attribute(_IFLA_MASTER, bridge),
        _attribute(_IFLA_LINKINFO, kind),
    ]
    body = _link(up=True) + b"".join(attributes)
    return Message(_NEW_LINK, _ACK | _CREATE | _EXCLUSIVE, body)


def hairpin(index: int) -> Message:
    """Let a packet leave by the port it came in: a pod that reaches itself by its service."""
    mode = _attribute(_IFLA_BRPORT_MODE, b"\1")
    port = _attribute(_IFLA_PROTINFO | _NESTED, [mode])
    return Message(_SET_LINK, _ACK, _link(index, family=socket.AF_BRIDGE) + port)


def link_up(index: int) -> Message:
    """Switch a link on."""
    return Message(_NEW_LINK, _ACK, _link(index, up=True))


def new_address(index: int, address: str, prefix: int) -> Message:
    """Add an address to a link; EEXIST when it has it."""
    interface = ipaddress.IPv4Interface(f"{address}/{prefix}")
    body = struct.pack("=BBBBI", socket.AF_INET, prefix, 0, 0, index)
    body += _attribute(_IFA_LOCAL, interface.packed) + _attribute(_IFA_ADDRESS, interface.packed)
    network = interface.network
    if network.num_addresses > 2:  # noqa: PLR2004 - a point to point range has no broadcast
        body += _attribute(_IFA_BROADCAST, network.broadcast_address.packed)
    return Message(_NEW_ADDRESS, _ACK | _CREATE | _EXCLUSIVE, body)


def new_route(index: int, target: str, *, gateway: str = "", source: str = "") -> Message:
    """Set the route to `target` through a link, in place of an equal one."""
    network = ipaddress.IPv4Network(target)
    scope = _SCOPE_UNIVERSE if gateway else _SCOPE_LINK
    lengths = (socket.AF_INET, network.prefixlen, 0, 0)
    body = struct.pack("=8BI", *lengths, _TABLE_MAIN, _PROTOCOL_STATIC, scope, _UNICAST, 0)
    body += _attribute(_RTA_OIF, index)
    if network.prefixlen:
        body += _attribute(_RTA_DST, network.network_address.packed)
    if gateway:
        body += _attribute(_RTA_GATEWAY, ipaddress.IPv4Address(gateway).packed)
    if source:
        body += _attribute(_RTA_PREFSRC, ipaddress.IPv4Address(source).packed)
    return Message(_NEW_ROUTE, _ACK | _CREATE | _REPLACE, body)


def _hardware_address(address: str) -> bytes:
    """Derive it from the IP address, so that no neighbour keeps a stale one."""
    return b"\x0a\x58" + ipaddress.IPv4Address(address).packed


def link_index(name: str) -> int:
    """Return the index of a link of the thread's namespace, 0 when there is none."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0


def delete_link(name: str) -> None:
    """Remove a link of the thread's namespace; absence is success."""
    index = link_index(name)
    if index:
        with Netlink() as host:
            host.ask([Message(_DEL_LINK, _ACK, _link(index))], allow=errno.ENODEV)


@contextmanager
def namespace(pid: int) -> Iterator[None]:
    """Move the calling thread into the network namespace of `pid`, and back."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _set_namespace(f"/proc/{pid}/ns/net")
        try:
            yield
        finally:
            _enter(own)
    finally:
        os.close(own)


def _set_namespace(path: str) -> None:
    try:
        target = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NetworkFailure(f"the pod's network namespace is gone: {error}") from error
    try:
        _enter(target)
    finally:
        os.close(target)


def _enter(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET):
        code = ctypes.get_errno()
        raise NetworkFailure(f"cannot enter a network namespace: {os.strerror(code)}")


def open_socket(pid: int) -> socket.socket:
    """Return a TCP socket inside the network namespace of `pid`, where it stays."""
    with namespace(pid):
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)
