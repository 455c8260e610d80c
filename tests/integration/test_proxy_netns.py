"""The service rules in a real kernel: the cases of the unit tests' virtual packets."""

from __future__ import annotations

import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import partial

import pytest

from reconciler.model.service import (
    ClientIPConfig,
    SessionAffinityConfig,
)
from reconciler.proxy.balanced import BalancedAddresses
from reconciler.proxy.nft import Nft
from reconciler.proxy.rules import Element
from reconciler.proxy.ruleset import Owner
from reconciler.proxy.skeleton import Network
from reconciler.proxy.table import open_table, remove_table
from tests.integration.netkernel import Kernel, pod
from tests.integration.netns import (
    BRIDGE_ADDRESS,
    HOST_ADDRESS,
    OUTSIDE_ADDRESS,
    World,
    ask,
    inside,
    without_sctp,
)
from tests.unit.proxy.builders import (
    make_balanced,
    make_node_port,
    make_slice,
)
from tests.unit.proxy.cases import BALANCED, CASES, CLUSTER, SILENT, Call, Case

pytestmark = pytest.mark.integration

# a rejected packet of the host's own already fails the sending of it
AT_HOME = "Operation not permitted"


@pytest.fixture
def balanced(net: World, kernel: Kernel) -> Iterator[Kernel]:
    with closing(inside(net.host, BalancedAddresses)) as addresses:
        assert addresses.keep_only({BALANCED, HOST_ADDRESS}) == {BALANCED}
        kernel.rules.put(Owner("", "", "", "LoadBalancer"), (Element("balanced", BALANCED),))
        for _ in range(2):
            addresses.add({BALANCED})
        assert addresses.keep_only({BALANCED}) == {BALANCED}
        yield kernel
        assert addresses.keep_only(()) == frozenset()
        assert not has_address(net)
        assert addresses.keep_only((HOST_ADDRESS, BRIDGE_ADDRESS)) == frozenset()


def has_address(net: World) -> bool:
    listed = subprocess.run(
        ("ip", "-n", net.host, "addr", "show", "dev", "reconciler0"),
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert f"inet {BRIDGE_ADDRESS}/24" in listed.stdout
    return f"inet {BALANCED}/32" in listed.stdout


def caller(net: World, who: str) -> str:
    """The network namespace of a case's caller."""
    outer = {"host": net.host, "outside": net.outside}
    return outer.get(who) or pod(net, int(who.removeprefix("pod-")))


def answers(net: World, call: Call) -> set[tuple[str, str]]:
    """Who answers, and which address it saw, in as many calls as show everybody."""
    tries = 24 if len(call.answers) > 1 else 1
    wait = 0.3 if call.answers == SILENT else 3.0
    where = caller(net, call.who)
    found = [
        ask(where, call.address, call.port, protocol=call.protocol, wait=wait) for _ in range(tries)
    ]
    return {("refused" if each == AT_HOME else each, "") if isinstance(each, str) else each
            for each in found}  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_who_answers(net: World, balanced: Kernel, case: Case) -> None:
    if any(call.protocol == "sctp" for call in case.calls) and (why := without_sctp()):
        pytest.skip(why)
    balanced.put(case.service, *case.slices, node=case.node)
    for call in case.calls:
        found = answers(net, call)
        names = {who for who, _ in found}
        assert (len(names) == 1 and names <= call.answers) if call.stays else names == call.answers
        assert not call.seen or {seen for _, seen in found} == {call.seen}, call
    assert balanced.table.matches(balanced.rules.elements())


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_service_without_backends_refuses_at_once(
    net: World, kernel: Kernel, protocol: str
) -> None:
    kernel.web()
    assert ask(pod(net, 9), CLUSTER, 80, protocol=protocol) == "refused"
    assert ask(pod(net, 9), HOST_ADDRESS, 30001, protocol=protocol) == "refused"
    assert ask(net.outside, HOST_ADDRESS, 30001, protocol=protocol) == "refused"
    at_home = AT_HOME if protocol == "udp" else "refused"
    assert ask(net.host, CLUSTER, 80, protocol=protocol) == at_home
    assert ask(net.host, "127.0.0.1", 30001, protocol=protocol) == at_home


def test_a_backend_on_the_host_itself_answers(net: World, kernel: Kernel) -> None:
    kernel.put(make_node_port(), make_slice(HOST_ADDRESS, port=6443))
    assert ask(pod(net, 9), CLUSTER, 80) == ("host", "10.244.0.9")
    for address, port in ((CLUSTER, 80), (HOST_ADDRESS, 30001), ("127.0.0.1", 30001)):
        answer = ask(net.host, address, port)
        assert answer[0] == "host", (address, answer)
    assert ask(net.outside, HOST_ADDRESS, 30001) == ("host", OUTSIDE_ADDRESS)


def test_a_load_balancers_address_is_the_hosts_for_its_service_alone(
    net: World, balanced: Kernel
) -> None:
    assert has_address(net)
    balanced.put(make_balanced(BALANCED), make_slice("10.244.0.6"))
    assert ask(net.outside, BALANCED, 80) == ("pod-6", OUTSIDE_ADDRESS)
    assert ask(pod(net, 9), BALANCED, 80) == ("pod-6", "10.244.0.9")
    assert ask(pod(net, 6), BALANCED, 80) == ("pod-6", BRIDGE_ADDRESS)
    assert ask(net.host, BALANCED, 80) == ("pod-6", BALANCED)
    for where in (net.outside, pod(net, 9), net.host):
        assert ask(where, BALANCED, 6443) == "refused"
    assert ask(net.outside, HOST_ADDRESS, 6443) == ("host", OUTSIDE_ADDRESS)
    assert balanced.table.matches(balanced.rules.elements())


@pytest.mark.parametrize("affinity", ["None", "ClientIP"])
def test_only_the_source_ranges_reach_a_load_balancer(
    net: World, balanced: Kernel, affinity: str
) -> None:
    def put(*ranges: str) -> None:
        service = make_balanced(BALANCED, load_balancer_source_ranges=ranges)
        spec = service.spec.replace(session_affinity=affinity)
        balanced.put(service.replace(spec=spec), make_slice("10.244.0.6"))
        assert balanced.table.matches(balanced.rules.elements())

    put("192.168.77.0/24", "192.168.77.2/32", "172.16.0.0/12")
    assert ask(net.outside, BALANCED, 80) == ("pod-6", OUTSIDE_ADDRESS)
    assert ask(pod(net, 9), BALANCED, 80, wait=0.3) == "silent"
    put("10.244.0.9/32", "192.0.0.0/9")
    assert ask(pod(net, 9), BALANCED, 80) == ("pod-6", "10.244.0.9")
    assert ask(net.outside, BALANCED, 80, wait=0.3) == "silent"
    assert ask(pod(net, 9), CLUSTER, 80) == ("pod-6", "10.244.0.9")
    put("10.244.0.9/32", "0.0.0.0/0")
    assert ask(net.outside, BALANCED, 80) == ("pod-6", OUTSIDE_ADDRESS)


def test_a_pod_cannot_reach_the_hosts_loopback(net: World, kernel: Kernel) -> None:
    def route_loopback_to_the_bridge() -> None:
        rules = (
            ("sysctl", "-qw", "net.ipv4.conf.eth0.route_localnet=1"),
            ("ip", "addr", "del", "127.0.0.1/8", "dev", "lo"),
            ("ip", "route", "add", "127.0.0.0/8", "via", BRIDGE_ADDRESS, "src", "10.244.0.9"),
        )
        for rule in rules:
            subprocess.run(rule, check=True, capture_output=True)

    nine = pod(net, 9)
    inside(nine, route_loopback_to_the_bridge)
    try:
        assert ask(nine, "127.0.0.1", 6443, wait=0.5) == "silent"
        kernel.table.remove()
        assert ask(nine, "127.0.0.1", 6443, wait=0.5) == ("host", "10.244.0.9")
    finally:
        subprocess.run(("ip", "-n", nine, "route", "del", "127.0.0.0/8"), check=True)
        subprocess.run(("ip", "-n", nine, "addr", "add", "127.0.0.1/8", "dev", "lo"), check=True)


def test_the_spread_is_even(net: World, kernel: Kernel) -> None:
    kernel.web(6, 7, 8)
    seen = Counter(ask(pod(net, 9), CLUSTER, 80)[0] for _ in range(300))
    assert set(seen) == {"pod-6", "pod-7", "pod-8"}
    assert min(seen.values()) > 60


def test_endpoint_changes_take_effect_one_by_one(net: World, kernel: Kernel) -> None:
    for pods in ((6,), (6, 7), (7,), (), (8,), (6, 7, 8)):
        kernel.web(*pods)
        wanted = {f"pod-{number}" for number in pods} or {"refused"}
        answers = [ask(pod(net, 9), CLUSTER, 80) for _ in range(24)]
        assert {a if isinstance(a, str) else a[0] for a in answers} == wanted


def test_affinity_keeps_a_client_until_its_backend_leaves(net: World, kernel: Kernel) -> None:
    kernel.web(6, 7, 8, session_affinity="ClientIP")
    for address, port, protocol in (
        (CLUSTER, 80, "tcp"),
        (CLUSTER, 80, "udp"),
        (HOST_ADDRESS, 30001, "tcp"),
    ):
        chosen = {ask(pod(net, 9), address, port, protocol=protocol)[0] for _ in range(12)}
        assert len(chosen) == 1, (address, protocol)
    first = ask(pod(net, 9), CLUSTER, 80)[0]
    left = [number for number in (6, 7, 8) if first != f"pod-{number}"]
    kernel.web(*left, session_affinity="ClientIP")
    second = {ask(pod(net, 9), CLUSTER, 80)[0] for _ in range(12)}
    assert len(second) == 1
    assert second != {first}
    kernel.web(6, 7, 8, session_affinity="ClientIP")
    assert {ask(pod(net, 9), CLUSTER, 80)[0] for _ in range(12)} == second


def test_affinity_ends_a_time_out_after_the_last_new_connection(net: World, kernel: Kernel) -> None:
    config = SessionAffinityConfig(client_ip=ClientIPConfig(timeout_seconds=2))
    kernel.web(6, 7, 8, session_affinity="ClientIP", session_affinity_config=config)
    called = time.monotonic()
    while time.monotonic() < called + 2.5:  # each connection starts the time anew
        ask(pod(net, 9), CLUSTER, 80)
        assert remembered(net)
        time.sleep(0.2)
    last = time.monotonic()
    while remembered(net):
        assert time.monotonic() < last + 4
        time.sleep(0.1)
    assert time.monotonic() > last + 1


def remembered(net: World) -> bool:
    """Whether the kernel remembers the backend of any client."""
    with inside(net.host, Nft) as nft:
        return '"elem"' in nft.list_json("map ip reconciler affinity")


def test_a_udp_client_on_one_port_moves_on_when_its_backend_leaves(
    net: World, kernel: Kernel
) -> None:
    source = ("10.244.0.9", 40000)
    kernel.web(6)
    assert ask(pod(net, 9), CLUSTER, 80, protocol="udp", source=source) == ("pod-6", "10.244.0.9")
    kernel.web(7)
    assert ask(pod(net, 9), CLUSTER, 80, protocol="udp", source=source) == ("pod-7", "10.244.0.9")
    outside = (OUTSIDE_ADDRESS, 40000)
    assert ask(net.outside, HOST_ADDRESS, 30001, protocol="udp", source=outside)[0] == "pod-7"
    kernel.web(8)
    assert ask(net.outside, HOST_ADDRESS, 30001, protocol="udp", source=outside)[0] == "pod-8"
    kernel.web(8, 6)
    assert ask(net.outside, HOST_ADDRESS, 30001, protocol="udp", source=outside)[0] == "pod-8"


def test_a_udp_client_that_sends_before_there_is_a_service_reaches_it_later(
    net: World, kernel: Kernel
) -> None:
    source = (OUTSIDE_ADDRESS, 40001)
    call = partial(ask, net.outside, HOST_ADDRESS, 30001, protocol="udp", source=source)
    with inside(net.host, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as deaf:
        deaf.bind((HOST_ADDRESS, 30001))
        assert call(wait=0.3) == "silent"  # from now on connection tracking knows the flow
        kernel.web(6)
        assert call() == ("pod-6", OUTSIDE_ADDRESS)


def test_a_foreign_flush_is_seen_and_mended(net: World, kernel: Kernel) -> None:
    kernel.web(6)
    with inside(net.host, Nft) as other:
        other.run("add table ip unrelated; add table ip6 reconciler; add chain ip unrelated one")
        assert kernel.table.is_undisturbed()
        other.run("add rule ip unrelated one accept")
        kernel.web(7)
        other.run("flush chain ip unrelated one")
        kernel.web(6)
        assert kernel.table.is_undisturbed()
        for harm in (
            "flush ruleset",
            "delete table ip reconciler",
            "add chain ip reconciler forward { policy drop; }",
            "add chain ip reconciler other",
            "flush chain ip reconciler spread-tcp-1",
            "delete element ip reconciler services { 10.96.0.20 . tcp . 80 }",
            "add rule ip reconciler postrouting masquerade",
        ):
            other.run(harm)
            assert not kernel.table.is_undisturbed(), harm
            assert not kernel.table.matches(kernel.rules.elements()), harm
            kernel.table.replace(kernel.rules.everything())
            assert kernel.table.is_undisturbed()
            assert kernel.table.matches(kernel.rules.elements())
            assert ask(pod(net, 9), CLUSTER, 80) == ("pod-6", "10.244.0.9")


def test_a_foreign_change_shows_among_so_many_that_the_kernel_stops_telling(
    net: World, kernel: Kernel
) -> None:
    kernel.web(6)
    with inside(net.host, Nft) as other:
        other.run("add table ip unrelated; add set ip unrelated many { type ipv4_addr; }")
        for index in range(64):
            each = ", ".join(f"10.{index}.{n >> 8}.{n & 255}" for n in range(1024))
            other.run(f"add element ip unrelated many {{ {each} }}")
        assert not kernel.table.is_undisturbed()
        assert kernel.table.matches(kernel.rules.elements())
        other.run("add table ip another")
        assert kernel.table.is_undisturbed()
        other.run("flush ruleset")
        assert not kernel.table.is_undisturbed()


def test_a_new_daemon_takes_the_table_over_without_a_gap(net: World, kernel: Kernel) -> None:
    kernel.web(6, 7, 8, session_affinity="ClientIP")
    chosen = ask(pod(net, 9), CLUSTER, 80)[0]
    with closing(inside(net.host, lambda: open_table(Network()))) as successor:
        successor.replace(kernel.rules.everything())
        assert successor.matches(kernel.rules.elements())
    assert {ask(pod(net, 9), CLUSTER, 80)[0] for _ in range(8)} == {chosen}


def test_our_table_is_removed_and_no_other(net: World, kernel: Kernel) -> None:
    kernel.web(6)
    with inside(net.host, Nft) as other:
        other.run("add table ip unrelated")
        assert inside(net.host, remove_table)
        assert other.list_rules("ip reconciler") == ""
        assert "unrelated" in other.list_rules("ip unrelated")
    assert not inside(net.host, remove_table)
