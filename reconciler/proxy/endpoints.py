"""Which endpoints of a service get its connections. Pure; `rules.py` is the caller.

Follows kube-proxy (CategorizeEndpoints, ProxyTerminatingEndpoints): ready endpoints get all
connections, those hinted to this node's zone when every one has hints and the zone has some. When
no endpoint is ready anywhere, those that are terminating and still serve get them, so that the last
pod of a service answers until its end; and so for a Local traffic policy, by the endpoints of this
node alone, whatever their zone.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from reconciler.model.address import plain_ipv4
from reconciler.model.endpointslice import MANAGED_BY, POD_SLICES, Endpoint, EndpointSlice
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


def backends(
    slices: Iterable[EndpointSlice], port: ServicePort, node: str, zone: str = ""
) -> Backends:
    """Return the backends of a service port on the node `node`, which is in `zone` if in any."""
    ready: dict[Backend, Endpoint] = {}
    leaving: dict[Backend, Endpoint] = {}
    for backend, endpoint in _targets(slices, port):
        if not (endpoint.ready or (endpoint.serving and endpoint.terminating)):
            continue
        found = ready if endpoint.ready else leaving
        if backend not in found or endpoint.node_name == node:
            found[backend] = endpoint
    local = _local(ready, node) or _local(leaving, node)
    everywhere = _near(ready, zone) or ready or leaving
    return Backends(tuple(sorted(everywhere)), local, bool(everywhere))


def without_dead(
    slices: Iterable[EndpointSlice], dead: Container[str]
) -> tuple[EndpointSlice, ...]:
    """Return the slices without the pods at `dead` addresses, of those that follow pods."""
    return tuple(map(partial(_without_dead, dead=dead), slices))


def _without_dead(obj: EndpointSlice, dead: Container[str]) -> EndpointSlice:
    if obj.metadata.labels.get(MANAGED_BY) != POD_SLICES:
        return obj  # whoever wrote it decides who is ready
    alive = tuple(e for e in obj.endpoints if not any(each in dead for each in e.addresses))
    return obj if len(alive) == len(obj.endpoints) else obj.replace(endpoints=alive)


def _local(found: Mapping[Backend, Endpoint], node: str) -> tuple[Backend, ...]:
    here = (backend for backend, endpoint in found.items() if endpoint.node_name == node)
    return tuple(sorted(here))


def _near(ready: Mapping[Backend, Endpoint], zone: str) -> Collection[Backend]:
    """Return the backends for a zone; none where hints do not decide (canUseTopology)."""
    if not zone or any(endpoint.hints is None for endpoint in ready.values()):
        return ()
    return {backend for backend, endpoint in ready.items() if _is_for(endpoint, zone)}


def _is_for(endpoint: Endpoint, zone: str) -> bool:
    return endpoint.hints is not None and any(
        each.name == zone for each in endpoint.hints.for_zones
    )


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
