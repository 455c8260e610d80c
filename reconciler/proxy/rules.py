"""One service and its slices as elements of the kernel's maps. Pure; the loop is the caller.

A *frontend* is what a client dials: an address, protocol and port, or, for a node port, a
protocol and port on every local address. Each frontend has a pool of backends. The maps
(their packet path is in `skeleton.py`):

    services            address . protocol . port         -> the chain that serves it
    node-ports          protocol . port                   -> the chain that serves it
    endpoints-tcp       address . protocol . port . slot  -> backend address . port
    node-endpoints-tcp  protocol . port . slot            -> backend address . port

and so for udp and sctp: libnftables ties the type "port of a backend" to one protocol. A load
balancer's address with `loadBalancerSourceRanges` has its clients in the set `sources`
(address . protocol . port . range) and goes through a chain that drops all others.

**The spread is exact.** A pool of n backends fills the slots 0 to n-1, and its frontend points at
the chain `spread-tcp-n`, whose one rule draws `numgen random mod n` and looks the slot up. Each
backend is drawn with probability 1/n for every n; there is no rounding, a pool costs n elements,
and a packet costs two lookups whatever the number of services. There are as many chains as there
are different pool sizes.

**Pods and the host see the whole cluster.** With `externalTrafficPolicy: Local` a node port or an
outside address serves outsiders by this node's endpoints alone, but pods and the host itself by
all (kube-proxy's short-circuit). Where that makes a difference the frontend points at the chain
`divided`, which asks `inside` or `outside` for the chain that serves. Both draw from the same
slots: `spread-tcp-3.2` is the chain of the three slots from slot 2 on.

Nothing here reads the kernel or knows nftables' commands: an element is its text in nftables'
notation.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, collapse_addresses
from typing import NamedTuple

from reconciler.model.address import plain_ipv4
from reconciler.model.endpointslice import EndpointSlice
from reconciler.model.service import Service, ServicePort
from reconciler.proxy.endpoints import Backend, Backends, backends

SERVICES = "services"
NODE_PORTS = "node-ports"
INSIDE = "inside"
OUTSIDE = "outside"
NODE_INSIDE = "node-inside"
NODE_OUTSIDE = "node-outside"
ENDPOINTS = "endpoints"
NODE_ENDPOINTS = "node-endpoints"
HAIRPIN = "hairpin"
REMOTE = "remote"
STICKY = "sticky"
STICKY_PORTS = "sticky-ports"
SOURCES = "sources"
BALANCED = "balanced"
PROTOCOL_NUMBERS = {
    "tcp": socket.IPPROTO_TCP,
    "udp": socket.IPPROTO_UDP,
    "sctp": socket.IPPROTO_SCTP,
}
PROTOCOL_NAMES = {number: name for name, number in PROTOCOL_NUMBERS.items()}
PROTOCOLS = tuple(PROTOCOL_NUMBERS)
SLOTS = tuple(f"{name}-{proto}" for name in (ENDPOINTS, NODE_ENDPOINTS) for proto in PROTOCOLS)
ENTRIES = (SERVICES, NODE_PORTS, INSIDE, OUTSIDE, NODE_INSIDE, NODE_OUTSIDE)
"""The maps from frontends to the chains that serve them."""

MAPS = (*ENTRIES, *SLOTS, HAIRPIN, REMOTE, STICKY, STICKY_PORTS, SOURCES, BALANCED)
"""Every map and set whose elements come from services; the kernel's own `affinity` does not."""

SETS = (HAIRPIN, REMOTE, SOURCES, BALANCED)
"""Those of `MAPS` whose elements have no value."""

DIVIDED = "divided"
REFUSE = "refuse"
DISCARD = "discard"

PROXY_NAME = "service.kubernetes.io/service-proxy-name"
"""The label of services that another proxy serves."""

LOAD_BALANCER_CLASS = "reconciler.dev/host"
"""The loadBalancerClass that names us; a service without a class is ours too."""

_DEFAULT_AFFINITY_SECONDS = 10800  # Kubernetes' DefaultClientIPServiceAffinitySeconds


class Element(NamedTuple):
    """One element: its map, key and value in nftables' notation; a set's value is empty."""

    map: str
    key: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Frontend:
    """What a client dials. `address` is empty for a node port.

    `external` says which traffic policy holds: Kubernetes' externalTrafficPolicy for node ports,
    external and load-balancer addresses, internalTrafficPolicy for cluster addresses. `balanced`
    marks a load balancer's address, to which loadBalancerSourceRanges apply.
    """

    address: str
    protocol: str
    port: int
    external: bool
    balanced: bool = False

    @property
    def key(self) -> str:
        """The key of its element in `services` or `node-ports`."""
        tail = f"{self.protocol} . {self.port}"
        return f"{self.address} . {tail}" if self.address else tail

    @property
    def entry(self) -> str:
        """The map that it is an element of."""
        return SERVICES if self.address else NODE_PORTS

    @property
    def prefix(self) -> str:
        """What the names of node ports' own chains and maps begin with."""
        return "" if self.address else "node-"


@dataclass(frozen=True, slots=True)
class Node:
    """What the rules need to know of this host.

    `address` is the one that it calls others from, `zone` the one that it is in, if it is in any.
    """

    name: str
    pod_network: IPv4Network
    address: str = ""
    zone: str = ""

    def has_pod(self, address: str) -> bool:
        """Tell whether `address` is in this node's podCIDR."""
        packed = 0
        for part in address.split("."):
            packed = packed << 8 | int(part)
        network = self.pod_network
        return packed & int(network.netmask) == int(network.network_address)


@dataclass(frozen=True, slots=True)
class Terms:
    """How a frontend's clients are served.

    `affinity` is for how many seconds a client keeps its backend, 0 for not at all; `sources` are
    the only clients that may call, everybody when there are none.
    """

    affinity: int = 0
    sources: tuple[IPv4Network, ...] = ()


_FREE = Terms()


def is_ours(service: Service) -> bool:
    """Say whether this proxy serves the service: no label names another one."""
    return PROXY_NAME not in service.metadata.labels


def compile_service(
    service: Service, slices: Sequence[EndpointSlice], node: Node
) -> tuple[Element, ...]:
    """Return the elements that make `service` work on `node`, in a fixed order, none twice.

    A frontend without backends refuses connections (Kubernetes' rule); one whose traffic policy
    is Local and that has backends on other nodes only discards them silently.
    """
    found: dict[Element, None] = {}
    for port in service.spec.ports if is_ours(service) else ():
        pools = backends(slices, port, node.name, node.zone)
        for frontend in _frontends(service, port):
            terms = Terms(_affinity(service), _sources(service, frontend, node))
            if not _is_local(service, frontend):
                elements = serve(frontend, pools.cluster, node, terms)
            elif frontend.external:
                elements = _divide(frontend, pools, node, terms)
            else:
                elements = serve(frontend, pools.local, node, terms, _empty(pools))
            found.update(dict.fromkeys(elements))
    return tuple(found)


def serve(
    frontend: Frontend,
    pool: tuple[Backend, ...],
    node: Node,
    terms: Terms = _FREE,
    empty: str = REFUSE,
) -> Iterator[Element]:
    """Yield the elements of one frontend; `empty` is the chain for a pool without backends."""
    key, prefix = frontend.key, frontend.prefix
    if not pool:
        yield Element(frontend.entry, key, f"goto {empty}")
        return
    yield from _guard(frontend, terms.sources)
    guard = "guarded-" if terms.sources else ""
    chain = _chain(frontend, terms, len(pool))
    yield Element(frontend.entry, key, f"goto {prefix}{guard}{chain}")
    yield from _fill(frontend, pool, node, terms)


def _divide(frontend: Frontend, pools: Backends, node: Node, terms: Terms) -> Iterator[Element]:
    """Yield the elements of a frontend whose Local policy does not bind pods and the host."""
    inside, outside = pools.cluster, pools.local
    if inside == outside:
        yield from serve(frontend, outside, node, terms)
        return
    # this node's come first; where they are a part of all, all begin with them
    first = 0 if set(outside) <= set(inside) else len(outside)
    rest = tuple(each for each in inside if first or each not in outside)
    key, prefix = frontend.key, frontend.prefix
    yield from _guard(frontend, terms.sources)
    guard = "guarded-" if terms.sources else ""
    yield Element(frontend.entry, key, f"goto {prefix}{guard}{DIVIDED}")
    chain = _chain(frontend, terms, len(inside), first)
    yield Element(f"{prefix}{INSIDE}", key, f"goto {prefix}{chain}")
    near = f"{prefix}{_chain(frontend, terms, len(outside))}" if outside else _empty(pools)
    yield Element(f"{prefix}{OUTSIDE}", key, f"goto {near}")
    yield from _fill(frontend, (*outside, *rest), node, terms)


def _empty(pools: Backends) -> str:
    return DISCARD if pools.anywhere else REFUSE


def _chain(frontend: Frontend, terms: Terms, size: int, first: int = 0) -> str:
    """Return the chain that draws one of `size` slots from slot `first` on."""
    kind = "sticky" if terms.affinity else "spread"
    return f"{kind}-{frontend.protocol}-{size}{f'.{first}' if first else ''}"


def _guard(frontend: Frontend, sources: tuple[IPv4Network, ...]) -> Iterator[Element]:
    for source in sources:
        text = str(source.network_address if source.prefixlen == source.max_prefixlen else source)
        yield Element(SOURCES, f"{frontend.key} . {text}")


def _fill(
    frontend: Frontend, slots: tuple[Backend, ...], node: Node, terms: Terms
) -> Iterator[Element]:
    key, protocol = frontend.key, frontend.protocol
    if terms.affinity:
        sticky = STICKY if frontend.address else STICKY_PORTS
        yield Element(sticky, key, f"goto remember-{terms.affinity}")
    name = f"{frontend.prefix}{ENDPOINTS}-{protocol}"
    for slot, (address, port) in enumerate(slots):
        yield Element(name, f"{key} . {slot}", f"{address} . {port}")
        if node.has_pod(address):
            yield Element(HAIRPIN, f"{address} . {address}")
        else:
            yield Element(REMOTE, f"{address} . {protocol} . {frontend.port}")


def _frontends(service: Service, port: ServicePort) -> Iterator[Frontend]:
    spec = service.spec
    protocol = (port.protocol or "TCP").lower()
    if spec.type == "ExternalName":
        return
    for address in _plain(spec.cluster_ips or (spec.cluster_ip,)):
        yield Frontend(address, protocol, port.port, external=False)
    for address in _plain(spec.external_ips):
        yield Frontend(address, protocol, port.port, external=True)
    for address in _ingress(service):
        yield Frontend(address, protocol, port.port, external=True, balanced=True)
    if port.node_port and spec.type in ("NodePort", "LoadBalancer"):
        yield Frontend("", protocol, port.node_port, external=True)


def _ingress(service: Service) -> tuple[str, ...]:
    """Return the load balancer's addresses whose packets come to the nodes as they are."""
    ingress = service.status.load_balancer.ingress
    return tuple(_plain(entry.ip for entry in ingress if entry.ip_mode != "Proxy"))


def balanced_addresses(service: Service) -> tuple[str, ...]:
    """Return the addresses that this host must have for the service to be reached from outside.

    Those of a load balancer that is somebody else's come to the host without it.
    """
    spec = service.spec
    ours = spec.load_balancer_class in (None, LOAD_BALANCER_CLASS)
    balances = spec.type == "LoadBalancer" and ours and is_ours(service)
    return _ingress(service) if balances else ()


def _sources(service: Service, frontend: Frontend, node: Node) -> tuple[IPv4Network, ...]:
    """Return who may call a load balancer's address; nothing when everybody may.

    A host that is in the ranges calls an address of its own from that address (kube-proxy's
    allowFromNode).
    """
    texts = service.spec.load_balancer_source_ranges if frontend.balanced else ()
    if not texts:
        return ()
    ranges = [IPv4Network(text.strip(), strict=False) for text in texts if ":" not in text]
    if node.address and any(IPv4Address(node.address) in each for each in ranges):
        ranges.append(IPv4Network(frontend.address))
    allowed = tuple(collapse_addresses(ranges))
    return () if any(each.prefixlen == 0 for each in allowed) else allowed


def _affinity(service: Service) -> int:
    if service.spec.session_affinity != "ClientIP":
        return 0
    config = service.spec.session_affinity_config
    seconds = config.client_ip.timeout_seconds if config and config.client_ip else None
    return seconds or _DEFAULT_AFFINITY_SECONDS


def _is_local(service: Service, frontend: Frontend) -> bool:
    spec = service.spec
    policy = spec.external_traffic_policy if frontend.external else spec.internal_traffic_policy
    return policy == "Local"


def _plain(addresses: Iterable[str]) -> Iterator[str]:
    """Yield the IPv4 addresses among `addresses`, each in its one form."""
    return filter(None, map(plain_ipv4, addresses))
