"""Which endpoints of a service get its connections. Pure; `rules.py` is the caller.

Follows kube-proxy (CategorizeEndpoints, ProxyTerminatingEndpoints): ready endpoints get all
connections. When no endpoint is ready anywhere, those that are terminating and still serve get
them, so that the last pod of a service answers until its end; and so for a Local traffic policy,
by the endpoints of this node alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from reconciler.model.address import plain_ipv4
from reconciler.model.endpointslice import Endpoint, EndpointSlice
from reconciler.model.service import ServicePort

FAMILY = "IPv4"


class Backend(NamedTuple):
    """Where a connection may go: a pod's address and port."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Backends:
    """The backends of one service port, each sorted.

    `cluster` are those of the policy Cluster, `local` those of the policy Local on this node.
    `anywhere` says whether any node has one.
    """

    cluster: tuple[Backend, ...] = ()
    local: tuple[Backend, ...] = ()
    anywhere: bool = False


def backends(slices: Iterable[EndpointSlice], port: ServicePort, node: str) -> Backends:
    """Return the backends that the slices have for a service port, on the node `node`."""
    ready: dict[Backend, bool] = {}
    leaving: dict[Backend, bool] = {}
    for backend, endpoint in _targets(slices, port):
        here = endpoint.node_name == node
        if endpoint.ready:
            ready[backend] = here or ready.get(backend, False)
        elif endpoint.serving and endpoint.terminating:
            leaving[backend] = here or leaving.get(backend, False)
    local = _local(ready) or _local(leaving)
    return Backends(tuple(sorted(ready or leaving)), local, bool(ready or leaving))


def _local(found: dict[Backend, bool]) -> tuple[Backend, ...]:
    return tuple(sorted(backend for backend, here in found.items() if here))


def _targets(
    slices: Iterable[EndpointSlice], port: ServicePort
) -> Iterator[tuple[Backend, Endpoint]]:
    """Yield each endpoint of the port's name and protocol. Its first address stands for all."""
    protocol = port.protocol or "TCP"
    for obj in slices:
        for target in obj.ports:
            named = (target.name or "") == port.name and (target.protocol or "TCP") == protocol
            if not named or target.port is None:
                continue
            for endpoint in obj.endpoints:
                if address := _address(obj, endpoint):
                    yield Backend(address, target.port), endpoint


def _address(obj: EndpointSlice, endpoint: Endpoint) -> str:
    if obj.address_type != FAMILY or not endpoint.addresses:
        return ""
    return plain_ipv4(endpoint.addresses[0])


def ready_here(slices: Iterable[EndpointSlice], node: str) -> int:
    """Return how many addresses of the service are ready on the node `node`."""
    return len(
        {
            address
            for obj in slices
            for endpoint in obj.endpoints
            if endpoint.ready and endpoint.node_name == node
            if (address := _address(obj, endpoint))
        }
    )
