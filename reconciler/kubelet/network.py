"""Netlink: the kernel's links, addresses and routes. The only importer of pyroute2.

Of that only the message formats are used: a request here is one batch of messages on a plain
socket, answered before the call returns. Called by `bridge.py` from its threads; it blocks, and
it knows neither pods nor policy.
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
from typing import Any, Self

from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from reconciler.kubelet.podnetwork import NetworkFailure

POD_LINK = "eth0"
LOOPBACK_INDEX = 1

_NEW_LINK, _DEL_LINK, _GET_LINK, _SET_LINK, _NEW_ADDRESS, _NEW_ROUTE = 16, 17, 18, 19, 20, 24
_REQUEST, _ACK, _DUMP, _REPLACE, _EXCLUSIVE, _CREATE = 0x1, 0x4, 0x300, 0x100, 0x200, 0x400
_ERROR, _DONE = 2, 3
_NESTED = 0x8000
_UP = 1
_CLONE_NEWNET = 0x40000000
_HEADER = struct.Struct("=IHHII")
_LINK_HEADER = 16
_ATTRIBUTE = struct.Struct("=HH")
_IFLA_IFNAME, _IFLA_MASTER = 3, 10


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

    def ask(self, messages: Sequence[Any], *, allow: int = 0) -> None:
        """Send all as one batch; raise on the first refusal other than the errno `allow`."""
        data = bytearray()
        for message in messages:
            self._sequence += 1
            message["header"]["sequence_number"] = self._sequence
            message.encode()
            data += message.data
        self._socket.send(data)
        pending = {self._sequence - place: message for place, message in enumerate(messages[::-1])}
        refused = [code for code in self._answers(pending) if code not in (0, allow)]
        if refused:
            raise NetworkFailure(f"netlink: {os.strerror(refused[0])}")

    def _answers(self, pending: dict[int, Any]) -> Iterator[int]:
        while pending:
            data = self._socket.recv(1 << 16)
            for kind, sequence, body in _split(data):
                if kind == _ERROR and pending.pop(sequence, None) is not None:
                    yield -struct.unpack_from("=i", body)[0]

    def links_of(self, master: int) -> list[str]:
        """Return the names of the links that are ports of a bridge."""
        self._sequence += 1
        message = _link_message(_GET_LINK, _DUMP, {})
        message["header"]["sequence_number"] = self._sequence
        message.encode()
        self._socket.send(message.data)
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


def _message(kind_of: type[Any], kind: int, flags: int, fields: dict[str, Any]) -> Any:
    message = kind_of()
    message["header"]["type"] = kind
    message["header"]["flags"] = _REQUEST | flags
    for name, value in fields.items():
        message[name] = value
    return message


def _link_message(kind: int, flags: int, fields: dict[str, Any]) -> Any:
    return _message(ifinfmsg, kind, flags, fields)


def new_bridge(name: str, address: str, mtu: int) -> Any:
    """Make a bridge; its hardware address follows from its IP address."""
    attributes = [
        ("IFLA_IFNAME", name),
        ("IFLA_MTU", mtu),
        # A bridge without an address of its own changes it with each port.
        ("IFLA_ADDRESS", _hardware_address(address)),
        ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", "bridge")]}),
    ]
    return _link_message(_NEW_LINK, _ACK | _CREATE | _EXCLUSIVE, {"attrs": attributes})


def new_pair(link: str, bridge: int, pid: int, address: str, mtu: int) -> Any:
    """Both ends in one message: ours up and on the bridge, the pod's in its namespace."""
    peer = [
        ("IFLA_IFNAME", POD_LINK),
        ("IFLA_MTU", mtu),
        ("IFLA_ADDRESS", _hardware_address(address)),
        ("IFLA_NET_NS_PID", pid),
    ]
    kind = [
        ("IFLA_INFO_KIND", "veth"),
        ("IFLA_INFO_DATA", {"attrs": [("VETH_INFO_PEER", {"attrs": peer})]}),
    ]
    attributes = [
        ("IFLA_IFNAME", link),
        ("IFLA_MTU", mtu),
        ("IFLA_MASTER", bridge),
        ("IFLA_LINKINFO", {"attrs": kind}),
    ]
    fields = {"flags": _UP, "change": _UP, "attrs": attributes}
    return _link_message(_NEW_LINK, _ACK | _CREATE | _EXCLUSIVE, fields)


def hairpin(index: int) -> Any:
    """Let a packet leave by the port it came in: a pod that reaches itself by its service."""
    port = {"attrs": [("IFLA_BRPORT_MODE", 1)]}
    fields = {
        "family": socket.AF_BRIDGE,
        "index": index,
        "attrs": [("IFLA_PROTINFO", port, _NESTED)],
    }
    return _link_message(_SET_LINK, _ACK, fields)


def link_up(index: int) -> Any:
    """Switch a link on."""
    return _link_message(_NEW_LINK, _ACK, {"index": index, "flags": _UP, "change": _UP})


def new_address(index: int, address: str, prefix: int) -> Any:
    """Add an address to a link; EEXIST when it has it."""
    network = ipaddress.IPv4Interface(f"{address}/{prefix}").network
    attributes = [("IFA_LOCAL", address), ("IFA_ADDRESS", address)]
    if network.num_addresses > 2:  # noqa: PLR2004 - a point to point range has no broadcast
        attributes.append(("IFA_BROADCAST", str(network.broadcast_address)))
    fields = {
        "family": socket.AF_INET,
        "prefixlen": prefix,
        "index": index,
        "attrs": attributes,
    }
    return _message(ifaddrmsg, _NEW_ADDRESS, _ACK | _CREATE | _EXCLUSIVE, fields)


def new_route(index: int, target: str, *, gateway: str = "", source: str = "") -> Any:
    """Set the route to `target` through a link, in place of an equal one."""
    network = ipaddress.IPv4Network(target)
    attributes: list[tuple[str, Any]] = [("RTA_OIF", index)]
    if network.prefixlen:
        attributes.append(("RTA_DST", str(network.network_address)))
    if gateway:
        attributes.append(("RTA_GATEWAY", gateway))
    if source:
        attributes.append(("RTA_PREFSRC", source))
    fields = {
        "family": socket.AF_INET,
        "dst_len": network.prefixlen,
        "table": 254,
        "proto": 4,
        "type": 1,
        "scope": 0 if gateway else 253,
        "attrs": attributes,
    }
    return _message(rtmsg, _NEW_ROUTE, _ACK | _CREATE | _REPLACE, fields)


def _hardware_address(address: str) -> str:
    """Derive it from the IP address, so that no neighbour keeps a stale one."""
    return "0a:58:" + ":".join(f"{byte:02x}" for byte in ipaddress.IPv4Address(address).packed)


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
            host.ask([_link_message(_DEL_LINK, _ACK, {"index": index})], allow=errno.ENODEV)


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
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET):
        code = ctypes.get_errno()
        raise NetworkFailure(f"cannot enter a network namespace: {os.strerror(code)}")
