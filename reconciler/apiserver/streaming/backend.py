"""Where a proxy request goes: the address behind `pods/NAME/proxy` and `services/NAME/proxy`.

Names are `[SCHEME:]NAME[:PORT]`, as k8s.io/apimachinery SplitSchemeNamePort reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from random import Random

from reconciler.apiserver.http.target import Target
from reconciler.apiserver.registry.errors import StatusError, bad_request, unavailable
from reconciler.apiserver.registry.registry import Registry
from reconciler.model.pod import Pod
from reconciler.model.service import Endpoints, Service

_SCHEMES = ("http", "https", "")
_LARGEST_PORT = 65535
_BROADCAST = "255.255.255.255"


@dataclass(frozen=True, slots=True)
class Backend:
    """A server: `name` and `kind` are for what is said when it does not answer."""

    address: str
    port: int
    tls: bool = False


@dataclass(frozen=True, slots=True)
class _Asked:
    scheme: str
    name: str
    port: str


def _split(text: str, what: str) -> _Asked:
    parts = text.split(":")
    match parts:
        case [name]:
            asked = _Asked("", name, "")
        case [name, port]:
            asked = _Asked("", name, port)
        case [scheme, name, port] if scheme in _SCHEMES:
            asked = _Asked(scheme, name, port)
        case _:
            raise bad_request(f'invalid {what} request "{text}"')
    if not asked.name:
        raise bad_request(f'invalid {what} request "{text}"')
    return asked


def of_pod(registry: Registry, target: Target) -> Backend:
    """Return where a pod listens: the port named, or its first. Raises `StatusError`."""
    asked = _split(target.name, "pod")
    pod = registry.get(Pod, asked.name, target.namespace)
    tls = asked.scheme == "https"
    port = asked.port or next(
        (str(port.container_port) for each in pod.spec.containers for port in each.ports),
        "443" if tls else "80",
    )
    if not pod.status.pod_ip:
        raise bad_request(f"pod {asked.name} does not have an address assigned")
    if not _is_proxyable(pod.status.pod_ip):
        raise bad_request("address not allowed")
    return Backend(pod.status.pod_ip, _number(port), tls)


def _is_proxyable(text: str) -> bool:
    """Say whether requests may be sent to an address, as proxyutil.IsProxyableIP does.

    Who may write a pod's status must not reach what listens on this host alone.
    """
    try:
        found = ip_address(text)
    except ValueError:
        return False
    address = getattr(found, "ipv4_mapped", None) or found
    local = address.is_loopback or address.is_link_local or address.is_unspecified
    return not (local or address.is_multicast or str(address) == _BROADCAST)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= _LARGEST_PORT:
        raise bad_request(f'address port "{text}" is not a number between 1 and {_LARGEST_PORT}')
    return int(text)


def of_service(registry: Registry, target: Target, random: Random) -> Backend:
    """Return a ready endpoint of a service, at random. Raises `StatusError`."""
    asked = _split(target.name, "service")
    service = registry.get(Service, asked.name, target.namespace)
    wanted = _port_name(service, asked.port)
    found = _ready(registry, asked.name, target.namespace, wanted)
    if not found:
        raise unavailable(f'no endpoints available for service "{target.name}"')
    address, port = random.choice(found)
    return Backend(address, port, asked.scheme == "https")


def _port_name(service: Service, asked: str) -> str:
    """Return the name of the service's port that is asked for by name or number."""
    ports = service.spec.ports
    if not asked and len(ports) == 1:
        return ports[0].name
    for port in ports:
        if asked in (port.name, str(port.port)):
            return port.name
    if asked.isdecimal():
        name = service.metadata.name
        raise unavailable(f'no service port {asked} found for service "{name}"')
    return asked  # a name that no endpoint has


def _ready(registry: Registry, name: str, namespace: str, port: str) -> list[tuple[str, int]]:
    try:
        endpoints = registry.get(Endpoints, name, namespace)
    except StatusError as error:
        if error.reason != "NotFound":
            raise
        return []
    return [
        (address.ip, each.port)
        for subset in endpoints.subsets
        for each in subset.ports
        if each.name == port
        for address in subset.addresses
    ]
