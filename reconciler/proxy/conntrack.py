"""Forgets UDP flows whose backend left, over ctnetlink; `loop.py` calls it from its worker.

A UDP client that keeps sending from one port stays tied to its first backend by connection
tracking, for as long as it sends. Kubernetes' kube-proxy deletes such flows when endpoints
change, and so do we; TCP connections end by themselves and are left to drain.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from reconciler.proxy.ruleset import Pools

_NETLINK_NETFILTER = 12
_GET = 1 << 8 | 1  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET
_DELETE = 1 << 8 | 2
_REQUEST, _ACK, _DUMP = 0x001, 0x004, 0x300
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_FAMILY_HEADER = struct.Struct("=BBH")
_ATTRIBUTE = struct.Struct("=HH")
_BUFFER_BYTES = 1 << 16
_NO_ANSWER_SECONDS = 5.0
_TYPE_MASK = 0x3FFF

_ORIGINAL, _REPLY, _FILTER = 1, 2, 25  # CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_FILTER
_IP, _PROTO = 1, 2  # CTA_TUPLE_IP, CTA_TUPLE_PROTO
_SOURCE, _DESTINATION = 1, 2  # CTA_IP_V4_SRC, CTA_IP_V4_DST
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3  # CTA_PROTO_NUM, _SRC_PORT, _DST_PORT
_NESTED = 0x8000
_FILTER_BY_PROTOCOL = 1 << 3  # CTA_FILTER_F_CTA_PROTO_NUM


class Flow(NamedTuple):
    """One UDP flow: where the client sends, who answers, and the kernel's own name for it."""

    destination: str
    port: int
    backend: str
    original: bytes


class Conntrack:
    """A ctnetlink socket in the network namespace of the opening thread."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        self._socket.settimeout(_NO_ANSWER_SECONDS)
        self._sequence = 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def forget_udp(self, pools: Pools) -> int:
        """Delete the UDP flows of these frontends that go to a backend outside their pools.

        Returns how many. Raises `OSError` when the kernel refuses.
        """
        udp = {key: pool for key, pool in pools.items() if key.split(" . ")[-2] == "udp"}
        if not udp:
            return 0
        stale = [flow for flow in self._flows() if is_stale(flow, udp)]
        return sum(self._delete(flow) for flow in stale)

    def _flows(self) -> Iterator[Flow]:
        protocol = _nest(_PROTO, _attribute(_NUMBER, bytes([socket.IPPROTO_UDP])))
        only = _attribute(1, struct.pack("=I", _FILTER_BY_PROTOCOL)) + _attribute(2, bytes(4))
        sequence = self._send(_GET, _DUMP, _nest(_ORIGINAL, protocol) + _nest(_FILTER, only))
        for message in self._answers(sequence):
            flow = parse_flow(message)
            if flow:
                yield flow

    def _delete(self, flow: Flow) -> bool:
        sequence = self._send(_DELETE, _ACK, _nest(_ORIGINAL, flow.original))
        try:
            for _ in self._answers(sequence):
                pass
        except OSError as error:
            if error.errno == errno.ENOENT:
                return False  # it ended meanwhile
            raise
        return True

    def _send(self, kind: int, flags: int, body: bytes) -> int:
        self._sequence += 1
        payload = _FAMILY_HEADER.pack(socket.AF_INET, 0, 0) + body
        header = _HEADER.pack(
            _HEADER.size + len(payload), kind, _REQUEST | flags, self._sequence, 0
        )
        self._socket.send(header + payload)
        return self._sequence

    def _answers(self, sequence: int) -> Iterator[bytes]:
        while True:
            data = self._socket.recv(_BUFFER_BYTES)
            offset = 0
            while offset + _HEADER.size <= len(data):
                length, kind, _, answered, _ = _HEADER.unpack_from(data, offset)
                body = data[offset + _HEADER.size : offset + length]
                offset += (length + 3) & ~3
                if answered != sequence:
                    continue
                if kind == _ERROR:
                    _raise_failure(body)
                if kind in (_DONE, _ERROR):
                    return
                yield body[_FAMILY_HEADER.size :]


def is_stale(flow: Flow, pools: Pools) -> bool:
    """Tell whether a frontend in `pools` sends `flow` to a backend that it no longer has."""
    by_port = pools.get(f"udp . {flow.port}")
    pool = pools.get(f"{flow.destination} . udp . {flow.port}", by_port)
    return pool is not None and flow.backend not in pool


def parse_flow(message: bytes) -> Flow | None:
    """Return the flow in a conntrack message's attributes; None when it is no UDP flow of IPv4."""
    attributes = dict(_attributes(message))
    original, reply = attributes.get(_ORIGINAL), attributes.get(_REPLY)
    if original is None or reply is None:
        return None
    sent, answered = _tuple(original), _tuple(reply)
    if sent is None or answered is None:
        return None
    _, destination, _, port = sent
    source, _, source_port, _ = answered
    return Flow(destination, port, f"{source} . {source_port}", original)


def _tuple(data: bytes) -> tuple[str, str, int, int] | None:
    parts = dict(_attributes(data))
    ip, proto = dict(_attributes(parts.get(_IP, b""))), dict(_attributes(parts.get(_PROTO, b"")))
    if proto.get(_NUMBER) != bytes([socket.IPPROTO_UDP]):
        return None
    addresses = ip.get(_SOURCE, b""), ip.get(_DESTINATION, b"")
    ports = proto.get(_SOURCE_PORT, b""), proto.get(_DESTINATION_PORT, b"")
    if tuple(map(len, (*addresses, *ports))) != (4, 4, 2, 2):
        return None
    source, destination = map(socket.inet_ntoa, addresses)
    source_port, port = (int.from_bytes(port, "big") for port in ports)
    return source, destination, source_port, port


def _raise_failure(body: bytes) -> None:
    """Raise what an error message says; one that says 0 is an acknowledgement."""
    code = -struct.unpack_from("=i", body)[0]
    if code:
        raise OSError(code, os.strerror(code))


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _TYPE_MASK, data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3


def _attribute(kind: int, value: bytes) -> bytes:
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + bytes(-length % 4)


def _nest(kind: int, value: bytes) -> bytes:
    return _attribute(kind | _NESTED, value)
