"""The DNS records of one service, after Kubernetes' DNS-based service discovery 1.1. Pure.

`zone.py` gathers them. A name is its lower-case wire form, a record's data its wire form too, so
that an answer is put together without encoding anything.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator, Mapping

import dns.exception
import dns.name
import dns.reversename

from reconciler.model.address import plain_ipv4
from reconciler.model.endpointslice import Endpoint, EndpointSlice
from reconciler.model.service import Service

A, NS, CNAME, SOA, PTR, TXT, AAAA, SRV = 1, 2, 5, 6, 12, 16, 28, 33

RRsets = Mapping[int, tuple[bytes, ...]]
"""The records at one name: type -> their data."""

_SRV = struct.Struct("!HHH")
_WEIGHT = 100
_ADDRESSES = ("IPv4", "IPv6")


def wire_name(text: str) -> bytes:
    """Return a domain name in wire form, lower-case. Raises `dns.exception.DNSException`."""
    return dns.name.from_text(text).to_digestable()


def reverse_name(address: str) -> bytes:
    """Return the wire form of an address's name under in-addr.arpa."""
    return dns.reversename.from_address(address).to_digestable()


def service_records(
    service: Service, slices: Iterable[EndpointSlice], domain: str
) -> dict[bytes, RRsets]:
    """Return the records of `service` by name.

    A service with a cluster address has that address; a headless one its ready endpoints, none
    when there are none (the name then does not exist, as the specification says); ExternalName is
    an alias.
    """
    meta, spec = service.metadata, service.spec
    name = f"{meta.name}.{meta.namespace}.svc.{domain}"
    found: dict[bytes, dict[int, list[bytes]]] = {}
    if spec.type == "ExternalName":
        records = _alias(name, spec.external_name)
    elif _is_headless(service):
        records = _headless(name, slices)
    else:
        records = _clustered(name, service)
    for owner, kind, data in records:
        values = found.setdefault(owner, {}).setdefault(kind, [])
        if data not in values:
            values.append(data)
    return {owner: {k: tuple(v) for k, v in sets.items()} for owner, sets in found.items()}


_Records = Iterator[tuple[bytes, int, bytes]]


def _alias(name: str, target: str) -> _Records:
    try:
        yield wire_name(name), CNAME, wire_name(target)
    except dns.exception.DNSException:
        return  # a name that DNS cannot carry has no record


def _clustered(name: str, service: Service) -> _Records:
    owner = wire_name(name)
    for address in service.spec.cluster_ips or (service.spec.cluster_ip,):
        if plain := plain_ipv4(address):
            yield owner, A, socket.inet_aton(plain)
            yield reverse_name(plain), PTR, owner
    for port in service.spec.ports:
        if port.name:
            srv = wire_name(f"_{port.name}._{(port.protocol or 'TCP').lower()}.{name}")
            yield srv, SRV, _SRV.pack(0, _WEIGHT, port.port) + owner


def _headless(name: str, slices: Iterable[EndpointSlice]) -> _Records:
    owner = wire_name(name)
    for obj in slices:
        for address, endpoint in _ready(obj):
            host = _host(name, address, endpoint)
            kind, data = _address(address)
            yield owner, kind, data
            yield host, kind, data
            yield reverse_name(address), PTR, host
            for port in obj.ports:
                if port.name and port.port is not None:
                    srv = wire_name(f"_{port.name}._{(port.protocol or 'TCP').lower()}.{name}")
                    yield srv, SRV, _SRV.pack(0, _WEIGHT, port.port) + host


def _ready(obj: EndpointSlice) -> Iterator[tuple[str, Endpoint]]:
    """Yield every address of the endpoints that get connections; names are no addresses."""
    for endpoint in obj.endpoints if obj.address_type in _ADDRESSES else ():
        if endpoint.ready:
            for address in filter(None, map(_plain, endpoint.addresses)):
                yield address, endpoint


def _plain(address: str) -> str:
    return address if ":" in address else plain_ipv4(address)


def _address(address: str) -> tuple[int, bytes]:
    if ":" in address:
        return AAAA, socket.inet_pton(socket.AF_INET6, address)
    return A, socket.inet_pton(socket.AF_INET, address)


def _host(name: str, address: str, endpoint: Endpoint) -> bytes:
    """An endpoint's own name: the pod's hostname, else its address with dashes (as CoreDNS)."""
    dashed = address.replace(".", "-").replace(":", "-")
    return wire_name(f"{endpoint.hostname or dashed}.{name}")


def _is_headless(service: Service) -> bool:
    return service.spec.cluster_ip in ("None", "")
