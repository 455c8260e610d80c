"""Services, endpoints and a host for the proxy's tests."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

from reconciler.model.endpointslice import (
    SERVICE_NAME,
    Endpoint,
    EndpointConditions,
    EndpointPort,
    EndpointSlice,
)
from reconciler.model.meta import ObjectMeta
from reconciler.model.service import (
    LoadBalancerIngress,
    LoadBalancerStatus,
    Service,
    ServicePort,
    ServiceSpec,
    ServiceStatus,
)
from reconciler.proxy.rules import Node

NODE = Node("node-a", IPv4Network("10.244.0.0/24"))
CLUSTER_IP = "10.96.0.20"


def make_service(name: str = "web", **spec: Any) -> Service:
    defaults = {
        "cluster_ip": CLUSTER_IP,
        "cluster_ips": (spec.get("cluster_ip", CLUSTER_IP),),
        "type": "ClusterIP",
        "selector": {"app": name},
        "ports": (ServicePort(port=80, protocol="TCP"),),
    }
    return Service(
        metadata=ObjectMeta(name=name, namespace="shop", creation_timestamp="2026-01-01T00:00:00Z"),
        spec=ServiceSpec(**{**defaults, **spec}),
    )


def make_node_port(name: str = "web", node_port: int = 30001, **spec: Any) -> Service:
    ports = (ServicePort(port=80, protocol="TCP", node_port=node_port),)
    return make_service(name, **{"type": "NodePort", "ports": ports, **spec})


def make_balanced(address: str = "198.51.100.9", **spec: Any) -> Service:
    status = ServiceStatus(
        load_balancer=LoadBalancerStatus(ingress=(LoadBalancerIngress(ip=address),))
    )
    return make_service(type="LoadBalancer", **spec).replace(status=status)


def make_endpoint(*addresses: str, node: str = "node-a", fares: str = "rs") -> Endpoint:
    """An endpoint; `fares` has a letter for each condition that holds: ready, serving, terminating.

    Empty conditions, as a person may write them, are "?".
    """
    unknown = fares == "?"
    conditions = EndpointConditions(
        ready=None if unknown else "r" in fares,
        serving=None if unknown else "s" in fares,
        terminating=None if unknown else "t" in fares,
    )
    return Endpoint(addresses=addresses, node_name=node or None, conditions=conditions)


def make_slice(
    *addresses: str | Endpoint,
    name: str = "web",
    part: int = 1,
    port: int | None = 8080,
    protocol: str = "TCP",
    port_name: str = "",
    node: str = "node-a",
    family: str = "IPv4",
    version: str = "1",
) -> EndpointSlice:
    """A slice of the service `name`; plain addresses are ready endpoints on `node`."""
    endpoints = tuple(
        each if isinstance(each, Endpoint) else make_endpoint(each, node=node) for each in addresses
    )
    metadata = ObjectMeta(
        name=f"{name}-{part}",
        namespace="shop",
        resource_version=version,
        labels={SERVICE_NAME: name},
    )
    ports = (EndpointPort(name=port_name, port=port, protocol=protocol),)
    return EndpointSlice(metadata=metadata, address_type=family, endpoints=endpoints, ports=ports)
