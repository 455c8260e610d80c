"""Topology spread constraints: what is counted, where, and what follows."""

from __future__ import annotations

from collections import Counter

from reconciler.model.node import Node, Taint
from reconciler.model.pod import Pod
from reconciler.model.scheduling import TopologySpreadConstraint
from reconciler.model.selector import LabelSelector
from reconciler.scheduler.snapshot import Snapshot
from reconciler.scheduler.spreading import NO_LABEL, SKEWED
from tests.unit.scheduler.builders import make_node, make_pod, place, refusal, world

WEB = LabelSelector(match_labels={"app": "web"})


def node(name: str, zone: str = "", **more: object) -> Node:
    labels = {"kubernetes.io/hostname": name} | ({"zone": zone} if zone else {})
    return make_node(name, labels=labels, **more)  # type: ignore[arg-type]


def spread(skew: int = 1, key: str = "zone", **more: object) -> TopologySpreadConstraint:
    given = {"when_unsatisfiable": "DoNotSchedule", "label_selector": WEB} | more
    return TopologySpreadConstraint(max_skew=skew, topology_key=key, **given)  # type: ignore[arg-type]


def pod(name: str, *constraints: TopologySpreadConstraint, **more: object) -> Pod:
    labels = {"app": "web", "version": "1"}
    return make_pod(name, labels=labels, topology_spread_constraints=constraints, **more)  # type: ignore[arg-type]


def fill(snapshot: Snapshot, number: int, *constraints: TopologySpreadConstraint) -> Counter[str]:
    """Place `number` pods one after the other; return how many each node got."""
    found: Counter[str] = Counter()
    for index in range(number):
        each = pod(f"p{index}", *constraints)
        found[place(each, snapshot, index)] += 1
        snapshot.place(each, place(each, snapshot, index))
    return found


def test_zones_stay_within_the_skew() -> None:
    snapshot = world(node("a", "x"), node("b", "x"), node("c", "y"))
    for index in range(9):
        each = pod(f"p{index}", spread())
        snapshot.place(each, place(each, snapshot))
        zones = Counter[str]()
        for use in snapshot.nodes():
            zones[use.labels["zone"]] += use.pods
        assert abs(zones["x"] - zones["y"]) <= 1


def test_a_full_zone_refuses_in_kubernetes_words() -> None:
    full = node("b", "y", room={"cpu": "1", "memory": "1Gi", "pods": "0"})
    snapshot = world(node("a", "x"), full, placed=[(pod("one"), "a")])
    assert refusal(pod("two", spread()), snapshot) == (
        f"0/2 nodes are available: 1 Too many pods, 1 {SKEWED}."
    )
    assert place(pod("two", spread(skew=2)), snapshot) == "a"


def test_a_node_without_the_label_is_refused_and_not_counted() -> None:
    snapshot = world(node("a"), node("b", "y"), placed=[(pod("one"), "a"), (pod("two"), "a")])
    assert place(pod("new", spread()), snapshot) == "b"
    assert (
        refusal(pod("new", spread()), world(node("a"))) == f"0/1 nodes are available: 1 {NO_LABEL}."
    )


def test_pods_that_leave_or_live_elsewhere_or_are_others_do_not_count() -> None:
    leaving = pod("leaving")
    leaving = leaving.replace(
        metadata=leaving.metadata.replace(deletion_timestamp="2026-01-01T00:00:00Z")
    )
    placed = [
        (leaving, "a"),
        (pod("elsewhere", namespace="other"), "a"),
        (make_pod("stranger", labels={"app": "db"}), "a"),
    ]
    busy = node("b", "y", room={"cpu": "1", "memory": "1Gi", "pods": "0"})
    assert place(pod("new", spread()), world(node("a", "x"), busy, placed=placed)) == "a"


def test_min_domains_counts_absent_domains_as_empty() -> None:
    snapshot = world(node("a", "x"), node("b", "x"), placed=[(pod("one"), "a")])
    assert place(pod("two", spread()), snapshot) in "ab"
    assert refusal(pod("two", spread(min_domains=2)), snapshot) == (
        f"0/2 nodes are available: 2 {SKEWED}."
    )


def test_nodes_that_the_pod_does_not_select_count_only_when_told_to() -> None:
    nodes = [node("a", "x"), node("b", "y")]
    snapshot = world(*nodes, placed=[(pod("one"), "a")])
    only = {"node_selector": {"zone": "x"}}
    assert place(pod("two", spread(), **only), snapshot) == "a"
    ignoring = spread(node_affinity_policy="Ignore")
    assert f"1 {SKEWED}" in refusal(pod("two", ignoring, **only), snapshot)


def test_tainted_nodes_count_unless_told_otherwise() -> None:
    taint = Taint(key="gpu", value="", effect="NoSchedule")
    snapshot = world(node("a", "x"), node("b", "y", taints=(taint,)), placed=[(pod("one"), "a")])
    assert f"1 {SKEWED}" in refusal(pod("two", spread()), snapshot)
    assert place(pod("two", spread(node_taints_policy="Honor")), snapshot) == "a"


def test_match_label_keys_look_at_the_pods_own_version() -> None:
    older = make_pod("old", labels={"app": "web", "version": "0"})
    full = node("b", "y", room={"cpu": "1", "memory": "1Gi", "pods": "0"})
    snapshot = world(node("a", "x"), full, placed=[(older, "a")])
    assert f"1 {SKEWED}" in refusal(pod("new", spread()), snapshot)
    assert place(pod("new", spread(match_label_keys=("version",))), snapshot) == "a"


def test_schedule_anyway_prefers_the_emptier_domain_and_refuses_none() -> None:
    soft = spread(when_unsatisfiable="ScheduleAnyway")
    snapshot = world(node("a", "x"), node("b", "y"))
    assert fill(snapshot, 6, soft) == {"a": 3, "b": 3}
    alone = world(node("a", "x"), placed=[(pod(f"p{n}"), "a") for n in range(5)])
    assert place(pod("new", soft), alone) == "a"


def test_schedule_anyway_thinks_nothing_of_nodes_without_the_label() -> None:
    soft = spread(when_unsatisfiable="ScheduleAnyway")
    snapshot = world(node("a", "x"), node("b"), placed=[(pod("one"), "a")])
    assert {place(pod("new", soft), snapshot, seed) for seed in range(9)} == {"a"}


def test_two_constraints_hold_at_once() -> None:
    nodes = [node("a", "x"), node("b", "x"), node("c", "y"), node("d", "y")]
    both = (spread(), spread(key="kubernetes.io/hostname"))
    assert set(fill(world(*nodes), 8, *both).values()) == {2}
