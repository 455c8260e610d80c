"""Rules of Endpoints."""

from __future__ import annotations

from reconciler.admission.errors import Errors, required
from reconciler.admission.rules import names
from reconciler.admission.rules.addresses import no_special_ip
from reconciler.admission.rules.container import protocol
from reconciler.admission.rules.meta import validate_meta
from reconciler.model.service import EndpointAddress, EndpointPort, Endpoints, EndpointSubset


def endpoints(obj: Endpoints) -> Errors:
    """ValidateEndpointsCreate."""
    yield from validate_meta(obj)
    for index, subset in enumerate(obj.subsets):
        yield from _subset(subset, f"subsets[{index}]")


def _subset(subset: EndpointSubset, path: str) -> Errors:
    if not subset.addresses and not subset.not_ready_addresses:
        yield required(path, "must specify `addresses` or `notReadyAddresses`")
    for index, address in enumerate(subset.addresses):
        yield from _address(address, f"{path}.addresses[{index}]")
    for index, address in enumerate(subset.not_ready_addresses):
        yield from _address(address, f"{path}.notReadyAddresses[{index}]")
    for index, port in enumerate(subset.ports):
        yield from _port(port, len(subset.ports) > 1, f"{path}.ports[{index}]")


def _address(address: EndpointAddress, path: str) -> Errors:
    yield from names.each(f"{path}.ip", address.ip, names.ip_address(address.ip))
    if address.hostname:
        messages = names.dns_label(address.hostname)
        yield from names.each(f"{path}.hostname", address.hostname, messages)
    if address.node_name is not None:
        messages = names.dns_subdomain(address.node_name)
        yield from names.each(f"{path}.nodeName", address.node_name, messages)
    yield from no_special_ip(address.ip, f"{path}.ip")


def _port(port: EndpointPort, named: bool, path: str) -> Errors:
    if named and not port.name:
        yield required(f"{path}.name")
    elif port.name:
        yield from names.each(f"{path}.name", port.name, names.dns_label(port.name))
    yield from names.each(f"{path}.port", port.port, names.port_number(port.port))
    yield from protocol(port.protocol, f"{path}.protocol")
    if port.app_protocol is not None:
        messages = names.qualified_name(port.app_protocol)
        yield from names.each(f"{path}.appProtocol", port.app_protocol, messages)
