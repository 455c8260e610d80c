"""The Endpoints object of a service, from the pods that its selector matches. Pure.

Called by `loop.py` for every service with a selector. Follows Kubernetes' endpoints controller:
ended pods and pods without an address are out; a pod that is being deleted is out at once, so
that nothing new reaches it before its SIGTERM; the rest are ready or not; ports that the same
addresses have share a subset, so that an address may be in several. The same pods give the same
object, whatever their order.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain

from reconciler.controllers.podstate import is_ready, is_terminal
from reconciler.controllers.slices import HEADLESS
from reconciler.controllers.triggertime import annotated
from reconciler.model.meta import ObjectMeta
from reconciler.model.pod import Pod
from reconciler.model.reference import ObjectReference
from reconciler.model.service import (
    EndpointAddress,
    EndpointPort,
    Endpoints,
    EndpointSubset,
    Service,
    ServicePort,
)

CAPACITY = 1000
"""Most addresses in one Endpoints object (Kubernetes' maxCapacity)."""

OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"

Numbers = tuple[int | None, ...]
"""A pod's port behind each port of the service; None where it has none."""


def wants_endpoints(service: Service) -> bool:
    """Say whether the service's endpoints are made here; others' are left as they are."""
    return bool(service.spec.selector) and service.spec.type != "ExternalName"


def plan(
    service: Service, pods: Iterable[Pod], current: Endpoints | None, trigger: str = ""
) -> Endpoints | None:
    """Return the Endpoints to write, None when `current` says the same already.

    `pods` are those that the selector matches; `trigger` is the time to note in what is written,
    see `triggertime.py`. What others wrote into the annotations of `current` is kept.
    """
    every = subsets(service, pods, _by_pod(current))
    kept = truncate(every)
    labels = dict(service.metadata.labels)
    labels.pop(HEADLESS, None)
    if service.spec.cluster_ip == "None":
        labels[HEADLESS] = ""
    known = current.metadata if current is not None else ObjectMeta()
    annotations = {k: v for k, v in known.annotations.items() if k != OVER_CAPACITY}
    if kept is not every:
        annotations[OVER_CAPACITY] = "truncated"
    if current is not None and (current.subsets, known.labels, known.annotations) == (
        kept,
        labels,
        annotations,
    ):
        return None
    metadata = known.replace(
        name=service.metadata.name,
        namespace=service.metadata.namespace,
        labels=labels,
        annotations=annotated(annotations, trigger),
    )
    return Endpoints(metadata=metadata, subsets=kept)


def subsets(
    service: Service, pods: Iterable[Pod], known: Mapping[str, EndpointAddress]
) -> tuple[EndpointSubset, ...]:
    """Return every address, in subsets of equal ports, all sorted.

    `known` are addresses by the uid of their pod; those that still hold are taken as they are,
    for one pod's change leaves the addresses of all others the same.
    """
    ready: dict[Numbers, list[EndpointAddress]] = {}
    unready: dict[Numbers, list[EndpointAddress]] = {}
    tolerant = service.spec.publish_not_ready_addresses
    for pod in pods:
        if not _belongs(pod, tolerant=tolerant):
            continue
        numbers = _numbers(service, pod)
        if numbers is not None:
            group = ready if tolerant or is_ready(pod) else unready
            group.setdefault(numbers, []).append(_address(service, pod, known))
    groups = {numbers: _ports(service, numbers) for numbers in ready.keys() | unready.keys()}
    made = [
        EndpointSubset(
            addresses=_sorted(chain.from_iterable(ready.get(each, ()) for each in members)),
            not_ready_addresses=_sorted(
                chain.from_iterable(unready.get(each, ()) for each in members)
            ),
            ports=ports,
        )
        for members, ports in _repacked(groups)
    ]
    return tuple(sorted(made, key=lambda subset: [_port_order(port) for port in subset.ports]))


def _repacked(
    groups: Mapping[Numbers, tuple[EndpointPort, ...]],
) -> Iterator[tuple[frozenset[Numbers], tuple[EndpointPort, ...]]]:
    """Yield groups of pods and the ports that exactly they have (RepackSubsets).

    `groups` are disjoint sets of pods, each with all its ports. Pods without any port stay.
    """
    offering: dict[EndpointPort, set[Numbers]] = {}
    for numbers, ports in groups.items():
        if not ports:
            yield frozenset((numbers,)), ()
        for port in ports:
            offering.setdefault(port, set()).add(numbers)
    together: dict[frozenset[Numbers], list[EndpointPort]] = {}
    for port, members in offering.items():
        together.setdefault(frozenset(members), []).append(port)
    for key, found in together.items():
        yield key, tuple(sorted(found, key=_port_order))


def _belongs(pod: Pod, *, tolerant: bool) -> bool:
    if is_terminal(pod) or not pod.status.pod_ip:
        return False
    return tolerant or pod.metadata.deletion_timestamp is None


def _numbers(service: Service, pod: Pod) -> Numbers | None:
    """Return the pod's port behind each service port; None when it serves none of them."""
    if not service.spec.ports:
        return () if service.spec.cluster_ip == "None" else None
    numbers = tuple(target_port(port, pod) for port in service.spec.ports)
    return numbers if any(numbers) else None


def _ports(service: Service, numbers: Numbers) -> tuple[EndpointPort, ...]:
    found = [
        EndpointPort(
            name=port.name, port=number, protocol=port.protocol, app_protocol=port.app_protocol
        )
        for port, number in zip(service.spec.ports, numbers, strict=True)
        if number is not None
    ]
    return tuple(sorted(found, key=_port_order))


def target_port(port: ServicePort, pod: Pod) -> int | None:
    """Return the pod's port behind a service port (FindPort): a name is looked up per pod."""
    if isinstance(port.target_port, int):
        return port.target_port or port.port
    sidecars = [item for item in pod.spec.init_containers if item.restart_policy == "Always"]
    for container in (*pod.spec.containers, *sidecars):
        for candidate in container.ports:
            if (candidate.name, candidate.protocol) == (port.target_port, port.protocol):
                return candidate.container_port
    return None


def _address(service: Service, pod: Pod, known: Mapping[str, EndpointAddress]) -> EndpointAddress:
    meta, spec, ip = pod.metadata, pod.spec, pod.status.pod_ip
    named = spec.hostname and spec.subdomain == service.metadata.name
    hostname = spec.hostname if named else ""
    before = known.get(meta.uid)
    if before and (before.ip, before.hostname, before.node_name) == (ip, hostname, spec.node_name):
        return before
    target = ObjectReference(kind="Pod", namespace=meta.namespace, name=meta.name, uid=meta.uid)
    return EndpointAddress(ip=ip, hostname=hostname, node_name=spec.node_name, target_ref=target)


def _by_pod(endpoints: Endpoints | None) -> dict[str, EndpointAddress]:
    if endpoints is None:
        return {}
    return {
        address.target_ref.uid: address
        for subset in endpoints.subsets
        for address in (*subset.addresses, *subset.not_ready_addresses)
        if address.target_ref is not None
    }


def _sorted(addresses: Iterable[EndpointAddress]) -> tuple[EndpointAddress, ...]:
    return tuple(sorted(addresses, key=_address_order))


def _address_order(address: EndpointAddress) -> tuple[int, bytes, str]:
    uid = address.target_ref.uid if address.target_ref is not None else ""
    return (*_packed(address.ip), uid)


@lru_cache(maxsize=16384)
def _packed(ip: str) -> tuple[int, bytes]:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    return family, socket.inet_pton(family, ip)


def _port_order(port: EndpointPort) -> tuple[int, str, str]:
    return port.port, port.name, port.protocol


def truncate(every: tuple[EndpointSubset, ...]) -> tuple[EndpointSubset, ...]:
    """Keep at most `CAPACITY` addresses, ready ones before others, each subset its share.

    Returns `every` itself when nothing has to go.
    """
    ready = sum(len(subset.addresses) for subset in every)
    unready = sum(len(subset.not_ready_addresses) for subset in every)
    if ready + unready <= CAPACITY:
        return every
    if ready > CAPACITY:
        shares = _shares([len(subset.addresses) for subset in every], CAPACITY)
        kept = [
            subset.replace(addresses=subset.addresses[:share], not_ready_addresses=())
            for subset, share in zip(every, shares, strict=True)
        ]
    else:
        shares = _shares([len(s.not_ready_addresses) for s in every], CAPACITY - ready)
        kept = [
            subset.replace(not_ready_addresses=subset.not_ready_addresses[:share])
            for subset, share in zip(every, shares, strict=True)
        ]
    return tuple(s for s in kept if s.addresses or s.not_ready_addresses)


def _shares(sizes: list[int], room: int) -> list[int]:
    """Divide `room` in proportion to `sizes`, each rounded up while there is room."""
    total, left, shares = sum(sizes), room, []
    for size in sizes:
        share = min(math.ceil(size / total * room), left)
        shares.append(share)
        left -= share
    return shares
