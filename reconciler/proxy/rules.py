"""One service and its endpoints as elements of the kernel's maps. Pure; the loop is the caller.

A *frontend* is what a client dials: an address, protocol and port, or, for a node port, a
protocol and port on every local address. Each frontend has a pool of ready backends. The maps
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
are different pool sizes, at most 1,000 because Kubernetes caps Endpoints there.

Nothing here reads the kernel or knows nftables' commands: an element is its text in nftables'
notation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, collapse_addresses
from typing import NamedTuple

from reconciler.model.service import Endpoints, EndpointSubset, Service, ServicePort

SERVICES = "services"
NODE_PORTS = "node-ports"
ENDPOINTS = "endpoints"
NODE_ENDPOINTS = "node-endpoints"
HAIRPIN = "hairpin"
REMOTE = "remote"
STICKY = "sticky"
STICKY_PORTS = "sticky-ports"
SOURCES = "sources"
BALANCED = "balanced"
PROTOCOLS = ("tcp", "udp", "sctp")
SLOTS = tuple(f"{name}-{proto}" for name in (ENDPOINTS, NODE_ENDPOINTS) for proto in PROTOCOLS)
MAPS = (SERVICES, NODE_PORTS, *SLOTS, HAIRPIN, REMOTE, STICKY, STICKY_PORTS, SOURCES, BALANCED)
"""Every map and set whose elements come from services; the kernel's own `affinity` does not."""

SETS = (HAIRPIN, REMOTE, SOURCES, BALANCED)
"""Those of `MAPS` whose elements have no value."""

REFUSE = "refuse"
DISCARD = "discard"

LOAD_BALANCER_CLASS = "reconciler.dev/host"
"""The loadBalancerClass that names us; a service without a class is ours too."""

_DEFAULT_AFFINITY_SECONDS = 10800  # Kubernetes' DefaultClientIPServiceAffinitySeconds


class Element(NamedTuple):
    """One element: its map, key and value in nftables' notation; a set's value is empty."""

    map: str
    key: str
    value: str = ""


class Backend(NamedTuple):
    """Where a connection may go: a pod's address and port."""

    address: str
    port: int


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


@dataclass(frozen=True, slots=True)
class Node:
    """What the rules need to know of this host; `address` is the one that it calls others from."""

    name: str
    pod_network: IPv4Network
    address: str = ""

    def has_pod(self, address: str) -> bool:
        """Tell whether `address` is in this node's podCIDR."""
        packed = 0
        for part in address.split("."):
            packed = packed << 8 | int(part)
        network = self.pod_network
        return packed & int(network.netmask) == int(network.network_address)


def compile_service(
    service: Service, endpoints: Endpoints | None, node: Node
) -> tuple[Element, ...]:
    """Return the elements that make `service` work on `node`, in a fixed order, none twice.

    A frontend without a ready backend refuses connections (Kubernetes' rule); one whose traffic
    policy is Local and that has backends on other nodes only discards them silently.
    """
    found: dict[Element, None] = {}
    subsets = endpoints.subsets if endpoints else ()
    for port in service.spec.ports:
        everywhere = _backends(subsets, port, "")
        here = _backends(subsets, port, node.name) if _has_local_policy(service) else ()
        for frontend in _frontends(service, port):
            local = _is_local(service, frontend)
            pool = here if local else everywhere
            empty = DISCARD if local and everywhere else REFUSE
            sources = _sources(service, frontend, node)
            affinity = _affinity(service)
            elements = serve(frontend, pool, node, affinity=affinity, empty=empty, sources=sources)
            found.update(dict.fromkeys(elements))
    return tuple(found)


def serve(
    frontend: Frontend,
    pool: tuple[Backend, ...],
    node: Node,
    *,
    affinity: int = 0,
    empty: str = REFUSE,
    sources: tuple[IPv4Network, ...] = (),
) -> Iterator[Element]:
    """Yield the elements of one frontend.

    `affinity` is for how many seconds a client keeps its backend, 0 for not at all; `empty` is the
    chain for a pool without backends; `sources` are the only clients that may, everybody when
    there are none.
    """
    entry, slots, sticky, prefix = (
        (SERVICES, ENDPOINTS, STICKY, "")
        if frontend.address
        else (NODE_PORTS, NODE_ENDPOINTS, STICKY_PORTS, "node-")
    )
    key = frontend.key
    if not pool:
        yield Element(entry, key, f"goto {empty}")
        return
    kind = "sticky" if affinity else "spread"
    protocol = frontend.protocol
    prefix = f"{prefix}guarded-" if sources else prefix
    for source in sources:
        text = str(source.network_address if source.prefixlen == source.max_prefixlen else source)
        yield Element(SOURCES, f"{key} . {text}")
    yield Element(entry, key, f"goto {prefix}{kind}-{protocol}-{len(pool)}")
    if affinity:
        yield Element(sticky, key, f"goto remember-{affinity}")
    for slot, (address, port) in enumerate(pool):
        yield Element(f"{slots}-{protocol}", f"{key} . {slot}", f"{address} . {port}")
        if node.has_pod(address):
            yield Element(HAIRPIN, f"{address} . {address}")
        else:
            yield Element(REMOTE, f"{address} . {protocol} . {frontend.port}")


def _frontends(service: Service, port: ServicePort) -> Iterator[Frontend]:
    spec = service.spec
    protocol = (port.protocol or "TCP").lower()
    if spec.type == "ExternalName":
        return
    for address in spec.cluster_ips or (spec.cluster_ip,):
        if _is_v4(address):
            yield Frontend(address, protocol, port.port, external=False)
    for address in spec.external_ips:
        if _is_v4(address):
            yield Frontend(address, protocol, port.port, external=True)
    for address in _ingress(service):
        yield Frontend(address, protocol, port.port, external=True, balanced=True)
    if port.node_port and spec.type in ("NodePort", "LoadBalancer"):
        yield Frontend("", protocol, port.node_port, external=True)


def _ingress(service: Service) -> tuple[str, ...]:
    """Return the load balancer's addresses whose packets come to the nodes as they are."""
    ingress = service.status.load_balancer.ingress
    return tuple(entry.ip for entry in ingress if entry.ip_mode != "Proxy" and _is_v4(entry.ip))


def balanced_addresses(service: Service) -> tuple[str, ...]:
    """Return the addresses that this host must have for the service to be reached from outside.

    Those of a load balancer that is somebody else's come to the host without it.
    """
    spec = service.spec
    ours = spec.load_balancer_class in (None, LOAD_BALANCER_CLASS)
    return _ingress(service) if spec.type == "LoadBalancer" and ours else ()


def _sources(service: Service, frontend: Frontend, node: Node) -> tuple[IPv4Network, ...]:
    """Return who may call a load balancer's address; nothing when everybody may.

    A host that is in the ranges calls an address of its own from that address (kube-proxy's
    allowFromNode).
    """
    texts = service.spec.load_balancer_source_ranges if frontend.balanced else ()
    ranges = [IPv4Network(text.strip(), strict=False) for text in texts if _is_v4(text)]
    if node.address and any(IPv4Address(node.address) in each for each in ranges):
        ranges.append(IPv4Network(frontend.address))
    allowed = tuple(collapse_addresses(ranges))
    return () if any(each.prefixlen == 0 for each in allowed) else allowed


def _backends(
    subsets: tuple[EndpointSubset, ...], port: ServicePort, node_name: str
) -> tuple[Backend, ...]:
    protocol = port.protocol or "TCP"
    return tuple(
        sorted(
            {
                Backend(address.ip, target.port)
                for subset in subsets
                for target in subset.ports
                if target.name == port.name and (target.protocol or "TCP") == protocol
                for address in subset.addresses
                if (not node_name or address.node_name == node_name) and _is_v4(address.ip)
            }
        )
    )


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


def _has_local_policy(service: Service) -> bool:
    spec = service.spec
    return "Local" in (spec.external_traffic_policy, spec.internal_traffic_policy)


def _is_v4(address: str) -> bool:
    return "." in address and ":" not in address
