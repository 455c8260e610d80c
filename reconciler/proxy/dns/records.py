"""The DNS records of one service, after Kubernetes' DNS-based service discovery 1.1. Pure.

`zone.py` gathers them. A name is its lower-case wire form, a record's data its wire form too, so
that an answer is put together without encoding anything.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Mapping

import dns.exception
import dns.name
import dns.reversename

from reconciler.model.service import EndpointAddress, Endpoints, EndpointSubset, Service

A, NS, CNAME, SOA, PTR, TXT, AAAA, SRV = 1, 2, 5, 6, 12, 16, 28, 33

RRsets = Mapping[int, tuple[bytes, ...]]
"""The records at one name: type -> their data."""

_SRV = struct.Struct("!HHH")
_WEIGHT = 100


def wire_name(text: str) -> bytes:
    """Return a domain name in wire form, lower-case. Raises `dns.exception.DNSException`."""
    return dns.name.from_text(text).to_digestable()


def reverse_name(address: str) -> bytes:
    """Return the wire form of an address's name under in-addr.arpa."""
    return dns.reversename.from_address(address).to_digestable()


def service_records(
    service: Service, endpoints: Endpoints | None, domain: str
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
        records = _headless(name, endpoints.subsets if endpoints else ())
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
        if "." in address:
            yield owner, A, socket.inet_aton(address)
            yield reverse_name(address), PTR, owner
    for port in service.spec.ports:
        if port.name:
            srv = wire_name(f"_{port.name}._{(port.protocol or 'TCP').lower()}.{name}")
            yield srv, SRV, _SRV.pack(0, _WEIGHT, port.port) + owner


def _headless(name: str, subsets: tuple[EndpointSubset, ...]) -> _Records:
    owner = wire_name(name)
    for subset in subsets:
        for address in subset.addresses:
            if "." not in address.ip:
                continue
            data, host = socket.inet_aton(address.ip), _host(name, address)
            yield owner, A, data
            yield host, A, data
            yield reverse_name(address.ip), PTR, host
            for port in subset.ports:
                if port.name:
                    srv = wire_name(f"_{port.name}._{(port.protocol or 'TCP').lower()}.{name}")
                    yield srv, SRV, _SRV.pack(0, _WEIGHT, port.port) + host


def _host(name: str, address: EndpointAddress) -> bytes:
    """An endpoint's own name: the pod's hostname, else its address with dashes (as CoreDNS)."""
    return wire_name(f"{address.hostname or address.ip.replace('.', '-')}.{name}")


def _is_headless(service: Service) -> bool:
    return service.spec.cluster_ip in ("None", "")
