"""Mirrored slices: families, port sets, and what comes along."""

from __future__ import annotations

from reconciler.controllers.endpointslicemirroring.plan import plan
from reconciler.controllers.slices import CreateSlice
from reconciler.controllers.triggertime import TRIGGER_TIME
from reconciler.model.meta import ObjectMeta
from reconciler.model.service import (
    EndpointAddress,
    EndpointPort,
    Endpoints,
    EndpointSubset,
    Service,
)

SERVICE = Service(metadata=ObjectMeta(name="db", namespace="shop"))
HTTP = EndpointPort(name="http", port=80, protocol="TCP")
ADMIN = EndpointPort(name="admin", port=81, protocol="TCP")


def subset(
    *ips: str, ports: tuple[EndpointPort, ...] = (HTTP,), unready: str = ""
) -> EndpointSubset:
    return EndpointSubset(
        addresses=tuple(EndpointAddress(ip=ip, hostname="h", node_name="n") for ip in ips),
        not_ready_addresses=(EndpointAddress(ip=unready),) if unready else (),
        ports=ports,
    )


def test_one_slice_for_each_family_and_set_of_ports() -> None:
    endpoints = Endpoints(
        metadata=ObjectMeta(
            name="db",
            namespace="shop",
            annotations={
                TRIGGER_TIME: "then",
                "reconciler.dev/source": "main/Endpoints/shop/db",
                "a": "b",
            },
        ),
        subsets=(
            subset("192.0.2.1", "2001:db8::1"),
            subset("192.0.2.2", unready="192.0.2.3"),
            subset("192.0.2.1", ports=(ADMIN, HTTP)),
        ),
    )
    actions = plan(endpoints, SERVICE, [])
    found = [
        (
            action.slice.address_type,
            [port.port for port in action.slice.ports],
            [(e.addresses[0], e.conditions.ready) for e in action.slice.endpoints],
        )
        for action in actions
        if isinstance(action, CreateSlice)
    ]
    assert found == [
        ("IPv4", [80], [("192.0.2.1", True), ("192.0.2.2", True), ("192.0.2.3", False)]),
        ("IPv4", [80, 81], [("192.0.2.1", True)]),
        ("IPv6", [80], [("2001:db8::1", True)]),
    ]
    first = actions[0].slice.endpoints[0]
    assert (first.hostname, first.node_name) == ("h", "n")
    assert all(action.slice.metadata.annotations == {"a": "b"} for action in actions)
