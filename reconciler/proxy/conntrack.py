"""Forgets flows whose backend left or is no more, over ctnetlink; called from workers.

A UDP client that keeps sending from one port stays tied to its first backend by connection
tracking, for as long as it sends. Kubernetes' kube-proxy deletes such flows when endpoints
change, and so do we (`loop.py`). Connections are left to drain; `departures.py` says which of
them are forgotten, and when.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from reconciler.proxy.netfilter import ACK, DUMP, NESTED, Netfilter, attribute, attributes
from reconciler.proxy.rules import PROTOCOL_NAMES
from reconciler.proxy.ruleset import Pools

_GET = 1 << 8 | 1  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET
_DELETE = 1 << 8 | 2
_NO_ANSWER_SECONDS = 5.0

_ORIGINAL, _REPLY, _STATUS = 1, 2, 3  # CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_STATUS
_PROTOCOL_STATE, _ID = 4, 12  # CTA_PROTOINFO, CTA_ID
_TCP, _TCP_STATE = 1, 1  # CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_STATE
_FILTER, _STATUS_MASK = 25, 26  # CTA_FILTER, CTA_STATUS_MASK
_ORIGINAL_FLAGS, _REPLY_FLAGS = 1, 2  # CTA_FILTER_ORIG_FLAGS, CTA_FILTER_REPLY_FLAGS
_IP, _PROTO = 1, 2  # CTA_TUPLE_IP, CTA_TUPLE_PROTO
_SOURCE, _DESTINATION = 1, 2  # CTA_IP_V4_SRC, CTA_IP_V4_DST
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3  # CTA_PROTO_NUM, _SRC_PORT, _DST_PORT
_BY_SOURCE = 1 << 0  # CTA_FILTER_F_CTA_IP_SRC
_BY_PROTOCOL = 1 << 3  # CTA_FILTER_F_CTA_PROTO_NUM
_ANSWERED = 1 << 1  # IPS_SEEN_REPLY
_TIME_WAIT = b"\x07"  # TCP_CONNTRACK_TIME_WAIT


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
        self._netfilter = Netfilter(_NO_ANSWER_SECONDS)

    def close(self) -> None:
        """Close the socket."""
        self._netfilter.close()

    def forget_udp(self, pools: Pools) -> int:
        """Delete the UDP flows of these frontends that go to a backend outside their pools.

        Returns how many.
        """
        udp = {key: pool for key, pool in pools.items() if key.split(" . ")[-2] == "udp"}
        if not udp:
            return 0
        number = attribute(_NUMBER, bytes([socket.IPPROTO_UDP]))
        only = _nest(_ORIGINAL, _nest(_PROTO, number)) + _filter(original=_BY_PROTOCOL)
        stale = [flow for flow in self._flows(only) if is_stale(flow, udp)]
        return sum(self._delete(flow) for flow in stale)

    def forget_backend(self, address: str, *, unanswered: bool = False) -> int:
        """Delete the flows that this address answers, or is still to answer; return how many.

        `unanswered`: only those to which it has sent nothing yet. Those that are over stay: a new
        connection of the same ports replaces them.
        """
        source = _nest(_IP, attribute(_SOURCE, socket.inet_aton(address)))
        only = _nest(_REPLY, source) + _filter(reply=_BY_SOURCE)
        if unanswered:
            only += attribute(_STATUS, bytes(4)) + attribute(_STATUS_MASK, _big(_ANSWERED))
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
        for message in self._netfilter.ask(_GET, DUMP, only):
            flow = parse_flow(message)
            if flow:
                yield flow

    def _delete(self, flow: Flow) -> bool:
        same = attribute(_ID, flow.id) if flow.id else b""
        try:
            for _ in self._netfilter.ask(_DELETE, ACK, _nest(_ORIGINAL, flow.original) + same):
                pass
        except OSError as error:
            if error.errno == errno.ENOENT:
                return False  # it ended meanwhile
            raise
        return True


def is_stale(flow: Flow, pools: Pools) -> bool:
    """Tell whether a frontend in `pools` sends `flow` to a backend that it no longer has."""
    by_port = pools.get(f"{flow.protocol} . {flow.port}")
    pool = pools.get(f"{flow.destination} . {flow.protocol} . {flow.port}", by_port)
    return pool is not None and flow.backend not in pool


def parse_flow(message: bytes) -> Flow | None:
    """Return the flow in a conntrack message's attributes; None for what has no ports or IPv4."""
    found = dict(attributes(message))
    original, reply = found.get(_ORIGINAL), found.get(_REPLY)
    if original is None or reply is None:
        return None
    sent, answered = _tuple(original), _tuple(reply)
    if sent is None or answered is None:
        return None
    status = int.from_bytes(found.get(_STATUS, b""), "big")
    state = _inside(found.get(_PROTOCOL_STATE, b""), _TCP, _TCP_STATE)
    return Flow(
        protocol=sent.protocol,
        destination=sent.destination,
        port=sent.port,
        backend=f"{answered.source} . {answered.source_port}",
        original=original,
        id=found.get(_ID, b""),
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
    parts = dict(attributes(data))
    ip, proto = dict(attributes(parts.get(_IP, b""))), dict(attributes(parts.get(_PROTO, b"")))
    protocol = PROTOCOL_NAMES.get(int.from_bytes(proto.get(_NUMBER, b""), "big"))
    addresses = ip.get(_SOURCE, b""), ip.get(_DESTINATION, b"")
    ports = proto.get(_SOURCE_PORT, b""), proto.get(_DESTINATION_PORT, b"")
    if protocol is None or tuple(map(len, (*addresses, *ports))) != (4, 4, 2, 2):
        return None
    source, destination = map(socket.inet_ntoa, addresses)
    source_port, port = (int.from_bytes(port, "big") for port in ports)
    return _Tuple(protocol, source, destination, source_port, port)


def _inside(data: bytes, *path: int) -> bytes:
    """Return the value of the attribute at the end of the path, empty when there is none."""
    for kind in path:
        data = dict(attributes(data)).get(kind, b"")
    return data


def _nest(kind: int, value: bytes) -> bytes:
    return attribute(kind | NESTED, value)


def _big(number: int) -> bytes:
    return number.to_bytes(4, "big")


def _filter(*, original: int = 0, reply: int = 0) -> bytes:
    """Say which parts of the two tuples a flow must have to be listed."""
    flags = struct.pack("=I", original), struct.pack("=I", reply)
    return _nest(_FILTER, attribute(_ORIGINAL_FLAGS, flags[0]) + attribute(_REPLY_FLAGS, flags[1]))
