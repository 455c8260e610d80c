"""Services, endpoints and a host for the proxy's tests."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

from reconciler.model.meta import ObjectMeta
from reconciler.model.service import (
    EndpointAddress,
    EndpointPort,
    Endpoints,
    EndpointSubset,
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


def make_endpoints(
    *addresses: str,
    name: str = "web",
    port: int = 8080,
    protocol: str = "TCP",
    port_name: str = "",
    node: str = "node-a",
    version: str = "1",
) -> Endpoints:
    subset = EndpointSubset(
        addresses=tuple(EndpointAddress(ip=ip, node_name=node) for ip in addresses),
        ports=(EndpointPort(name=port_name, port=port, protocol=protocol),),
    )
    return Endpoints(
        metadata=ObjectMeta(name=name, namespace="shop", resource_version=version),
        subsets=(subset,) if addresses else (),
    )
