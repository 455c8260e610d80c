"""The path of a packet, walked through the very text that the kernel gets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from reconciler.model.endpointslice import EndpointSlice
from reconciler.model.service import Service
from reconciler.proxy import commands
from reconciler.proxy.rules import Element, compile_service
from reconciler.proxy.ruleset import Owner, RuleSet
from reconciler.proxy.skeleton import Network
from tests.unit.proxy.builders import (
    NODE,
    make_balanced,
    make_node_port,
    make_service,
    make_slice,
)
from tests.unit.proxy.trace import Fate, Packet, Table

POD, OTHER, OUTSIDE = "10.244.0.9", "10.244.0.6", "192.168.1.77"


def table(*pairs: tuple[Service, Sequence[EndpointSlice]], network: Network | None = None) -> Table:
    rules = RuleSet()
    for number, (service, slices) in enumerate(pairs):
        owner = Owner("", "shop", f"{service.metadata.name}-{number}")
        rules.put(owner, compile_service(service, slices, NODE))
    kernel = Table()
    kernel.load(commands.fresh(network or Network(), rules.everything()))
    return kernel


def from_pod(destination: str, port: int, source: str = POD) -> Packet:
    return Packet(source, destination, "tcp", port, enters="reconciler0")


def from_host(destination: str, port: int, source: str = "10.244.0.1") -> Packet:
    return Packet(source, destination, "tcp", port)


def from_outside(destination: str, port: int, protocol: str = "tcp") -> Packet:
    return Packet(OUTSIDE, destination, protocol, port, enters="eth0")


def reaches(fate: Fate) -> tuple[str, str, int, bool]:
    packet = fate.packet
    return fate.verdict, packet.destination, packet.port, packet.masqueraded


WEB = table((make_node_port(), [make_slice(OTHER)]))


def test_a_pod_that_talks_to_itself_directly_is_not_touched() -> None:
    fate = WEB.send(from_pod(OTHER, 8080, source=OTHER))
    assert reaches(fate) == ("accept", OTHER, 8080, False)


def test_udp_without_backends_is_told_that_the_port_is_unreachable() -> None:
    empty = table((make_node_port(), ()))
    udp = Packet(POD, "10.96.0.20", "udp", 80, enters="reconciler0")
    assert empty.send(udp).verdict == "unreachable"


def test_an_unknown_address_or_port_of_the_service_range_is_refused() -> None:
    assert WEB.send(from_pod("10.96.0.20", 81)).verdict == "reset"
    assert WEB.send(from_host("10.96.9.9", 80)).verdict == "reset"
    assert WEB.send(from_pod("10.96.0.10", 53)).verdict == "accept"


def test_other_ports_of_the_host_are_left_alone() -> None:
    assert reaches(WEB.send(from_outside("192.168.1.5", 22))) == (
        "accept",
        "192.168.1.5",
        22,
        False,
    )


def test_node_ports_keep_to_the_chosen_addresses() -> None:
    chosen = Network(node_port_addresses=("10.0.0.0/8", "127.0.0.0/8"))
    kernel = table((make_node_port(), [make_slice(OTHER)]), network=chosen)
    assert not kernel.send(from_outside("192.168.1.5", 30001)).packet.translated
    assert kernel.send(from_pod("10.244.0.1", 30001)).packet.translated


def test_a_pod_cannot_reach_the_hosts_loopback() -> None:
    assert WEB.send(from_pod("127.0.0.1", 30001)).verdict == "drop"
    assert WEB.send(from_pod("127.0.0.1", 6443)).verdict == "drop"
    assert WEB.send(from_pod("192.168.1.5", 22, source="127.0.0.1")).verdict == "drop"


def test_a_pod_leaves_the_cluster_with_the_hosts_address() -> None:
    assert WEB.send(from_pod("203.0.113.9", 443)).packet.masqueraded
    assert not WEB.send(from_pod("10.244.0.6", 443)).packet.masqueraded
    assert not WEB.send(from_pod("10.244.3.6", 443)).packet.masqueraded


def test_a_backend_elsewhere_answers_through_this_host() -> None:
    kernel = table((make_node_port(), [make_slice("203.0.113.9")]))
    assert reaches(kernel.send(from_outside("192.168.1.5", 30001))) == (
        "accept",
        "203.0.113.9",
        8080,
        True,
    )
    assert kernel.send(from_host("10.96.0.20", 80)).packet.masqueraded


def test_translations_of_others_keep_their_source() -> None:
    kernel = table((make_node_port(), [make_slice("172.17.0.2")]))
    docker = Packet(OUTSIDE, "172.17.0.2", "tcp", 8080, "eth0", ("192.168.1.5", 8080), True)
    verdict, packet = kernel._hook("postrouting", docker, "docker0")
    assert (verdict, packet.masqueraded) == ("accept", False)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_every_backend_gets_an_equal_share(size: int) -> None:
    addresses = [f"10.244.0.{number}" for number in range(10, 10 + size)]
    kernel = table((make_service(), [make_slice(*addresses)]))
    each = 400 if size < 10 else 40
    seen = Counter(
        kernel.send(from_pod("10.96.0.20", 80)).packet.destination for _ in range(each * size)
    )
    assert set(seen) == set(addresses)
    # a chi-squared statistic has mean size - 1 and variance twice that: five deviations
    statistic = sum((count - each) ** 2 / each for count in seen.values())
    assert statistic < (size - 1) + 5 * (2 * size) ** 0.5


def test_a_client_with_affinity_stays_with_its_backend() -> None:
    service = make_node_port(session_affinity="ClientIP")
    kernel = table((service, [make_slice(*(f"10.244.0.{n}" for n in range(10, 30)))]))
    for packet in (from_pod("10.96.0.20", 80), from_outside("192.168.1.5", 30001)):
        backends = {kernel.send(packet).packet.destination for _ in range(20)}
        assert len(backends) == 1
    clients = (Packet(f"10.244.0.{n}", "10.96.0.20", "tcp", 80, "reconciler0") for n in range(99))
    assert len({kernel.send(packet).packet.destination for packet in clients}) > 5


@pytest.mark.parametrize("affinity", ["None", "ClientIP"])
def test_a_load_balancer_lets_its_source_ranges_in_and_nobody_else(affinity: str) -> None:
    ranges = ("10.244.0.0/29", "192.168.1.0/24")
    service = make_balanced(load_balancer_source_ranges=ranges, session_affinity=affinity)
    kernel = table((service, [make_slice(OTHER)]))
    assert reaches(kernel.send(from_outside("198.51.100.9", 80))) == ("accept", OTHER, 8080, False)
    assert kernel.send(from_pod("198.51.100.9", 80)).verdict == "drop"
    assert kernel.send(from_pod("10.96.0.20", 80)).verdict == "accept"


def test_an_address_that_is_here_for_services_alone_has_no_other_port() -> None:
    rules = RuleSet()
    rules.put(Owner("", "shop", "web"), compile_service(make_balanced(), (), NODE))
    rules.put(Owner("", "", "", "LoadBalancer"), (Element("balanced", "198.51.100.9"),))
    kernel = Table(local=("198.51.100.9", "192.168.1.5"))
    kernel.load(commands.fresh(Network(), rules.everything()))
    for packet in (from_outside("198.51.100.9", 22), from_pod("198.51.100.9", 22)):
        assert kernel.send(packet).verdict == "reset"
    assert kernel.send(from_outside("192.168.1.5", 22)).verdict == "accept"


def test_refusals_are_withheld_where_there_are_other_backends_until_a_client_heard_one() -> None:
    calls = (
        from_pod("10.96.0.20", 80),
        from_host("10.96.0.20", 80),
        from_outside("192.168.1.5", 30001),
        from_host("127.0.0.1", 30001, source="127.0.0.1"),
    )
    for call in calls:
        kernel = table((make_node_port(), [make_slice(OTHER, "10.244.0.7")]))
        tries = [kernel.refuse(kernel.send(call).packet).verdict for _ in range(4)]
        assert tries == ["drop", "drop", "accept", "accept"], call
        again = replace(call, client_port=40001)
        tries = [kernel.refuse(kernel.send(again).packet).verdict for _ in range(3)]
        assert tries == ["drop", "accept", "accept"], call


def test_the_only_backend_refuses_at_once() -> None:
    for call in (from_pod("10.96.0.20", 80), from_outside("192.168.1.5", 30001)):
        assert WEB.refuse(WEB.send(call).packet).verdict == "accept"


def test_refusals_of_others_are_theirs() -> None:
    kernel = table((make_node_port(), [make_slice(OTHER, "10.244.0.7")]))
    direct = kernel.send(from_pod(OTHER, 8080)).packet
    docker = Packet(OUTSIDE, "172.17.0.2", "tcp", 80, "eth0", ("192.168.1.5", 8080), True)
    for packet in (direct, docker):
        assert kernel.refuse(packet).verdict == "accept"
