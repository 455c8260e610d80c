"""Safety of placing pods that look at each other: apart, evenly, and by priority."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.node import Node
from reconciler.model.pod import Pod
from reconciler.model.scheduling import (
    Affinity,
    PodAffinityTerm,
    PodAntiAffinity,
    TopologySpreadConstraint,
)
from reconciler.model.selector import LabelSelector
from reconciler.scheduler.decision import Placed, Refused, decide
from reconciler.scheduler.preemption import NoPreemption, preempt
from reconciler.scheduler.snapshot import Snapshot
from tests.unit.scheduler.builders import make_node, make_pod

ZONES = st.lists(st.sampled_from(["x", "y", "z", ""]), min_size=1, max_size=6)
APPS = st.sampled_from(["a", "b", "c"])


def world(zones: list[str], cpu: int = 100) -> Snapshot:
    snapshot = Snapshot()
    for number, zone in enumerate(zones):
        snapshot.set_node(node(number, zone, cpu))
    return snapshot


def node(number: int, zone: str, cpu: int) -> Node:
    room = {"cpu": str(cpu), "memory": "1Ti", "pods": "100"}
    return make_node(f"n{number}", labels={"zone": zone} if zone else {}, room=room)


def about(app: str) -> LabelSelector:
    return LabelSelector(match_labels={"app": app})


def hermit(number: int, app: str, shuns: str) -> Pod:
    term = PodAffinityTerm(topology_key="zone", label_selector=about(shuns))
    apart = PodAntiAffinity(required_during_scheduling_ignored_during_execution=(term,))
    affinity = Affinity(pod_anti_affinity=apart)
    return make_pod(f"p{number}", labels={"app": app}, affinity=affinity)


def place(snapshot: Snapshot, pod: Pod, seed: int = 0) -> str:
    found = decide(pod, snapshot.nodes(), seed, crowded=snapshot.crowded(pod))
    if not isinstance(found, Placed):
        return ""
    snapshot.place(pod, found.node)
    return found.node


@settings(max_examples=150, deadline=None)
@given(zones=ZONES, pods=st.lists(st.tuples(APPS, APPS), max_size=12), seed=st.integers(0, 3))
def test_who_shuns_another_never_shares_its_zone(
    zones: list[str], pods: list[tuple[str, str]], seed: int
) -> None:
    snapshot = world(zones)
    by_zone: dict[str, list[tuple[str, str]]] = {}
    for number, (app, shuns) in enumerate(pods):
        where = place(snapshot, hermit(number, app, shuns), seed)
        zone = zones[int(where[1:])] if where else ""
        if zone:
            by_zone.setdefault(zone, []).append((app, shuns))
        elif not where:
            # The refusal is true: in every zone somebody objects, and no node is outside of zones.
            assert "" not in zones
            for here in set(zones):
                others = by_zone.get(here, [])
                assert any(app == other[1] or shuns == other[0] for other in others)
    for others in by_zone.values():
        for index, (app, shuns) in enumerate(others):
            for other, shunned in others[index + 1 :]:
                assert shuns != other
                assert shunned != app


@settings(max_examples=150, deadline=None)
@given(
    zones=ZONES,
    steps=st.lists(st.booleans(), max_size=25),
    skew=st.integers(1, 3),
    least=st.integers(1, 4),
)
def test_the_skew_is_never_more_than_allowed_when_a_pod_comes(
    zones: list[str], steps: list[bool], skew: int, least: int
) -> None:
    snapshot = world(zones)
    constraint = TopologySpreadConstraint(
        max_skew=skew,
        topology_key="zone",
        when_unsatisfiable="DoNotSchedule",
        label_selector=about("a"),
        min_domains=least,
    )
    named = {zone for zone in zones if zone}
    placed: list[tuple[str, str]] = []
    for number, comes in enumerate(steps):
        if not comes and placed:
            gone, _ = placed.pop(0)
            snapshot.remove(gone)
            continue
        pod = make_pod(f"p{number}", labels={"app": "a"}, topology_spread_constraints=(constraint,))
        where = place(snapshot, pod, number)
        counts = Counter(dict.fromkeys(named, 0))
        counts.update(zone for _, zone in placed)
        lowest = min(counts.values(), default=0) if len(named) >= least else 0
        if where:
            zone = zones[int(where[1:])]
            assert zone
            assert counts[zone] + 1 - lowest <= skew
            placed.append((pod.metadata.uid, zone))
        else:
            assert all(counts[zone] + 1 - lowest > skew for zone in named)


PRIORITIES = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), max_size=10)


@settings(max_examples=200, deadline=None)
@given(pods=PRIORITIES, wanted=st.integers(1, 5), priority=st.integers(0, 4))
def test_victims_are_lower_they_suffice_and_none_is_too_many(
    pods: list[tuple[int, int]], wanted: int, priority: int
) -> None:
    snapshot = world(["x", "y"], cpu=4)
    standing: dict[str, tuple[str, int]] = {}
    for number, (rank, cpu) in enumerate(pods):
        pod = make_pod(f"p{number}", requests={"cpu": str(cpu)}, priority=rank)
        where = place(snapshot, pod)
        if where:
            standing[pod.metadata.uid] = (where, rank)
    vip = make_pod("vip", requests={"cpu": str(wanted)}, priority=priority)
    refused = decide(vip, snapshot.nodes(), 0)
    if not isinstance(refused, Refused):
        return
    found = preempt(refused.request, refused.by_node, snapshot.tenants(), {})
    if isinstance(found, NoPreemption):
        # Not even all lower pods of a node would make room.
        for use in snapshot.nodes():
            lower = [
                uid for uid, (at, rank) in standing.items() if at == use.name and rank < priority
            ]
            freed = sum(snapshot.tenants()[use.name][uid].demand.resources["cpu"] for uid in lower)
            assert not lower or use.used["cpu"] - freed + wanted * 1000 > 4000
        return
    victims = [victim.uid for victim in found.victims]
    assert victims
    assert all(standing[uid][0] == found.node and standing[uid][1] < priority for uid in victims)
    used = next(use.used["cpu"] for use in snapshot.nodes() if use.name == found.node)
    costs = {v.uid: v.demand.resources["cpu"] for v in found.victims}
    assert used - sum(costs.values()) + wanted * 1000 <= 4000
    # Without any one of them the room would not do.
    assert all(used - sum(costs.values()) + cost + wanted * 1000 > 4000 for cost in costs.values())
