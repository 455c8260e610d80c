from __future__ import annotations

from typing import Any

from reconciler.model.endpointslice import EndpointPort, EndpointSlice
from reconciler.model.service import ClientIPConfig, ServicePort, SessionAffinityConfig
from reconciler.proxy.rules import Element, Node, balanced_addresses, compile_service
from tests.unit.proxy.builders import (
    NODE,
    make_balanced,
    make_endpoint,
    make_node_port,
    make_service,
    make_slice,
)


def test_a_cluster_address_spreads_over_its_backends() -> None:
    plan = compile_service(make_service(), [make_slice("10.244.0.7", "10.244.0.6")], NODE)
    assert plan == (
        Element("services", "10.96.0.20 . tcp . 80", "goto spread-tcp-2"),
        Element("endpoints-tcp", "10.96.0.20 . tcp . 80 . 0", "10.244.0.6 . 8080"),
        Element("hairpin", "10.244.0.6 . 10.244.0.6"),
        Element("endpoints-tcp", "10.96.0.20 . tcp . 80 . 1", "10.244.0.7 . 8080"),
        Element("hairpin", "10.244.0.7 . 10.244.0.7"),
    )


def test_a_node_port_has_its_own_map_and_no_address() -> None:
    plan = compile_service(make_node_port(), [make_slice("10.244.0.6")], NODE)
    assert plan == (
        Element("services", "10.96.0.20 . tcp . 80", "goto spread-tcp-1"),
        Element("endpoints-tcp", "10.96.0.20 . tcp . 80 . 0", "10.244.0.6 . 8080"),
        Element("hairpin", "10.244.0.6 . 10.244.0.6"),
        Element("node-ports", "tcp . 30001", "goto node-spread-tcp-1"),
        Element("node-endpoints-tcp", "tcp . 30001 . 0", "10.244.0.6 . 8080"),
    )


def test_without_ready_backends_every_frontend_refuses() -> None:
    refused = (
        Element("services", "10.96.0.20 . tcp . 80", "goto refuse"),
        Element("node-ports", "tcp . 30001", "goto refuse"),
    )
    assert compile_service(make_node_port(), (), NODE) == refused
    assert compile_service(make_node_port(), [make_slice()], NODE) == refused


def test_not_ready_addresses_get_nothing() -> None:
    unready = make_slice(make_endpoint("10.244.0.6", fares=""))
    plan = compile_service(make_service(), [unready], NODE)
    assert [element.value for element in plan] == ["goto refuse"]


def test_a_headless_service_and_an_external_name_have_no_rules() -> None:
    endpoints = [make_slice("10.244.0.6")]
    headless = make_service(cluster_ip="None", cluster_ips=("None",))
    alias = make_service(
        type="ExternalName", cluster_ip="", cluster_ips=(), external_name="example.org"
    )
    assert compile_service(headless, endpoints, NODE) == ()
    assert compile_service(alias, endpoints, NODE) == ()


def test_ports_find_their_backends_by_name_and_protocol() -> None:
    service = make_service(
        ports=(
            ServicePort(name="dns", port=53, protocol="UDP"),
            ServicePort(name="dns-tcp", port=53, protocol="TCP"),
        )
    )
    both = make_slice("10.244.0.6").replace(
        ports=(
            EndpointPort(name="dns", port=5353, protocol="UDP"),
            EndpointPort(name="dns-tcp", port=5354, protocol="TCP"),
        ),
    )
    plan = compile_service(service, [both], NODE)
    assert {(e.key, e.value) for e in plan if e.map.startswith("endpoints")} == {
        ("10.96.0.20 . udp . 53 . 0", "10.244.0.6 . 5353"),
        ("10.96.0.20 . tcp . 53 . 0", "10.244.0.6 . 5354"),
    }


def test_external_and_balanced_addresses_are_frontends() -> None:
    service = make_balanced(external_ips=("192.0.2.7",))
    plan = compile_service(service, [make_slice("10.244.0.6")], NODE)
    assert [e.key for e in plan if e.map == "services"] == [
        "10.96.0.20 . tcp . 80",
        "192.0.2.7 . tcp . 80",
        "198.51.100.9 . tcp . 80",
    ]


def test_a_backend_outside_the_pod_network_is_remote_and_never_hairpins() -> None:
    plan = compile_service(make_service(), [make_slice("192.0.2.1")], NODE)
    assert Element("remote", "192.0.2.1 . tcp . 80") in plan
    assert not [element for element in plan if element.map == "hairpin"]


def test_affinity_remembers_for_its_time_out() -> None:
    config = SessionAffinityConfig(client_ip=ClientIPConfig(timeout_seconds=60))
    service = make_node_port(session_affinity="ClientIP", session_affinity_config=config)
    plan = compile_service(service, [make_slice("10.244.0.6")], NODE)
    assert {(e.map, e.value) for e in plan if e.value.startswith("goto")} == {
        ("services", "goto sticky-tcp-1"),
        ("node-ports", "goto node-sticky-tcp-1"),
        ("sticky", "goto remember-60"),
        ("sticky-ports", "goto remember-60"),
    }


def test_affinity_lasts_three_hours_unless_said() -> None:
    service = make_service(session_affinity="ClientIP")
    plan = compile_service(service, [make_slice("10.244.0.6")], NODE)
    assert Element("sticky", "10.96.0.20 . tcp . 80", "goto remember-10800") in plan


def local(*slices: EndpointSlice, **spec: Any) -> dict[str, list[str]]:
    """The values of a Local node port's elements, by their map."""
    service = make_node_port(external_traffic_policy="Local", **spec)
    found: dict[str, list[str]] = {}
    for element in compile_service(service, slices, NODE):
        if element.key.startswith("tcp"):
            found.setdefault(element.map, []).append(element.value)
    return found


def test_the_local_policy_is_nothing_special_where_all_endpoints_are_here() -> None:
    assert local(make_slice("10.244.0.6")) == {
        "node-ports": ["goto node-spread-tcp-1"],
        "node-endpoints-tcp": ["10.244.0.6 . 8080"],
    }
    assert local() == {"node-ports": ["goto refuse"]}


def test_the_local_policy_draws_from_the_first_of_the_same_slots() -> None:
    here = make_slice("10.244.0.9", "10.244.0.8")
    there = make_slice("10.244.0.200", node="node-b", part=2)
    assert local(here, there) == {
        "node-ports": ["goto node-divided"],
        "node-inside": ["goto node-spread-tcp-3"],
        "node-outside": ["goto node-spread-tcp-2"],
        "node-endpoints-tcp": ["10.244.0.8 . 8080", "10.244.0.9 . 8080", "10.244.0.200 . 8080"],
    }


def test_what_outsiders_fall_back_on_has_slots_of_its_own() -> None:
    leaving = make_slice(make_endpoint("10.244.0.8", fares="st"))
    there = make_slice("10.244.1.6", "10.244.1.7", node="node-b", part=2)
    assert local(leaving, there, session_affinity="ClientIP") == {
        "node-ports": ["goto node-divided"],
        "node-inside": ["goto node-sticky-tcp-2.1"],
        "node-outside": ["goto node-sticky-tcp-1"],
        "sticky-ports": ["goto remember-10800"],
        "node-endpoints-tcp": ["10.244.0.8 . 8080", "10.244.1.6 . 8080", "10.244.1.7 . 8080"],
    }


def test_the_local_policy_discards_where_endpoints_are_elsewhere() -> None:
    assert local(make_slice("10.244.1.6", node="node-b")) == {
        "node-ports": ["goto node-divided"],
        "node-inside": ["goto node-spread-tcp-1"],
        "node-outside": ["goto discard"],
        "node-endpoints-tcp": ["10.244.1.6 . 8080"],
    }


def test_addresses_of_the_other_family_are_left_alone() -> None:
    service = make_service(cluster_ips=("10.96.0.20", "fd00::20"))
    plan = compile_service(
        service, [make_slice("fd00::6", family="IPv6"), make_slice("10.244.0.6")], NODE
    )
    assert [e.value for e in plan if e.map.startswith("endpoints")] == ["10.244.0.6 . 8080"]


def test_leading_zeroes_are_decimal_and_reach_no_kernel() -> None:
    service = make_service(
        cluster_ip="010.096.0.020", cluster_ips=("010.096.0.020",), external_ips=("192.0.2.07",)
    )
    plan = compile_service(service, [make_slice("10.244.0.06")], NODE)
    assert [e.key for e in plan if e.map == "services"] == [
        "10.96.0.20 . tcp . 80",
        "192.0.2.7 . tcp . 80",
    ]
    assert {e.value for e in plan if e.map == "endpoints-tcp"} == {"10.244.0.6 . 8080"}


def sources(*ranges: str, node: Node = NODE) -> list[str]:
    service = make_node_port().replace(status=make_balanced().status)
    spec = service.spec.replace(type="LoadBalancer", load_balancer_source_ranges=ranges)
    plan = compile_service(service.replace(spec=spec), [make_slice("10.244.0.6")], node)
    guarded = [e.key for e in plan if e.value.startswith("goto guarded-")]
    found = [e.key.rpartition(" . ")[2] for e in plan if e.map == "sources"]
    assert guarded == (["198.51.100.9 . tcp . 80"] if found else [])
    return found


def test_source_ranges_guard_the_load_balancers_address_alone() -> None:
    assert sources() == []
    assert sources("10.0.0.0/8", " 10.1.0.0/16 ", "192.0.2.7/32") == ["10.0.0.0/8", "192.0.2.7"]
    assert sources("10.0.0.0/8", "0.0.0.0/0") == []


def test_a_host_within_the_ranges_may_call_its_own_address() -> None:
    node = Node(NODE.name, NODE.pod_network, "192.0.2.1")
    assert sources("192.0.2.0/24", node=node) == ["192.0.2.0/24", "198.51.100.9"]
    assert sources("10.0.0.0/8", node=node) == ["10.0.0.0/8"]


def test_a_load_balancer_of_somebody_elses_brings_no_address() -> None:
    assert balanced_addresses(make_balanced()) == ("198.51.100.9",)
    for name, ours in (("reconciler.dev/host", True), ("example.com/other", False)):
        assert bool(balanced_addresses(make_balanced(load_balancer_class=name))) is ours
    node_port = make_balanced()
    spec = node_port.spec.replace(type="NodePort")
    assert balanced_addresses(node_port.replace(spec=spec)) == ()
