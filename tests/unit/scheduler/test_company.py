"""Inter-pod affinity: whom pods want near, whom they keep away, and how much."""

from __future__ import annotations

import pytest

from reconciler.model.meta import ObjectMeta
from reconciler.model.node import Node
from reconciler.model.pod import Pod
from reconciler.model.scheduling import (
    Affinity,
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
    WeightedPodAffinityTerm,
)
from reconciler.model.selector import LabelSelector, LabelSelectorRequirement
from reconciler.scheduler.company import AFFINITY, ANTI_AFFINITY, EXISTING
from tests.unit.scheduler.builders import make_node, make_pod, place, refusal, world

HOST = "kubernetes.io/hostname"


def node(name: str, zone: str = "") -> Node:
    labels = {HOST: name} | ({"zone": zone} if zone else {})
    return make_node(name, labels=labels)


def term(app: str = "db", key: str = HOST, **more: object) -> PodAffinityTerm:
    selector = LabelSelector(match_labels={"app": app})
    return PodAffinityTerm(topology_key=key, label_selector=selector, **more)  # type: ignore[arg-type]


def near(*terms: PodAffinityTerm) -> Affinity:
    return Affinity(
        pod_affinity=PodAffinity(required_during_scheduling_ignored_during_execution=terms)
    )


def away(*terms: PodAffinityTerm) -> Affinity:
    return Affinity(
        pod_anti_affinity=PodAntiAffinity(required_during_scheduling_ignored_during_execution=terms)
    )


def wish(weight: int, held: PodAffinityTerm) -> tuple[WeightedPodAffinityTerm, ...]:
    return (WeightedPodAffinityTerm(weight=weight, pod_affinity_term=held),)


def pod(name: str, app: str = "web", affinity: Affinity | None = None, **more: object) -> Pod:
    return make_pod(name, labels={"app": app}, affinity=affinity, **more)  # type: ignore[arg-type]


def why(reason: str, count: int = 2) -> str:
    return f"0/{count} nodes are available: {count} {reason}."


def test_affinity_goes_where_the_others_are() -> None:
    snapshot = world(node("a"), node("b"), node("c"), placed=[(pod("db", "db"), "b")])
    wanted = pod("web", affinity=near(term()))
    assert {place(wanted, snapshot, seed) for seed in range(9)} == {"b"}


def test_affinity_reaches_the_whole_domain() -> None:
    nodes = [node("a", "x"), node("b", "x"), node("c", "y")]
    snapshot = world(*nodes, placed=[(pod("db", "db"), "a")])
    wanted = pod("web", affinity=near(term(key="zone")))
    assert {place(wanted, snapshot, seed) for seed in range(30)} <= {"a", "b"}


def test_affinity_to_nobody_refuses_unless_the_pod_is_the_first_of_its_kind() -> None:
    snapshot = world(node("a"), node("b"))
    assert refusal(pod("web", affinity=near(term())), snapshot) == why(AFFINITY)
    assert place(pod("web", affinity=near(term("web"))), snapshot) in "ab"
    # ... but only where the topology is known
    assert refusal(pod("web", affinity=near(term("web", "zone"))), snapshot) == why(AFFINITY)


def test_all_affinity_terms_must_be_about_the_same_pods() -> None:
    placed = [(pod("db", "db"), "a"), (pod("cache", "cache"), "b")]
    snapshot = world(node("a"), node("b"), placed=placed)
    wanted = pod("web", affinity=near(term("db"), term("cache")))
    assert refusal(wanted, snapshot) == why(AFFINITY)


def test_anti_affinity_keeps_away_from_others_and_from_ones_own_kind() -> None:
    snapshot = world(node("a"), node("b"))
    for number in range(2):
        each = pod(f"web-{number}", affinity=away(term("web")))
        snapshot.place(each, place(each, snapshot))
    assert [use.pods for use in snapshot.nodes()] == [1, 1]
    third = pod("web-2", affinity=away(term("web")))
    assert refusal(third, snapshot) == why(ANTI_AFFINITY)


def test_anti_affinity_of_a_pod_that_runs_keeps_others_away() -> None:
    hermit = pod("hermit", "db", away(term("web", "zone")))
    nodes = [node("a", "x"), node("b", "x"), node("c", "y"), node("d")]
    snapshot = world(*nodes, placed=[(hermit, "a")])
    assert {place(pod("web"), snapshot, seed) for seed in range(30)} <= {"c", "d"}
    assert place(pod("other", "other"), snapshot) in "abcd"
    only = world(nodes[0], nodes[1], placed=[(hermit, "a")])
    assert refusal(pod("web"), only) == why(EXISTING)


@pytest.mark.parametrize(
    ("more", "fits"),
    [
        ({}, False),
        ({"namespaces": ("other",)}, True),
        ({"namespaces": ("default",)}, False),
        ({"namespace_selector": LabelSelector()}, True),
        ({"namespace_selector": LabelSelector(match_labels={"team": "a"})}, True),
        ({"namespace_selector": LabelSelector(match_labels={"team": "b"})}, False),
    ],
)
def test_namespaces_of_a_term(more: dict[str, object], fits: bool) -> None:
    there = pod("db", "db", namespace="other")
    snapshot = world(node("a"), placed=[(there, "a")])
    snapshot.spaces["other"] = {"team": "a"}
    wanted = pod("web", affinity=near(term(**more)))
    if fits:
        assert place(wanted, snapshot) == "a"
    else:
        assert refusal(wanted, snapshot) == why(AFFINITY, 1)


def test_a_term_without_a_selector_is_about_no_pod() -> None:
    snapshot = world(node("a"), placed=[(pod("db", "db"), "a")])
    nobody = PodAffinityTerm(topology_key=HOST)
    assert place(pod("web", affinity=away(nobody)), snapshot) == "a"
    assert refusal(pod("web", affinity=near(nobody)), snapshot) == why(AFFINITY, 1)


def test_expressions_of_a_selector() -> None:
    odd = LabelSelectorRequirement(key="app", operator="NotIn", values=("web",))
    held = PodAffinityTerm(
        topology_key=HOST, label_selector=LabelSelector(match_expressions=(odd,))
    )
    snapshot = world(node("a"), node("b"), placed=[(pod("db", "db"), "b"), (pod("w"), "a")])
    assert {place(pod("new", affinity=near(held)), snapshot, s) for s in range(9)} == {"b"}


def test_preferences_of_the_pod_itself() -> None:
    snapshot = world(node("a"), node("b"), placed=[(pod("db", "db"), "a"), (pod("x", "x"), "b")])
    likes = Affinity(
        pod_affinity=PodAffinity(
            preferred_during_scheduling_ignored_during_execution=wish(50, term("db"))
        )
    )
    shuns = Affinity(
        pod_anti_affinity=PodAntiAffinity(
            preferred_during_scheduling_ignored_during_execution=wish(50, term("db"))
        )
    )
    assert {place(pod("web", affinity=likes), snapshot, s) for s in range(9)} == {"a"}
    assert {place(pod("web", affinity=shuns), snapshot, s) for s in range(9)} == {"b"}


def test_preferences_of_the_pods_that_run() -> None:
    fond = Affinity(
        pod_affinity=PodAffinity(
            preferred_during_scheduling_ignored_during_execution=wish(1, term("web"))
        )
    )
    for affinity in (fond, near(term("web"))):
        placed = [(pod("db", "db", affinity), "a"), (pod("x", "x"), "b")]
        snapshot = world(node("a"), node("b"), placed=placed)
        assert {place(pod("web"), snapshot, s) for s in range(9)} == {"a"}


def test_a_pod_that_left_counts_no_more() -> None:
    hermit = pod("hermit", "db", away(term("web")))
    snapshot = world(node("a"), placed=[(hermit, "a")])
    assert refusal(pod("web"), snapshot) == why(EXISTING, 1)
    snapshot.remove(hermit.metadata.uid)
    assert place(pod("web"), snapshot) == "a"
    assert not snapshot.nodes()[0].profiles
    assert not snapshot.nodes()[0].choosy


def test_pods_alike_are_looked_at_once() -> None:
    placed = [(pod(f"p{number}", affinity=near(term("web"))), "a") for number in range(50)]
    snapshot = world(node("a"), placed=placed)
    assert list(snapshot.nodes()[0].profiles.values()) == [50]
    again = pod("p7").replace(metadata=ObjectMeta(name="p7", namespace="default", uid="uid-p7"))
    snapshot.place(again, "a")
    assert sorted(snapshot.nodes()[0].profiles.values()) == [1, 49]
