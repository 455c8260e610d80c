"""Rules of EndpointSlices."""

from __future__ import annotations

from reconciler.admission.errors import (
    Errors,
    duplicate,
    invalid,
    not_supported,
    required,
    too_many,
)
from reconciler.admission.rules import names
from reconciler.admission.rules.addresses import no_special_ip
from reconciler.admission.rules.container import protocol
from reconciler.admission.rules.meta import labels, validate_meta
from reconciler.model.address import parse_ip
from reconciler.model.endpointslice import Endpoint, EndpointHints, EndpointPort, EndpointSlice

ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_ENDPOINTS_MAX = 1000
_ADDRESSES_MAX = 100
_PORTS_MAX = 20000
_TOPOLOGY_MAX = 16
_ZONES_MAX = 8
_SEGMENTS_MIN = 2
_IMMUTABLE = "field is immutable"


def endpoint_slice(obj: EndpointSlice) -> Errors:
    """ValidateEndpointSlice."""
    yield from validate_meta(obj)
    if not obj.address_type:
        yield required("addressType")
    elif obj.address_type not in ADDRESS_TYPES:
        yield not_supported("addressType", obj.address_type, ADDRESS_TYPES)
    if len(obj.endpoints) > _ENDPOINTS_MAX:
        yield too_many("endpoints", len(obj.endpoints), _ENDPOINTS_MAX)
    else:
        for index, endpoint in enumerate(obj.endpoints):
            yield from _endpoint(endpoint, obj.address_type, f"endpoints[{index}]")
    yield from _ports(obj.ports)


def endpoint_slice_update(new: EndpointSlice, old: EndpointSlice) -> Errors:
    """ValidateEndpointSliceUpdate: what the addresses are never changes."""
    if new.address_type != old.address_type:
        yield invalid("addressType", new.address_type, _IMMUTABLE)


def _endpoint(endpoint: Endpoint, kind: str, path: str) -> Errors:
    yield from _addresses(endpoint.addresses, kind, f"{path}.addresses")
    if endpoint.node_name is not None:
        messages = names.dns_subdomain(endpoint.node_name)
        yield from names.each(f"{path}.nodeName", endpoint.node_name, messages)
    topology = endpoint.deprecated_topology
    if len(topology) > _TOPOLOGY_MAX:
        yield too_many(f"{path}.deprecatedTopology", len(topology), _TOPOLOGY_MAX)
    yield from labels(topology, f"{path}.deprecatedTopology")
    if endpoint.hostname is not None:
        messages = names.dns_label(endpoint.hostname)
        yield from names.each(f"{path}.hostname", endpoint.hostname, messages)
    if endpoint.hints is not None:
        yield from _hints(endpoint.hints, f"{path}.hints.forZones")


def _addresses(addresses: tuple[str, ...], kind: str, path: str) -> Errors:
    if not addresses:
        yield required(path, "must contain at least 1 address")
    elif len(addresses) > _ADDRESSES_MAX:
        yield too_many(path, len(addresses), _ADDRESSES_MAX)
    for index, address in enumerate(addresses):
        where = f"{path}[{index}]"
        match kind:
            case "IPv4" | "IPv6":
                yield from _ip(address, kind, where)
            case "FQDN":
                yield from _fqdn(address, where)


def _ip(address: str, kind: str, path: str) -> Errors:
    """IsValidIPv4Address or IsValidIPv6Address, then ValidateEndpointIP."""
    ip = parse_ip(address)
    if ip is None or f"IPv{ip.version}" != kind:
        yield invalid(path, address, f"must be a valid {kind} address")
    yield from no_special_ip(address, path)


def _fqdn(name: str, path: str) -> Errors:
    """IsFullyQualifiedDomainName."""
    if not name:
        yield required(path)
        return
    bare = name.removesuffix(".")
    if messages := names.dns_subdomain(bare):
        yield invalid(path, bare, ",".join(messages))
    elif len(bare.split(".")) < _SEGMENTS_MIN:
        text = "should be a domain with at least two segments separated by dots"
        yield invalid(path, bare, text)


def _hints(hints: EndpointHints, path: str) -> Errors:
    if len(hints.for_zones) > _ZONES_MAX:
        yield too_many(path, len(hints.for_zones), _ZONES_MAX)
        return
    seen: set[str] = set()
    for index, zone in enumerate(hints.for_zones):
        where = f"{path}[{index}].name"
        if zone.name in seen:
            yield duplicate(where, zone.name)
        seen.add(zone.name)
        yield from names.each(where, zone.name, names.label_value(zone.name))


def _ports(ports: tuple[EndpointPort, ...]) -> Errors:
    if len(ports) > _PORTS_MAX:
        yield too_many("ports", len(ports), _PORTS_MAX)
        return
    seen: set[str] = set()
    for index, port in enumerate(ports):
        path, name = f"ports[{index}]", port.name or ""
        if name:
            yield from names.each(f"{path}.name", name, names.dns_label(name))
        if name in seen:
            yield duplicate(f"{path}.name", name)
        seen.add(name)
        yield from _port(port, path)


def _port(port: EndpointPort, path: str) -> Errors:
    if port.port is not None:
        yield from names.each(f"{path}.port", port.port, names.port_number(port.port))
    yield from protocol(port.protocol or "", f"{path}.protocol")
    if port.app_protocol is not None:
        messages = names.qualified_name(port.app_protocol)
        yield from names.each(f"{path}.appProtocol", port.app_protocol, messages)
