"""What the service `kubernetes`, its endpoints and their slice are to be. Pure; for `loop.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from reconciler.model.endpointslice import (
    SERVICE_NAME,
    SKIP_MIRROR,
    Endpoint,
    EndpointConditions,
    EndpointSlice,
)
from reconciler.model.endpointslice import EndpointPort as SlicePort
from reconciler.model.meta import KubeObject, ObjectMeta
from reconciler.model.service import (
    EndpointAddress,
    EndpointPort,
    Endpoints,
    EndpointSubset,
    Service,
    ServicePort,
    ServiceSpec,
)

T = TypeVar("T", bound=KubeObject)

NAME, NAMESPACE = "kubernetes", "default"
_PORT, _PORT_NAME = 443, "https"
_LABELS = {"component": "apiserver", "provider": "kubernetes"}


@dataclass(frozen=True, slots=True)
class ApiAddress:
    """Where pods reach the API: by the service's `cluster_ip`, which leads to `host` and `port`."""

    cluster_ip: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Create:
    """Make an object."""

    object: Service | Endpoints | EndpointSlice


@dataclass(frozen=True, slots=True)
class Update:
    """Put an object right."""

    object: Service | Endpoints | EndpointSlice


@dataclass(frozen=True, slots=True)
class Replace:
    """Make the service anew: its address cannot be changed."""

    service: Service


Action = Create | Update | Replace


@dataclass(frozen=True, slots=True)
class Live:
    """The objects as they are; None: not there."""

    service: Service | None
    endpoints: Endpoints | None
    slice: EndpointSlice | None


def plan(live: Live, wanted: ApiAddress) -> tuple[Action, ...]:
    """Return what makes all three what they should be; nothing when they are.

    As in Kubernetes the API keeps its slice itself, under its own name (EndpointsAdapter), and the
    Endpoints are not mirrored. The slice comes first, so that the address is never without one.
    """
    return (
        *_service(live.service, wanted),
        *_slice(live.slice, wanted),
        *_endpoints(live.endpoints, wanted),
    )


def _service(live: Service | None, wanted: ApiAddress) -> tuple[Action, ...]:
    port = ServicePort(name=_PORT_NAME, port=_PORT, protocol="TCP", target_port=wanted.port)
    if live is None or live.spec.cluster_ip != wanted.cluster_ip:
        meta = ObjectMeta(name=NAME, namespace=NAMESPACE, labels=_LABELS)
        address = wanted.cluster_ip
        spec = ServiceSpec(
            type="ClusterIP", cluster_ip=address, cluster_ips=(address,), ports=(port,)
        )
        made = Service(metadata=meta, spec=spec)
        return (Create(made),) if live is None else (Replace(made),)
    if live.spec.ports == (port,) and not live.spec.selector and live.spec.type == "ClusterIP":
        return ()
    return (Update(live.replace(spec=live.spec.replace(ports=(port,), selector={}))),)


def _slice(live: EndpointSlice | None, wanted: ApiAddress) -> tuple[Action, ...]:
    endpoint = Endpoint(addresses=(wanted.host,), conditions=EndpointConditions(ready=True))
    endpoints = (endpoint,)
    ports = (SlicePort(name=_PORT_NAME, port=wanted.port, protocol="TCP"),)
    labels = {SERVICE_NAME: NAME}
    if live is None:
        meta = ObjectMeta(name=NAME, namespace=NAMESPACE, labels=labels)
        family = "IPv4"
        made = EndpointSlice(metadata=meta, address_type=family, endpoints=endpoints, ports=ports)
        return (Create(made),)
    if (live.endpoints, live.ports) == (endpoints, ports) and _has(live, labels):
        return ()
    return (Update(_with(live, labels).replace(endpoints=endpoints, ports=ports)),)


def _endpoints(live: Endpoints | None, wanted: ApiAddress) -> tuple[Action, ...]:
    address = EndpointAddress(ip=wanted.host)
    port = EndpointPort(name=_PORT_NAME, port=wanted.port, protocol="TCP")
    subsets = (EndpointSubset(addresses=(address,), ports=(port,)),)
    labels = {SKIP_MIRROR: "true"}
    if live is None:
        meta = ObjectMeta(name=NAME, namespace=NAMESPACE, labels=labels)
        return (Create(Endpoints(metadata=meta, subsets=subsets)),)
    if live.subsets == subsets and _has(live, labels):
        return ()
    return (Update(_with(live, labels).replace(subsets=subsets)),)


def _has(live: KubeObject, labels: Mapping[str, str]) -> bool:
    return labels.items() <= live.metadata.labels.items()


def _with(live: T, labels: Mapping[str, str]) -> T:
    return live.replace(metadata=live.metadata.replace(labels={**live.metadata.labels, **labels}))
