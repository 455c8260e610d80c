"""The EndpointSlices of a service, from the pods that its selector matches. Pure.

Called by `loop.py` for every service with a selector. Follows Kubernetes' endpointslice
controller: ended pods and pods without an address are out; a pod that is being deleted stays,
terminating and no longer ready, so that the proxy can fall back on it; pods with the same ports
share slices of at most 100. Equal input gives equal slices, and no write.

Kubernetes leaves a pod out whose Node object is gone; here it stays, without a zone: what is not
known of a node is no reason to cut off its pods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from reconciler.controllers.endpoints.plan import target_port
from reconciler.controllers.podstate import is_ready, is_terminal
from reconciler.controllers.slicefill import Form, Wanted, fill
from reconciler.controllers.slices import (
    HEADLESS,
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
from reconciler.model.endpointslice import (
    MANAGED_BY,
    POD_SLICES,
    SERVICE_NAME,
    Endpoint,
    EndpointConditions,
    EndpointHints,
    EndpointPort,
    EndpointSlice,
    ForZone,
)
from reconciler.model.pod import Pod
from reconciler.model.reference import ObjectReference
from reconciler.model.service import Service

MANAGER = POD_SLICES
"""What `managed-by` says on slices that are written here."""

CAPACITY = 100
"""Most endpoints in a slice (--max-endpoints-per-slice)."""

FAMILY = "IPv4"
Numbers = tuple[int | None, ...]
"""A pod's port behind each port of the service; None where it has none."""

Zones = Callable[[str], str]
"""The zone of a node, empty when it has none."""


def plan(
    service: Service,
    pods: Iterable[Pod],
    existing: Iterable[EndpointSlice],
    zone_of: Zones,
    trigger: str = "",
) -> tuple[Action, ...]:
    """Return what makes the slices of `service` right; nothing when they are.

    `existing` are the slices that this controller has for the service's name; `trigger` is the
    time to note in what is written, see `triggertime.py`.
    """
    slices = sorted(existing, key=lambda obj: obj.metadata.name)
    mine = [obj for obj in slices if _fits(obj, service)]
    strangers = [obj for obj in slices if not _fits(obj, service)]
    dress = Dress(_labels(service))
    change = Change(strangers=strangers)
    there = by_ports(mine)
    for ports, wanted in _wanted(service, pods, zone_of, _by_pod(mine)).items():
        form = Form(CAPACITY, dress, partial(new_slice, service, FAMILY, ports, dress))
        change.add(fill(there.pop(ports, ()), wanted, form))
    for unwanted in there.values():
        change.deleted += unwanted
    _keep_place(change, service, slices, dress)
    return change.actions(trigger)


def _fits(obj: EndpointSlice, service: Service) -> bool:
    return obj.address_type == FAMILY and is_of(obj, service)


def _keep_place(
    change: Change, service: Service, slices: list[EndpointSlice], dress: Dress
) -> None:
    """A service without endpoints has one slice without ports (the placeholder)."""
    if change.created or len(change.deleted) + len(change.strangers) < len(slices):
        return
    place = new_slice(service, FAMILY, (), dress)
    if len(slices) == 1 and _says_nothing_else(slices[0], place):
        change.deleted.clear()
    else:
        change.created.append(place)


def _says_nothing_else(obj: EndpointSlice, place: EndpointSlice) -> bool:
    meta = obj.metadata
    same = (meta.labels, meta.owner_references) == (
        place.metadata.labels,
        place.metadata.owner_references,
    )
    return same and not obj.endpoints and not obj.ports and obj.address_type == FAMILY


def _labels(service: Service) -> dict[str, str]:
    """Return the service's labels and the reserved ones (setEndpointSliceLabels)."""
    labels = {name: text for name, text in service.metadata.labels.items() if name != HEADLESS}
    if service.spec.cluster_ip in ("", "None"):
        labels[HEADLESS] = ""
    return {**labels, SERVICE_NAME: service.metadata.name, MANAGED_BY: MANAGER}


def _by_pod(slices: Iterable[EndpointSlice]) -> dict[str, Endpoint]:
    return {
        endpoint.target_ref.uid: endpoint
        for obj in slices
        for endpoint in obj.endpoints
        if endpoint.target_ref is not None
    }


def _wanted(
    service: Service, pods: Iterable[Pod], zone_of: Zones, known: Mapping[str, Endpoint]
) -> dict[Ports, Wanted]:
    """Return the endpoints by their ports. One that still holds is taken as it is."""
    found: dict[Numbers, dict[tuple[str, ...], Endpoint]] = {}
    for pod in pods:
        if is_terminal(pod) or not pod.status.pod_ip:
            continue
        numbers = tuple(target_port(port, pod) for port in service.spec.ports)
        endpoint = _endpoint(service, pod, zone_of(pod.spec.node_name), known)
        found.setdefault(numbers, {})[identity(endpoint)] = endpoint
    order = sorted(found, key=lambda numbers: [number or 0 for number in numbers])
    return {_ports(service, numbers): found[numbers] for numbers in order}


def _ports(service: Service, numbers: Numbers) -> Ports:
    """Return the ports that a pod listens on for the service (getEndpointPorts)."""
    pairs = zip(service.spec.ports, numbers, strict=True)
    return sort_ports(
        EndpointPort(
            name=port.name, port=number, protocol=port.protocol, app_protocol=port.app_protocol
        )
        for port, number in pairs
        if number is not None
    )


def _endpoint(service: Service, pod: Pod, zone: str, known: Mapping[str, Endpoint]) -> Endpoint:
    """Return the endpoint of a pod (podToEndpoint)."""
    meta, spec = pod.metadata, pod.spec
    serving, terminating = is_ready(pod), meta.deletion_timestamp is not None
    ready = service.spec.publish_not_ready_addresses or (serving and not terminating)
    hostname = spec.hostname if spec.subdomain == service.metadata.name else ""
    near = zone if service.spec.traffic_distribution == "PreferClose" else ""
    face = (
        (pod.status.pod_ip,),
        (ready, serving, terminating),
        (hostname or None, spec.node_name or None, zone or None),
        (near,) if near else (),
    )
    before = known.get(meta.uid)
    if before is not None and _face(before) == face:
        return before
    return Endpoint(
        addresses=face[0],
        conditions=EndpointConditions(ready=ready, serving=serving, terminating=terminating),
        hostname=face[2][0],
        target_ref=ObjectReference(
            kind="Pod", namespace=meta.namespace, name=meta.name, uid=meta.uid
        ),
        node_name=face[2][1],
        zone=face[2][2],
        hints=EndpointHints(for_zones=(ForZone(name=near),)) if near else None,
    )


def _face(endpoint: Endpoint) -> tuple[object, ...]:
    """Return what of a pod's endpoint may change, cheap to compare."""
    state, hints = endpoint.conditions, endpoint.hints
    return (
        endpoint.addresses,
        (state.ready, state.serving, state.terminating),
        (endpoint.hostname, endpoint.node_name, endpoint.zone),
        tuple(zone.name for zone in hints.for_zones) if hints is not None else (),
    )
