"""The variables that tell a container where services are. Pure.

Kubernetes' names and order (pkg/kubelet/envvars.FromServices); services go by name, where
Kubernetes leaves their order to chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.model.service import Service, ServicePort

MASTER_NAMESPACE, MASTER_SERVICES = "default", ("kubernetes",)


def service_variables(
    services: Iterable[Service], namespace: str, *, links: bool
) -> dict[str, str]:
    """Return the variables of a pod in `namespace`.

    `links` is enableServiceLinks: without it, only the API server's own service is told.
    """
    seen: dict[str, Service] = {}
    for service in services:
        name, home = service.metadata.name, service.metadata.namespace
        if service.spec.cluster_ip in ("", "None"):
            continue
        if home == namespace and links:
            seen[name] = service
        elif home == MASTER_NAMESPACE and name in MASTER_SERVICES:
            seen.setdefault(name, service)
    return dict(pair for name in sorted(seen) for pair in _variables(seen[name]))


def _variables(service: Service) -> Iterator[tuple[str, str]]:
    prefix = _variable(service.metadata.name)
    ports = service.spec.ports
    yield f"{prefix}_SERVICE_HOST", service.spec.cluster_ip
    if ports:
        yield f"{prefix}_SERVICE_PORT", str(ports[0].port)
    for port in ports:
        if port.name:
            yield f"{prefix}_SERVICE_PORT_{_variable(port.name)}", str(port.port)
    for place, port in enumerate(ports):
        yield from _link(prefix, service.spec.cluster_ip, port, first=place == 0)


def _link(
    prefix: str, address: str, port: ServicePort, *, first: bool
) -> Iterator[tuple[str, str]]:
    """Docker's old link variables, by which older images find their partners."""
    protocol = port.protocol or "TCP"
    url = f"{protocol.lower()}://{address}:{port.port}"
    name = f"{prefix}_PORT_{port.port}_{protocol.upper()}"
    if first:
        yield f"{prefix}_PORT", url
    yield name, url
    yield f"{name}_PROTO", protocol.lower()
    yield f"{name}_PORT", str(port.port)
    yield f"{name}_ADDR", address


def _variable(name: str) -> str:
    return name.replace("-", "_").upper()
