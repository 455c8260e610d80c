"""Which pods of a plan find room, which do not, and whom they make leave."""

from __future__ import annotations

from typing import Any

from reconciler.cli.fit import Fit, fit
from reconciler.model.meta import ObjectKey
from reconciler.sync.workloads import Fate, PodEffect
from tests.unit.scheduler.builders import make_node, make_pod
from tests.unit.sync.world import desired, manifest

ONE_CPU = {"cpu": "1", "memory": "1Gi", "pods": "10"}
HIGH = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
        "metadata": {"name": "high"}, "value": 100}  # fmt: skip


def vip(**spec: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}
    return manifest("Pod", "vip", "default", spec={"containers": [container], **spec})


def starts(name: str, fate: Fate = "start") -> PodEffect:
    return PodEffect(fate, "default", name, 1, ("c",), "new")


def told(*manifests: dict[str, Any], effects: Any = None) -> Fit:
    low = make_pod("low", requests={"cpu": "1"}, node_name="n1", priority=0)
    nodes = [make_node(room=ONE_CPU)]
    return fit(effects or [starts("vip")], desired(*manifests), [low], nodes)


def test_one_of_high_priority_fits_by_making_another_leave() -> None:
    found = told(HIGH, vip(priorityClassName="high"))
    assert found == Fit(preempted=("default/low leaves n1 for default/vip",))
    never = told({**HIGH, "preemptionPolicy": "Never"}, vip(priorityClassName="high"))
    assert never.preempted == ()
    assert never.misfits == ("default/vip: 0/1 nodes are available: 1 Insufficient cpu.",)


def test_one_of_the_same_priority_does_not_fit() -> None:
    found = told(vip())
    assert found == Fit(("default/vip: 0/1 nodes are available: 1 Insufficient cpu.",))


def test_a_pod_that_stops_makes_room_and_others_schedulers_pods_are_not_judged() -> None:
    assert told(vip(), effects=[starts("vip"), starts("low", "stop")]) == Fit()
    assert told(vip(schedulerName="mine")) == Fit()


def test_without_a_node_there_is_nothing_to_tell() -> None:
    objects = desired(vip())
    assert ObjectKey("Pod", "default", "vip") in objects
    assert fit([starts("vip")], objects, [], []) == Fit()
