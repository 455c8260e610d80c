"""What the service `kubernetes` and its endpoints should be. Pure; called by `loop.py`."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.meta import ObjectMeta
from reconciler.model.service import (
    EndpointAddress,
    EndpointPort,
    Endpoints,
    EndpointSubset,
    Service,
    ServicePort,
    ServiceSpec,
)

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

    object: Service | Endpoints


@dataclass(frozen=True, slots=True)
class Update:
    """Put an object right."""

    object: Service | Endpoints


@dataclass(frozen=True, slots=True)
class Replace:
    """Make the service anew: its address cannot be changed."""

    service: Service


Action = Create | Update | Replace


def plan(
    service: Service | None, endpoints: Endpoints | None, wanted: ApiAddress
) -> tuple[Action, ...]:
    """Return what makes the two what they should be; nothing when they are."""
    return (*_service(service, wanted), *_endpoints(endpoints, wanted))


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


def _endpoints(live: Endpoints | None, wanted: ApiAddress) -> tuple[Action, ...]:
    address = EndpointAddress(ip=wanted.host)
    port = EndpointPort(name=_PORT_NAME, port=wanted.port, protocol="TCP")
    subsets = (EndpointSubset(addresses=(address,), ports=(port,)),)
    if live is None:
        meta = ObjectMeta(name=NAME, namespace=NAMESPACE)
        return (Create(Endpoints(metadata=meta, subsets=subsets)),)
    return () if live.subsets == subsets else (Update(live.replace(subsets=subsets)),)
