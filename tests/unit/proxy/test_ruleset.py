from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.proxy import commands
from reconciler.proxy.rules import MAPS, Element, compile_service
from reconciler.proxy.ruleset import Owner, RuleSet, Transaction
from reconciler.proxy.skeleton import Network
from tests.unit.proxy.builders import (
    NODE,
    make_endpoint,
    make_node_port,
    make_service,
    make_slice,
)
from tests.unit.proxy.trace import Table

WEB = Owner("2026-01-01T00:00:00Z", "shop", "web")
NEWER = Owner("2026-01-02T00:00:00Z", "shop", "api")


def plan(*addresses: str, **spec: object) -> tuple[Element, ...]:
    return compile_service(make_service(**spec), [make_slice(*addresses)], NODE)


def test_one_more_backend_touches_that_services_elements_only() -> None:
    rules = RuleSet()
    rules.put(WEB, plan("10.244.0.6"))
    rules.put(NEWER, plan("10.244.0.9", cluster_ip="10.96.0.30"))
    rules.take()
    rules.put(WEB, plan("10.244.0.6", "10.244.0.7"))
    assert rules.take() == Transaction(
        chains=("spread-tcp-2",),
        deletions=(Element("services", "10.96.0.20 . tcp . 80", "goto spread-tcp-1"),),
        additions=(
            Element("endpoints-tcp", "10.96.0.20 . tcp . 80 . 1", "10.244.0.7 . 8080"),
            Element("hairpin", "10.244.0.7 . 10.244.0.7"),
            Element("services", "10.96.0.20 . tcp . 80", "goto spread-tcp-2"),
        ),
    )


def test_equal_input_is_no_transaction() -> None:
    rules = RuleSet()
    rules.put(WEB, plan("10.244.0.6"))
    rules.take()
    rules.put(WEB, plan("10.244.0.6"))
    assert not rules.take()
    rules.put(WEB, plan("10.244.0.7"))
    rules.put(WEB, plan("10.244.0.6"))
    assert not rules.take()


def test_a_shared_element_stays_until_its_last_owner_goes() -> None:
    rules = RuleSet()
    rules.put(WEB, plan("10.244.0.6"))
    rules.put(NEWER, plan("10.244.0.6", cluster_ip="10.96.0.30"))
    rules.take()
    hairpin = Element("hairpin", "10.244.0.6 . 10.244.0.6")
    rules.put(WEB, ())
    assert hairpin not in (*rules.take().deletions, *swept(rules))
    rules.put(NEWER, ())
    assert hairpin in (*rules.take().deletions, *swept(rules))
    assert rules.elements() == set()


def swept(rules: RuleSet) -> tuple[Element, ...]:
    """What is left, as it is taken away after a while."""
    assert rules.leftovers() == Transaction()
    return rules.leftovers().deletions


def test_a_packet_under_way_still_finds_what_it_was_led_to() -> None:
    rules = RuleSet()
    rules.put(WEB, plan("10.244.0.6", "10.244.0.7"))
    rules.take()
    rules.put(WEB, plan("10.244.0.6"))
    change = rules.take()
    assert change.deletions == (Element("services", "10.96.0.20 . tcp . 80", "goto spread-tcp-2"),)
    slot = Element("endpoints-tcp", "10.96.0.20 . tcp . 80 . 1", "10.244.0.7 . 8080")
    gone = (slot, Element("hairpin", "10.244.0.7 . 10.244.0.7"))
    assert rules.elements().issuperset(gone)
    assert rules.leftovers() == Transaction()
    assert rules.elements().issuperset(gone)
    assert rules.leftovers() == Transaction((), gone)
    assert rules.elements().isdisjoint(gone)
    assert not rules.leftovers()


def test_what_is_wanted_again_before_it_is_swept_is_there_already() -> None:
    rules = RuleSet()
    rules.put(WEB, plan("10.244.0.6", "10.244.0.7"))
    rules.take()
    rules.put(WEB, plan("10.244.0.6"))
    rules.take()
    rules.put(WEB, plan("10.244.0.6", "10.244.0.8"))
    change = rules.take()
    key = "10.96.0.20 . tcp . 80 . 1"
    assert Element("endpoints-tcp", key, "10.244.0.7 . 8080") in change.deletions
    assert Element("endpoints-tcp", key, "10.244.0.8 . 8080") in change.additions
    assert swept(rules) == (Element("hairpin", "10.244.0.7 . 10.244.0.7"),)
    rules.put(WEB, plan("10.244.0.6"))
    rules.take()
    rules.leftovers()
    rules.put(WEB, plan("10.244.0.6", "10.244.0.8"))
    change = rules.take()
    assert [each.map for each in (*change.deletions, *change.additions)] == ["services"] * 2
    assert not rules.leftovers()


def test_of_two_claims_to_one_address_the_older_holds() -> None:
    rules = RuleSet()
    rules.put(NEWER, plan("10.244.0.9"))
    rules.put(WEB, plan("10.244.0.6"))
    slot = Element("endpoints-tcp", "10.96.0.20 . tcp . 80 . 0", "10.244.0.6 . 8080")
    assert slot in rules.elements()
    rules.put(WEB, ())
    assert slot._replace(value="10.244.0.9 . 8080") in rules.elements()


def test_pools_tell_who_is_left() -> None:
    rules = RuleSet()
    rules.put(WEB, plan("10.244.0.6", "10.244.0.7", session_affinity="ClientIP"))
    rules.put(NEWER, plan("10.244.0.6", cluster_ip="10.96.0.30"))
    rules.take()
    rules.put(WEB, plan("10.244.0.7", session_affinity="ClientIP"))
    change = rules.take()
    assert rules.pools(change) == {"10.96.0.20 . tcp . 80": {"10.244.0.7 . 8080"}}
    assert rules.sticky(change) == rules.pools(change)
    rules.put(WEB, plan(session_affinity="ClientIP"))
    assert rules.pools(rules.take()) == {"10.96.0.20 . tcp . 80": set()}
    rules.put(WEB, plan("10.244.0.7", session_affinity="ClientIP"))
    rules.take()
    rules.put(WEB, ())
    rules.put(NEWER, ())
    change = rules.take()
    assert rules.pools(change) == {"10.96.0.20 . tcp . 80": set(), "10.96.0.30 . tcp . 80": set()}
    assert set(rules.sticky(change)) == {"10.96.0.20 . tcp . 80"}


SPECS = tuple(
    {"session_affinity": affinity, "external_traffic_policy": policy}
    for affinity in ("None", "ClientIP")
    for policy in ("Cluster", "Local")
)
CHANGES = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(("10.96.0.20", "10.96.0.21")),
        st.sets(st.integers(2, 9), max_size=4),
        st.sampled_from(SPECS),
        st.booleans(),
    ),
    max_size=20,
)
Changes = list[tuple[str, str, set[int], dict[str, str], bool]]


def either_node(pods: set[int], address: str, spec: dict[str, str]) -> tuple[Element, ...]:
    """A node port whose even pods are here, ready or leaving, and whose odd ones are elsewhere."""
    here = [
        make_endpoint(f"10.244.0.{n}", fares="st" if n % 4 else "rs") for n in pods if not n % 2
    ]
    there = [make_endpoint(f"10.244.1.{n}", node="node-b") for n in pods if n % 2]
    service = make_node_port(cluster_ip=address, external_ips=("192.0.2.9",), **spec)
    return compile_service(service, [make_slice(*here, *there)], NODE) if pods else ()


@given(CHANGES)
def test_the_kernel_always_ends_where_a_full_load_would(changes: Changes) -> None:
    rules, kernel = RuleSet(), Table()
    kernel.load(commands.fresh(Network(), rules.everything()))
    for name, address, pods, spec, send in changes:
        rules.put(Owner("", "shop", name), either_node(pods, address, spec))
        if send:
            kernel.load(commands.change(rules.take()))
        if len(pods) == 1:
            kernel.load(commands.change(rules.leftovers()))
        held = {(each.map, each.key) for each in rules.elements()}
        assert not send or held == {(n, k) for n in MAPS for k in kernel.maps[n]}
    kernel.load(commands.change(rules.take()))
    for _ in range(2):
        kernel.load(commands.change(rules.leftovers()))
    whole = Table()
    whole.load(commands.fresh(Network(), rules.everything()))
    assert kernel.maps == whole.maps
    assert set(whole.chains) <= set(kernel.chains)


@given(CHANGES)
def test_a_refill_keeps_affinity_and_leaves_no_stale_chain(changes: Changes) -> None:
    rules, kernel = RuleSet(), Table()
    kernel.load(commands.fresh(Network(), rules.everything()))
    kernel.maps["affinity"]["1.2.3.4 . 10.96.0.20 . tcp . 80"] = "10.244.0.6 . 8080"
    for name, address, pods, spec, _ in changes:
        rules.put(Owner("", "shop", name), either_node(pods, address, spec))
        kernel.load(commands.change(rules.take()))
    kernel.load(commands.refill(Network(), rules.everything(), tuple(kernel.chains)))
    whole = Table()
    whole.load(commands.fresh(Network(), rules.everything()))
    assert len(kernel.maps.pop("affinity")) == 1
    assert whole.maps.pop("affinity") == {}
    assert (kernel.maps, kernel.chains) == (whole.maps, whole.chains)
