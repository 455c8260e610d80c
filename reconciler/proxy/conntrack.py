"""Forgets flows whose backend left or is no more, over ctnetlink; called from workers.

A UDP client that keeps sending from one port stays tied to its first backend by connection
tracking, for as long as it sends. Kubernetes' kube-proxy deletes such flows when endpoints
change, and so do we (`loop.py`). Connections are left to drain; `departures.py` says which of
them are forgotten, and when.
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

_ORIGINAL, _REPLY, _STATUS = 1, 2, 3  # CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_STATUS
_PROTOCOL_STATE, _ID = 4, 12  # CTA_PROTOINFO, CTA_ID
_TCP, _TCP_STATE = 1, 1  # CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_STATE
_FILTER, _STATUS_MASK = 25, 26  # CTA_FILTER, CTA_STATUS_MASK
_ORIGINAL_FLAGS, _REPLY_FLAGS = 1, 2  # CTA_FILTER_ORIG_FLAGS, CTA_FILTER_REPLY_FLAGS
_IP, _PROTO = 1, 2  # CTA_TUPLE_IP, CTA_TUPLE_PROTO
_SOURCE, _DESTINATION = 1, 2  # CTA_IP_V4_SRC, CTA_IP_V4_DST
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3  # CTA_PROTO_NUM, _SRC_PORT, _DST_PORT
_NESTED = 0x8000
_BY_SOURCE = 1 << 0  # CTA_FILTER_F_CTA_IP_SRC
_BY_PROTOCOL = 1 << 3  # CTA_FILTER_F_CTA_PROTO_NUM
_ANSWERED = 1 << 1  # IPS_SEEN_REPLY
_TIME_WAIT = b"\x07"  # TCP_CONNTRACK_TIME_WAIT
_NUMBERS = {
    "tcp": socket.IPPROTO_TCP,
    "udp": socket.IPPROTO_UDP,
    "sctp": socket.IPPROTO_SCTP,
}
_NAMES = {number: name for name, number in _NUMBERS.items()}


class Flow(NamedTuple):
    """One flow: where the client sends, who answers, and the kernel's own name for it.

    `backend` is in nftables' notation (address . port); `answered`: it has sent something;
    `over`: only TCP's quarantine of the ports is left of it. `id` tells it from a later flow of
    the same ports.
    """

    protocol: str
    destination: str
    port: int
    backend: str
    original: bytes
    id: bytes = b""
    answered: bool = True
    over: bool = False


class Conntrack:
    """A ctnetlink socket in the network namespace of the opening thread.

    Every method raises `OSError` when the kernel refuses.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        self._socket.settimeout(_NO_ANSWER_SECONDS)
        self._sequence = 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def forget_udp(self, pools: Pools) -> int:
        """Delete the UDP flows of these frontends that go to a backend outside their pools.

        Returns how many.
        """
        udp = {key: pool for key, pool in pools.items() if key.split(" . ")[-2] == "udp"}
        if not udp:
            return 0
        number = _attribute(_NUMBER, bytes([socket.IPPROTO_UDP]))
        only = _nest(_ORIGINAL, _nest(_PROTO, number)) + _filter(original=_BY_PROTOCOL)
        stale = [flow for flow in self._flows(only) if is_stale(flow, udp)]
        return sum(self._delete(flow) for flow in stale)

    def forget_backend(self, address: str, *, unanswered: bool = False) -> int:
        """Delete the flows that this address answers, or is still to answer; return how many.

        `unanswered`: only those to which it has sent nothing yet. Those that are over stay: a new
        connection of the same ports replaces them.
        """
        source = _nest(_IP, _attribute(_SOURCE, socket.inet_aton(address)))
        only = _nest(_REPLY, source) + _filter(reply=_BY_SOURCE)
        if unanswered:
            only += _attribute(_STATUS, bytes(4)) + _attribute(_STATUS_MASK, _big(_ANSWERED))
        flows = [
            flow
            for flow in self._flows(only)
            if flow.backend.partition(" . ")[0] == address
            and not (flow.over or (unanswered and flow.answered))
        ]
        return sum(self._delete(flow) for flow in flows)

    def backends(self) -> frozenset[str]:
        """Return every address that answers a flow, or is still to."""
        found = self._flows(b"")
        return frozenset(f.backend.partition(" . ")[0] for f in found if not f.over)

    def _flows(self, only: bytes) -> Iterator[Flow]:
        """List flows; a kernel that does not know a filter lists more than was asked for."""
        for message in self._answers(self._send(_GET, _DUMP, only)):
            flow = parse_flow(message)
            if flow:
                yield flow

    def _delete(self, flow: Flow) -> bool:
        same = _attribute(_ID, flow.id) if flow.id else b""
        sequence = self._send(_DELETE, _ACK, _nest(_ORIGINAL, flow.original) + same)
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
    by_port = pools.get(f"{flow.protocol} . {flow.port}")
    pool = pools.get(f"{flow.destination} . {flow.protocol} . {flow.port}", by_port)
    return pool is not None and flow.backend not in pool


def parse_flow(message: bytes) -> Flow | None:
    """Return the flow in a conntrack message's attributes; None for what has no ports or IPv4."""
    attributes = dict(_attributes(message))
    original, reply = attributes.get(_ORIGINAL), attributes.get(_REPLY)
    if original is None or reply is None:
        return None
    sent, answered = _tuple(original), _tuple(reply)
    if sent is None or answered is None:
        return None
    status = int.from_bytes(attributes.get(_STATUS, b""), "big")
    state = _inside(attributes.get(_PROTOCOL_STATE, b""), _TCP, _TCP_STATE)
    return Flow(
        protocol=sent.protocol,
        destination=sent.destination,
        port=sent.port,
        backend=f"{answered.source} . {answered.source_port}",
        original=original,
        id=attributes.get(_ID, b""),
        answered=bool(status & _ANSWERED),
        over=state == _TIME_WAIT,
    )


class _Tuple(NamedTuple):
    protocol: str
    source: str
    destination: str
    source_port: int
    port: int


def _tuple(data: bytes) -> _Tuple | None:
    parts = dict(_attributes(data))
    ip, proto = dict(_attributes(parts.get(_IP, b""))), dict(_attributes(parts.get(_PROTO, b"")))
    protocol = _NAMES.get(int.from_bytes(proto.get(_NUMBER, b""), "big"))
    addresses = ip.get(_SOURCE, b""), ip.get(_DESTINATION, b"")
    ports = proto.get(_SOURCE_PORT, b""), proto.get(_DESTINATION_PORT, b"")
    if protocol is None or tuple(map(len, (*addresses, *ports))) != (4, 4, 2, 2):
        return None
    source, destination = map(socket.inet_ntoa, addresses)
    source_port, port = (int.from_bytes(port, "big") for port in ports)
    return _Tuple(protocol, source, destination, source_port, port)


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


def _inside(data: bytes, *path: int) -> bytes:
    """Return the value of the attribute at the end of the path, empty when there is none."""
    for kind in path:
        data = dict(_attributes(data)).get(kind, b"")
    return data


def _attribute(kind: int, value: bytes) -> bytes:
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + bytes(-length % 4)


def _nest(kind: int, value: bytes) -> bytes:
    return _attribute(kind | _NESTED, value)


def _big(number: int) -> bytes:
    return number.to_bytes(4, "big")


def _filter(*, original: int = 0, reply: int = 0) -> bytes:
    """Say which parts of the two tuples a flow must have to be listed."""
    flags = struct.pack("=I", original), struct.pack("=I", reply)
    return _nest(
        _FILTER, _attribute(_ORIGINAL_FLAGS, flags[0]) + _attribute(_REPLY_FLAGS, flags[1])
    )
