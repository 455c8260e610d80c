"""Who calls what, and who answers: one list for the virtual packets and for the real kernel.

The world of every case: pods 6, 7, 8 and 9 on the node `node-a`, its host, and a machine outside
that is also an endpoint on another node ("far").

    outside 192.168.77.2 ── eth0 192.168.77.1 host reconciler0 10.244.0.1 ── pods 10.244.0.x
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from reconciler.model.endpointslice import EndpointHints, EndpointSlice, ForZone
from reconciler.model.meta import ObjectMeta
from reconciler.model.service import (
    ClientIPConfig,
    LoadBalancerIngress,
    LoadBalancerStatus,
    Service,
    ServicePort,
    ServiceStatus,
    SessionAffinityConfig,
)
from reconciler.proxy.rules import PROXY_NAME, Node
from tests.unit.proxy.builders import NODE, make_endpoint, make_node_port, make_slice

CLUSTER = "10.96.0.20"
BRIDGE = "10.244.0.1"
HOST = "192.168.77.1"
OUTSIDE = "192.168.77.2"
BALANCED = "192.168.77.50"
SERVERS = {
    **{f"10.244.0.{number}": f"pod-{number}" for number in (6, 7, 8, 9)},
    OUTSIDE: "far",
    HOST: "host",
}
"""Who answers at an address."""

REFUSED = frozenset(("refused",))
SILENT = frozenset(("silent",))


@dataclass(frozen=True)
class Call:
    """A connection by pod-N, the host or outside, and all those of whom one answers.

    `seen` is the client's address as the server sees it, empty where that depends on who answers;
    `stays` says that however many calls there are, the same one answers all.
    """

    who: str
    address: str
    port: int
    answers: frozenset[str]
    seen: str = ""
    protocol: str = "tcp"
    stays: bool = False

    @property
    def source(self) -> str:
        """The address from which the caller's kernel calls."""
        if self.who == "host":
            near = {HOST: HOST, "127.0.0.1": "127.0.0.1", BALANCED: BALANCED}
            return near.get(self.address, BRIDGE)
        return OUTSIDE if self.who == "outside" else f"10.244.0.{self.who.removeprefix('pod-')}"


@dataclass(frozen=True)
class Case:
    """A service, its slices, and what becomes of calls on a node of a zone, if it is in any."""

    name: str
    service: Service
    slices: tuple[EndpointSlice, ...]
    calls: tuple[Call, ...]
    zone: str = ""

    @property
    def node(self) -> Node:
        """The node whose rules are meant."""
        return replace(NODE, zone=self.zone)

    def __str__(self) -> str:
        return self.name


def _node_port(protocol: str = "TCP", **spec: Any) -> Service:
    port = ServicePort(port=80, protocol=protocol, node_port=30001)
    return make_node_port(**{"ports": (port,), **spec})


def _balanced(**spec: Any) -> Service:
    status = ServiceStatus(
        load_balancer=LoadBalancerStatus(ingress=(LoadBalancerIngress(ip=BALANCED),))
    )
    return _node_port(**{"type": "LoadBalancer", **spec}).replace(status=status)


def _served(*names: str, who: str = "pod-9", by: str = "", **rest: Any) -> Call:
    """A call to the cluster address, or `by` the node port."""
    address, port = (by, 30001) if by else (CLUSTER, 80)
    return Call(who, address, port, frozenset(names), **rest)


def _ways(*names: str, **rest: Any) -> tuple[Call, ...]:
    """The calls of a pod, the host and somebody outside to a service that serves them alike."""
    return (
        _served(*names, **rest),
        _served(*names, who="host", **rest),
        _served(*names, by=HOST, **rest),
        _served(*names, who="host", by=HOST, **rest),
        _served(*names, who="outside", by=HOST, **rest),
    )


def _pods(*numbers: int, fares: str = "rs", **rest: Any) -> EndpointSlice:
    return make_slice(*(make_endpoint(f"10.244.0.{n}", fares=fares) for n in numbers), **rest)


def _far(fares: str = "rs", node: str = "node-b") -> EndpointSlice:
    return make_slice(make_endpoint(OUTSIDE, node=node, fares=fares), part=2)


def _every_way(protocol: str) -> Iterator[Call]:
    for who, address, port, seen in (
        ("pod-9", CLUSTER, 80, "10.244.0.9"),
        ("pod-6", CLUSTER, 80, BRIDGE),
        ("host", CLUSTER, 80, BRIDGE),
        ("pod-9", HOST, 30001, "10.244.0.9"),
        ("pod-6", HOST, 30001, BRIDGE),
        ("pod-9", BRIDGE, 30001, "10.244.0.9"),
        ("host", HOST, 30001, HOST),
        ("host", "127.0.0.1", 30001, BRIDGE),
        ("outside", HOST, 30001, OUTSIDE),
    ):
        yield Call(who, address, port, frozenset(("pod-6",)), seen, protocol)


def _reachable() -> Iterator[Case]:
    for protocol in ("TCP", "UDP", "SCTP"):
        yield Case(
            f"every way to the service reaches the pod, {protocol}",
            _node_port(protocol),
            (_pods(6, protocol=protocol),),
            tuple(_every_way(protocol.lower())),
        )
    yield Case("a service without endpoints refuses", _node_port(), (), _ways("refused"))
    yield Case(
        "unknown ports and addresses of the service range are refused",
        _node_port(),
        (_pods(6),),
        (
            Call("pod-9", CLUSTER, 81, REFUSED),
            Call("host", CLUSTER, 81, REFUSED),
            Call("pod-9", "10.96.9.9", 80, REFUSED),
            Call("host", "10.96.9.9", 80, REFUSED),
        ),
    )
    yield Case(
        "direct traffic is left alone",
        _node_port(),
        (_pods(6),),
        (
            Call("pod-9", "10.244.0.7", 8080, frozenset(("pod-7",)), "10.244.0.9"),
            Call("outside", HOST, 6443, frozenset(("host",)), OUTSIDE),
            Call("pod-9", HOST, 6443, frozenset(("host",)), "10.244.0.9"),
            Call("pod-9", OUTSIDE, 8080, frozenset(("far",)), HOST),
        ),
    )
    yield Case(
        "a backend outside answers through the host",
        _node_port(),
        (_far(),),
        _ways("far", seen=HOST),
    )
    yield Case(
        "an external address is served",
        _node_port(external_ips=(HOST,)),
        (_pods(6),),
        (Call("outside", HOST, 80, frozenset(("pod-6",)), OUTSIDE),),
    )
    labels = {PROXY_NAME: "another"}
    meta = ObjectMeta(name="web", namespace="shop", labels=labels)
    yield Case(
        "another proxy's service is not served",
        _node_port().replace(metadata=meta),
        (_pods(6),),
        (_served("refused"), _served("refused", who="host")),
    )


def _conditions() -> Iterator[Case]:
    yield Case(
        "only ready endpoints get connections",
        _node_port(),
        (_pods(6), _pods(7, fares="", part=2), _pods(8, fares="st", part=3)),
        _ways("pod-6"),
    )
    yield Case(
        "endpoints of unknown condition are ready",
        _node_port(),
        (_pods(6, 7, fares="?"),),
        _ways("pod-6", "pod-7"),
    )
    yield Case(
        "endpoints are gathered from all slices, also under other target ports",
        _node_port(),
        (_pods(6), make_slice(HOST, port=6443, part=2)),
        (_served("pod-6", "host"),),
    )
    yield Case(
        "without ready endpoints the terminating ones that serve are fallen back on",
        _node_port(),
        (_pods(6, 7, fares="st"), _pods(8, fares="t", part=2)),
        _ways("pod-6", "pod-7"),
    )
    yield Case(
        "endpoints that neither are ready nor serve while terminating refuse",
        _node_port(),
        (_pods(6, fares="t"), _pods(7, fares="s", part=2)),
        _ways("refused"),
    )
    yield Case(
        "whoever publishes the unready gets them until they are gone",
        _node_port(publish_not_ready_addresses=True),
        (_pods(6, fares="r"), _pods(7, fares="rt", part=2)),
        _ways("pod-6", "pod-7"),
    )


def _local() -> Iterator[Case]:
    outer = {"external_traffic_policy": "Local"}
    yield Case(
        "outsiders keep to this node's endpoints, pods and the host see all",
        _node_port(**outer),
        (_pods(6, 7), _far()),
        (
            _served("pod-6", "pod-7", who="outside", by=HOST, seen=OUTSIDE),
            _served("pod-6", "pod-7", "far", by=HOST),
            _served("pod-6", "pod-7", "far", who="host", by=HOST),
            _served("pod-6", "pod-7", "far"),
        ),
    )
    yield Case(
        "outsiders are dropped where no endpoint is here, pods and the host are not",
        _node_port(**outer),
        (_far(),),
        (
            _served("silent", who="outside", by=HOST),
            _served("far", by=HOST),
            _served("far", who="host", by=HOST),
            _served("far"),
        ),
    )
    yield Case(
        "an endpoint of no known node is not here",
        _node_port(**outer),
        (make_slice(make_endpoint("10.244.0.6", node="", fares="?")),),
        (_served("silent", who="outside", by=HOST), _served("pod-6", by=HOST)),
    )
    yield Case(
        "outsiders fall back on this node's terminating endpoints, others go to ready ones",
        _node_port(**outer),
        (_pods(6, 7, fares="st"), _far()),
        (
            _served("pod-6", "pod-7", who="outside", by=HOST, seen=OUTSIDE),
            _served("far", by=HOST),
            _served("far", who="host", by=HOST),
            _served("far"),
        ),
    )
    yield Case(
        "a Local service without endpoints refuses", _node_port(**outer), (), _ways("refused")
    )
    yield Case(
        "a Local load balancer lets in whom its ranges allow, by this node's endpoints",
        _balanced(**outer, load_balancer_source_ranges=("192.168.77.0/24", "10.244.0.8/29")),
        (_pods(6), _far()),
        (
            Call("outside", BALANCED, 80, frozenset(("pod-6",)), OUTSIDE),
            Call("pod-9", BALANCED, 80, frozenset(("pod-6", "far"))),
            Call("pod-7", BALANCED, 80, SILENT),
        ),
    )
    yield Case(
        "an inner Local policy binds pods and the host",
        _node_port(internal_traffic_policy="Local"),
        (_pods(6), _far()),
        (
            _served("pod-6"),
            _served("pod-6", who="host"),
            _served("pod-6", "far", who="outside", by=HOST),
            _served("pod-6", "far", by=HOST),
        ),
    )
    yield Case(
        "an inner Local policy drops where no endpoint is here",
        _node_port(internal_traffic_policy="Local"),
        (_far(),),
        (_served("silent"), _served("far", who="outside", by=HOST)),
    )


def _affinity() -> Iterator[Case]:
    config = SessionAffinityConfig(client_ip=ClientIPConfig(timeout_seconds=60))
    sticky = {"session_affinity": "ClientIP", "session_affinity_config": config}
    names = ("pod-6", "pod-7", "pod-8")
    for protocol in ("TCP", "UDP"):
        yield Case(
            f"a client stays with its backend, {protocol}",
            _node_port(protocol, **sticky),
            (_pods(6, 7, 8, protocol=protocol),),
            _ways(*names, protocol=protocol.lower(), stays=True),
        )
    yield Case(
        "a client stays under a Local policy too",
        _node_port(**sticky, external_traffic_policy="Local"),
        (_pods(6, 7), _far()),
        (
            _served("pod-6", "pod-7", who="outside", by=HOST, stays=True),
            _served("pod-6", "pod-7", "far", by=HOST, stays=True),
        ),
    )


def _hinted(zone: str, address: str, part: int = 1, node: str = "node-a") -> EndpointSlice:
    hints = EndpointHints(for_zones=(ForZone(name=zone),))
    return make_slice(make_endpoint(address, node=node).replace(hints=hints), part=part)


def _zones() -> Iterator[Case]:
    near, far = _hinted("east", "10.244.0.6"), _hinted("west", "10.244.0.7", part=2)
    both = _ways("pod-6", "pod-7")
    yield Case(
        "a zone's endpoints are preferred", _node_port(), (near, far), _ways("pod-6"), "east"
    )
    yield Case("a zone without endpoints sees all", _node_port(), (near, far), both, "south")
    yield Case("a node of no zone sees all", _node_port(), (near, far), both)
    yield Case(
        "where one endpoint has no hint none counts",
        _node_port(),
        (near, _pods(7, part=2)),
        both,
        "east",
    )
    yield Case(
        "terminating endpoints are fallen back on in any zone",
        _node_port(),
        (_pods(6, 7, fares="st"),),
        both,
        "east",
    )
    yield Case(
        "a Local policy knows no zones, what pods and the host see does",
        _node_port(external_traffic_policy="Local"),
        (_hinted("west", "10.244.0.6"), _hinted("west", "10.244.0.7", part=2),
         _hinted("east", OUTSIDE, 3, "node-b"), _hinted("east", "10.244.0.8", 4)),
        (
            _served("pod-6", "pod-7", "pod-8", who="outside", by=HOST),
            _served("pod-8", "far", by=HOST),
            _served("pod-8", "far", who="host", by=HOST),
        ),
        "east",
    )  # fmt: skip


CASES = (*_reachable(), *_conditions(), *_local(), *_affinity(), *_zones())
