"""The cluster's zone: what each name in it is, kept service by service. Pure state, no input.

`resolver.py` asks, `server.py` puts each service's records in. A question costs one dictionary
look-up whatever the number of services.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.proxy.dns.records import NS, PTR, SOA, TXT, A, RRsets, reverse_name, wire_name

TTL = 5  # seconds: CoreDNS' default for its kubernetes zone

Owner = tuple[str, str]
"""(namespace, name) of a service."""

_RR = struct.Struct("!HHIH")
_SOA_TIMES = struct.Struct("!IIIII")
_VERSION = b"\x051.1.0"
_OCTET_BITS = 8
_REVERSE_ROOTS = (wire_name("in-addr.arpa"), wire_name("ip6.arpa"))


@dataclass(frozen=True, slots=True)
class Settings:
    """What the zone is called and where its server and addresses are."""

    domain: str = "cluster.local"
    server: str = "10.96.0.10"
    service_cidr: str = "10.96.0.0/16"
    cluster_cidr: str = "10.244.0.0/16"


class Zone:
    """Every name under the cluster domain, and under the reverse zones of its addresses."""

    def __init__(self, settings: Settings) -> None:
        self.apex = wire_name(settings.domain)
        self._reverse = tuple(_reverse_apexes(settings))
        self._pods = wire_name(f"pod.{settings.domain}")
        self._names: dict[bytes, dict[Owner, RRsets]] = {}
        self._sets: dict[bytes, RRsets] = {}
        self._below: Counter[bytes] = Counter()
        self._owned: dict[Owner, Mapping[bytes, RRsets]] = {}
        self.authority = _authority(settings.domain)
        self.put(("", ""), _own_records(settings, self.authority))

    def put(self, owner: Owner, records: Mapping[bytes, RRsets]) -> None:
        """Replace the records of a service; an empty mapping forgets it."""
        old = self._owned.pop(owner, {})
        if records:
            self._owned[owner] = records
        for name in old.keys() - records.keys():
            self._change(name, owner, None)
        for name, sets in records.items():
            if old.get(name) != sets:
                self._change(name, owner, sets)

    def apex_of(self, name: bytes) -> bytes:
        """Return the zone of ours that `name` (lower-case) is in, empty when it is not ours."""
        for apex in (self.apex, *self._reverse):
            if _is_under(name, apex):
                return apex
        if name in self._sets:  # the address of an endpoint outside the cluster's ranges
            return next(root for root in _REVERSE_ROOTS if _is_under(name, root))
        return b""

    def find(self, name: bytes) -> RRsets | None:
        """Return the records at `name`; None when there is no such name.

        Empty for a name that only has names below it.
        """
        sets = self._sets.get(name)
        if sets is not None:
            return sets
        if name in self._below:
            return {}
        return self._pod(name)

    def _pod(self, name: bytes) -> RRsets | None:
        """A pod's name by address, `10-244-0-6.shop.pod`, says its own answer, unchecked."""
        if not name.endswith(self._pods):
            return None
        labels = tuple(_labels(name[: -len(self._pods)]))
        if len(labels) == 1:
            return {}
        try:
            address = socket.inet_pton(socket.AF_INET, labels[0].decode().replace("-", "."))
        except (OSError, UnicodeDecodeError, IndexError, ValueError):
            return {} if not labels else None
        return {A: (address,)} if len(labels) == 2 else None  # noqa: PLR2004 - address, namespace

    def _change(self, name: bytes, owner: Owner, sets: RRsets | None) -> None:
        owners = self._names.setdefault(name, {})
        existed = bool(owners)
        if sets is None:
            del owners[owner]
        else:
            owners[owner] = sets
        if owners:
            self._sets[name] = _merge(owners)
        else:
            del self._names[name], self._sets[name]
        self._count_above(name, bool(owners) - existed)

    def _count_above(self, name: bytes, difference: int) -> None:
        if not difference:
            return
        while len(name) > 1:
            name = name[name[0] + 1 :]
            self._below[name] += difference
            if not self._below[name]:
                del self._below[name]


def resource(kind: int, data: bytes, ttl: int = TTL) -> bytes:
    """Return a record in wire form but for its owner's name."""
    return _RR.pack(kind, 1, ttl, len(data)) + data


def _merge(owners: Mapping[Owner, RRsets]) -> RRsets:
    if len(owners) == 1:
        return next(iter(owners.values()))
    merged: dict[int, dict[bytes, None]] = {}
    for owner in sorted(owners):
        for kind, values in owners[owner].items():
            merged.setdefault(kind, {}).update(dict.fromkeys(values))
    return {kind: tuple(values) for kind, values in merged.items()}


def _authority(domain: str) -> bytes:
    """The start-of-authority data; its last number is how long an absence may be believed."""
    server, mailbox = wire_name(f"ns.dns.{domain}"), wire_name(f"hostmaster.{domain}")
    return server + mailbox + _SOA_TIMES.pack(1, 7200, 1800, 86400, TTL)


def _own_records(settings: Settings, authority: bytes) -> dict[bytes, RRsets]:
    domain, server = settings.domain, wire_name(f"ns.dns.{settings.domain}")
    return {
        wire_name(domain): {SOA: (authority,), NS: (server,)},
        server: {A: (socket.inet_aton(settings.server),)},
        reverse_name(settings.server): {PTR: (server,)},
        wire_name(f"dns-version.{domain}"): {TXT: (_VERSION,)},
        wire_name(f"svc.{domain}"): {},
        wire_name(f"pod.{domain}"): {},
    }


def _reverse_apexes(settings: Settings) -> Iterator[bytes]:
    """The in-addr.arpa zones of the cluster's ranges, cut at whole octets."""
    for cidr in (settings.service_cidr, settings.cluster_cidr):
        network = ipaddress.IPv4Network(cidr)
        octets = network.prefixlen // _OCTET_BITS
        labels = str(network.network_address).split(".")[:octets]
        if labels:
            yield wire_name(".".join((*reversed(labels), "in-addr.arpa")))


def _is_under(name: bytes, apex: bytes) -> bool:
    """Tell whether `name` is `apex` or below it; the byte before the match must end a label."""
    if not name.endswith(apex):
        return False
    rest = len(name) - len(apex)
    offset = 0
    while offset < rest:
        offset += name[offset] + 1
    return offset == rest


def _labels(name: bytes) -> Iterator[bytes]:
    offset = 0
    while offset < len(name):
        yield name[offset + 1 : offset + 1 + name[offset]]
        offset += name[offset] + 1
