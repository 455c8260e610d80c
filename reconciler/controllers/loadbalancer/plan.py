"""Which address each load balancer has. Pure; called by `loop.py` with all of them at once.

The address that a manifest names in `loadBalancerIP` is had before any from the pool. A service
keeps the address that its status shows for as long as it may; the older service comes first.
Two services may share a named address when no port of theirs is the same; an address of the pool
is one service's alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from reconciler.controllers.loadbalancer.pool import AddressPool
from reconciler.model.address import parse_ip
from reconciler.model.service import LoadBalancerIngress, LoadBalancerStatus, Service

CLASS = "reconciler.dev/host"
"""The loadBalancerClass that names us; a service without a class is ours too."""


@dataclass(frozen=True, slots=True)
class Give:
    """Write the load balancer's status of a service; an empty address clears it."""

    service: Service
    address: str

    @property
    def status(self) -> LoadBalancerStatus:
        """The status to write."""
        ingress = (LoadBalancerIngress(ip=self.address, ip_mode="VIP"),) if self.address else ()
        return LoadBalancerStatus(ingress=ingress)


@dataclass(frozen=True, slots=True)
class Refuse:
    """Tell why a service has no address."""

    service: Service
    reason: str


Action = Give | Refuse
Port = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Ranges:
    """The pool, and the networks in which no load balancer may have its address."""

    pool: AddressPool = field(default_factory=AddressPool)
    forbidden: tuple[IPv4Network, ...] = ()


def concerns(service: Service) -> bool:
    """Say whether a service has, wants or had a load balancer of ours."""
    if service.spec.load_balancer_class not in (None, CLASS):
        return False
    return service.spec.type == "LoadBalancer" or bool(service.status.load_balancer.ingress)


def plan(services: Iterable[Service], ranges: Ranges) -> tuple[Action, ...]:
    """Return what to write and to refuse, by namespace and name; nothing when all is right."""
    mine = [service for service in services if concerns(service)]
    wanting = [service for service in mine if service.spec.type == "LoadBalancer"]
    division = _Division(ranges)
    for service in sorted(wanting, key=_precedence):
        division.place(service)
    for service in mine:
        division.write(service)
    return tuple(sorted(division.actions, key=_order))


class _Division:
    """Who has which address so far."""

    def __init__(self, ranges: Ranges) -> None:
        self._ranges = ranges
        self._ports: dict[str, set[Port]] = {}
        self._placed: dict[str, str] = {}
        self._free = iter(ranges.pool)
        self.actions: list[Action] = []

    def place(self, service: Service) -> None:
        wanted = service.spec.load_balancer_ip
        try:
            address = self._named(service, wanted) if wanted else self._pooled(service)
        except _Unavailable as refusal:
            self.actions.append(Refuse(service, str(refusal)))
            return
        self._ports.setdefault(address, set()).update(_ports(service))
        self._placed[service.metadata.uid] = address

    def write(self, service: Service) -> None:
        address = self._placed.get(service.metadata.uid, "")
        if address != _held(service) or len(service.status.load_balancer.ingress) > bool(address):
            self.actions.append(Give(service, address))

    def _named(self, service: Service, wanted: str) -> str:
        address = _parse(wanted)
        if address is None or address.is_loopback or address.is_multicast or int(address) == 0:
            raise _Unavailable(f"loadBalancerIP {wanted!r} is no IPv4 address that a host can have")
        for network in self._ranges.forbidden:
            if address in network:
                raise _Unavailable(f"loadBalancerIP {wanted} lies in {network}, the cluster's own")
        clash = self._ports.get(str(address), set()) & _ports(service)
        if clash:
            protocol, port = min(clash)
            raise _Unavailable(f"{protocol} port {port} of {wanted} is another service's already")
        return str(address)

    def _pooled(self, service: Service) -> str:
        held = _parse(_held(service))
        if held is not None and held in self._ranges.pool and str(held) not in self._ports:
            return str(held)
        for address in self._free:
            if str(address) not in self._ports:
                return str(address)
        if not self._ranges.pool.ranges:
            raise _Unavailable("no loadBalancerIP is given and no load_balancer_pool is set")
        raise _Unavailable("no address of load_balancer_pool is free")


class _Unavailable(Exception):
    """Why a service cannot have an address."""


def _held(service: Service) -> str:
    ingress = service.status.load_balancer.ingress
    return ingress[0].ip if ingress else ""


def _parse(text: str) -> IPv4Address | None:
    address = parse_ip(text)
    return address if isinstance(address, IPv4Address) else None


def _ports(service: Service) -> set[Port]:
    return {(port.protocol or "TCP", port.port) for port in service.spec.ports}


def _precedence(service: Service) -> tuple[bool, bool, str, str, str]:
    """Named addresses first, then who has one, then the older."""
    named, meta = service.spec.load_balancer_ip, service.metadata
    held = _held(service)
    keeps = bool(held) and held == (named or held)
    return not named, not keeps, meta.creation_timestamp or "", meta.namespace, meta.name


def _order(action: Action) -> tuple[str, str, str]:
    meta = action.service.metadata
    return meta.namespace, meta.name, type(action).__name__
