"""Preemption: whose leaving helps, whose helps with the least harm, and who may ask for it."""

from __future__ import annotations

from reconciler.model.meta import ObjectMeta
from reconciler.model.node import Node
from reconciler.model.pod import Pod
from reconciler.model.podstatus import PodStatus
from reconciler.scheduler.decision import Placed, Refused, decide
from reconciler.scheduler.preemption import NEVER, UNDER_WAY, NoPreemption, Preemption, preempt
from reconciler.scheduler.snapshot import Snapshot
from tests.unit.scheduler.builders import make_node, make_pod, world


def pod(name: str, priority: int, cpu: str = "1", since: str = "", **spec: object) -> Pod:
    return make_pod(name, requests={"cpu": cpu}, since=since, priority=priority, **spec)


def attempt(wanted: Pod, snapshot: Snapshot) -> Preemption | NoPreemption:
    crowded = snapshot.crowded(wanted)
    decision = decide(wanted, snapshot.nodes(), 1, crowded=crowded)
    assert isinstance(decision, Refused)
    return preempt(decision.request, decision.by_node, snapshot.tenants(), crowded)


def victims(wanted: Pod, snapshot: Snapshot) -> tuple[str, list[str]]:
    found = attempt(wanted, snapshot)
    assert isinstance(found, Preemption)
    return found.node, [victim.name for victim in found.victims]


def two_cpus(name: str = "n1") -> Node:
    return make_node(name)


def test_the_least_important_that_make_room_leave_and_no_more() -> None:
    placed = [(pod("low", 1), "n1"), (pod("lower", 0), "n1")]
    assert victims(pod("vip", 10), world(two_cpus(), placed=placed)) == ("n1", ["lower"])
    assert victims(pod("vip", 10, "2"), world(two_cpus(), placed=placed)) == (
        "n1", ["low", "lower"],
    )  # fmt: skip


def test_pods_of_the_same_priority_stay() -> None:
    snapshot = world(two_cpus(), placed=[(pod("equal", 10, "2"), "n1")])
    assert attempt(pod("vip", 10), snapshot) == NoPreemption(
        "0/1 nodes are available: 1 No preemption victims found for incoming pod.", hopeless=True
    )


def test_where_leaving_would_not_help_nobody_leaves() -> None:
    placed = [(pod("low", 0), "n1"), (pod("low2", 0), "n2")]
    snapshot = world(two_cpus(), make_node("n2", unschedulable=True), placed=placed)
    assert attempt(pod("vip", 10, "3"), snapshot) == NoPreemption(
        "0/2 nodes are available: 1 Insufficient cpu, 1 Preemption is not helpful for scheduling.",
        hopeless=True,
    )


def test_the_gentlest_node_is_chosen() -> None:
    nodes = [two_cpus("a"), two_cpus("b"), two_cpus("c")]
    by_priority = [(pod("a", 5, "2"), "a"), (pod("b", 3, "2"), "b"), (pod("c", 4, "2"), "c")]
    assert victims(pod("vip", 10), world(*nodes, placed=by_priority))[0] == "b"
    by_number = [
        (pod("a1", 3), "a"), (pod("a2", 3), "a"), (pod("b", 3, "2"), "b"),
        (pod("c1", 3), "c"), (pod("c2", 3), "c"),
    ]  # fmt: skip
    assert victims(pod("vip", 10, "2"), world(*nodes, placed=by_number))[0] == "b"
    by_age = [(pod(n, 3, "2", since=f"2026-01-0{i}T00:00:00Z"), n) for i, n in enumerate("acb", 1)]
    assert victims(pod("vip", 10), world(*nodes, placed=by_age))[0] == "b"


def test_who_may_not_preempt() -> None:
    snapshot = world(two_cpus(), placed=[(pod("low", 0, "2"), "n1")])
    assert attempt(pod("calm", 10, preemption_policy="Never"), snapshot) == NoPreemption(NEVER)
    leaving = pod("low", 0, "2")
    leaving = leaving.replace(
        metadata=leaving.metadata.replace(deletion_timestamp="2026-01-01T00:00:00Z")
    )
    snapshot.place(leaving, "n1")
    again = pod("vip", 10).replace(status=PodStatus(nominated_node_name="n1"))
    assert attempt(again, snapshot) == NoPreemption(UNDER_WAY)


def test_room_that_is_made_is_kept_from_lower_and_open_to_higher_pods() -> None:
    snapshot = world(two_cpus(), placed=[(pod("low", 0, "2"), "n1")])
    snapshot.nominate(pod("vip", 10, "2"), "n1")
    snapshot.remove("uid-low")

    def goes(wanted: Pod) -> bool:
        decision = decide(wanted, snapshot.nodes(), 1, crowded=snapshot.crowded(wanted))
        return isinstance(decision, Placed)

    assert goes(pod("vip", 10, "2"))
    assert not goes(pod("thief", 5))
    assert goes(pod("emperor", 11))
    assert snapshot.remove("uid-vip")
    assert goes(pod("thief", 5))


def test_a_pod_that_is_gone_needs_no_room() -> None:
    snapshot = world(two_cpus())
    vip = pod("vip", 10, "2").replace(metadata=ObjectMeta(name="vip", uid="u"))
    snapshot.nominate(vip, "n1")
    snapshot.withdraw("u")
    assert not snapshot.nominated()
