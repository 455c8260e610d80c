"""The EndpointSlices of hand-made Endpoints. Pure.

Called by `loop.py` for every Endpoints object whose service has no selector. Follows Kubernetes'
endpointslicemirroring controller: one slice per address family and set of ports, at most 1,000
addresses of a subset, ready ones first; labels and annotations of the Endpoints come along.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from itertools import chain, islice

from reconciler.controllers.slicefill import Form, fill
from reconciler.controllers.slices import (
    Action,
    Change,
    Dress,
    Ports,
    by_ports,
    identity,
    is_of,
    new_slice,
    sort_ports,
)
from reconciler.controllers.triggertime import TRIGGER_TIME
from reconciler.model.endpointslice import (
    MANAGED_BY,
    SERVICE_NAME,
    SKIP_MIRROR,
    Endpoint,
    EndpointConditions,
    EndpointPort,
    EndpointSlice,
)
from reconciler.model.service import EndpointAddress, Endpoints, EndpointSubset, Service

MANAGER = "endpointslicemirroring-controller.k8s.io"
"""What `managed-by` says on slices that are written here."""

CAPACITY = 1000
"""Most addresses of a subset (--mirroring-max-endpoints-per-subset), and most in a slice."""

_LEADER = "control-plane.alpha.kubernetes.io/leader"
_NOT_MIRRORED = (TRIGGER_TIME, "kubectl.kubernetes.io/last-applied-configuration")
_OURS = "reconciler.dev/"
"""The prefix of annotations by which a source knows its own objects, which mirrors are not."""

_FAMILIES = ("IPv4", "IPv6")


def wants_mirror(endpoints: Endpoints | None, service: Service | None) -> bool:
    """Say whether slices are made of Endpoints: of a service without a selector, unless told so."""
    if endpoints is None or service is None or service.spec.selector:
        return False
    meta = endpoints.metadata
    return meta.labels.get(SKIP_MIRROR) != "true" and _LEADER not in meta.annotations


def plan(
    endpoints: Endpoints | None, service: Service | None, existing: Iterable[EndpointSlice]
) -> tuple[Action, ...]:
    """Return what makes the mirrored slices right; nothing when they are.

    `existing` are the slices that this controller has for the name of both.
    """
    slices = sorted(existing, key=lambda obj: obj.metadata.name)
    if endpoints is None or not wants_mirror(endpoints, service):
        return Change(strangers=slices).actions("")
    change = Change(strangers=[obj for obj in slices if not is_of(obj, endpoints)])
    for family in _FAMILIES:
        mine = [obj for obj in slices if is_of(obj, endpoints) and obj.address_type == family]
        change.add(_of_family(endpoints, family, mine))
    return change.actions("")


def skipped(endpoints: Endpoints) -> int:
    """Return how many addresses are too many to be mirrored."""
    return sum(max(0, _size(subset) - CAPACITY) for subset in endpoints.subsets)


def _size(subset: EndpointSubset) -> int:
    return len(subset.addresses) + len(subset.not_ready_addresses)


def _of_family(endpoints: Endpoints, family: str, mine: Iterable[EndpointSlice]) -> Change:
    dress, change, there = _dress(endpoints), Change(), by_ports(mine)
    for ports, wanted in _wanted(endpoints, family).items():
        form = Form(CAPACITY, dress, partial(new_slice, endpoints, family, ports, dress))
        change.add(fill(there.pop(ports, ()), wanted, form))
    for unwanted in there.values():
        change.deleted += unwanted
    return change


def _dress(endpoints: Endpoints) -> Dress:
    meta = endpoints.metadata
    labels = {**meta.labels, SERVICE_NAME: meta.name, MANAGED_BY: MANAGER}
    kept = {
        name: text
        for name, text in meta.annotations.items()
        if name not in _NOT_MIRRORED and not name.startswith(_OURS)
    }
    return Dress(labels, kept)


def _wanted(endpoints: Endpoints, family: str) -> dict[Ports, dict[tuple[str, ...], Endpoint]]:
    found: dict[Ports, dict[tuple[str, ...], Endpoint]] = {}
    for subset in endpoints.subsets:
        ports = _ports(subset)
        for address, ready in _addresses(subset):
            if (":" in address.ip) == (family == "IPv6"):
                endpoint = _endpoint(address, ready=ready)
                found.setdefault(ports, {})[identity(endpoint)] = endpoint
    return found


def _addresses(subset: EndpointSubset) -> Iterable[tuple[EndpointAddress, bool]]:
    every = chain(
        ((address, True) for address in subset.addresses),
        ((address, False) for address in subset.not_ready_addresses),
    )
    return islice(every, CAPACITY)


def _ports(subset: EndpointSubset) -> Ports:
    return sort_ports(
        EndpointPort(
            name=port.name, port=port.port, protocol=port.protocol, app_protocol=port.app_protocol
        )
        for port in subset.ports
    )


def _endpoint(address: EndpointAddress, *, ready: bool) -> Endpoint:
    """Return an address as an endpoint (addressToEndpoint)."""
    return Endpoint(
        addresses=(address.ip,),
        conditions=EndpointConditions(ready=ready),
        target_ref=address.target_ref,
        node_name=address.node_name,
        hostname=address.hostname or None,
    )
