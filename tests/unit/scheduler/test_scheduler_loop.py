"""The scheduler's loop on the real registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reconciler.model.container import Container, ResourceRequirements
from reconciler.model.meta import ObjectMeta
from reconciler.model.namespace import Namespace
from reconciler.model.node import Node
from reconciler.model.pod import Pod, PodSpec
from reconciler.model.podstatus import PodCondition
from reconciler.model.priorityclass import PriorityClass
from reconciler.model.scheduling import Affinity, PodAffinity, PodAffinityTerm, PodAntiAffinity
from reconciler.model.selector import LabelSelector
from reconciler.scheduler.loop import Scheduler
from tests.unit.controllers.world import ObedientKubelet, World


async def begin(world: World, lag: float = 0.0) -> None:
    world.client.lag = lag
    pods, nodes = world.informer(Pod), world.informer(Node)
    spaces = world.informer(Namespace)
    scheduler = Scheduler(world.client, pods, nodes, world.events, world.clock, namespaces=spaces)
    world.start(scheduler.run)


async def add_class(world: World, name: str, value: int, policy: str | None = None) -> None:
    meta = ObjectMeta(name=name)
    await world.client.create(PriorityClass(metadata=meta, value=value, preemption_policy=policy))


async def add_pod(
    world: World,
    name: str,
    cpu: str = "1",
    namespace: str = "default",
    labels: dict[str, str] | None = None,
    **spec: Any,
) -> Pod:
    container = Container(
        name="c", image="i", resources=ResourceRequirements(requests={"cpu": cpu})
    )
    pod = Pod(
        metadata=ObjectMeta(name=name, namespace=namespace, labels=labels or {}),
        spec=PodSpec(containers=(container,), **spec),
    )
    return await world.client.create(pod)


def bound(world: World) -> set[str]:
    return {pod.metadata.name for pod in world.pods() if pod.spec.node_name}


def scheduled(world: World, name: str) -> PodCondition | None:
    pod = world.registry.get(Pod, name, "default")
    return next((c for c in pod.status.conditions if c.type == "PodScheduled"), None)


def nominated(world: World, name: str) -> str:
    return world.registry.get(Pod, name, "default").status.nominated_node_name


def run(virtual: Any, clock: Any, scenario: Callable[[World], Any]) -> None:
    async def body() -> None:
        async with World(clock) as world:
            await scenario(world)

    virtual.run_until_complete(body())


@pytest.mark.parametrize("lag", [0.0, 0.5])
def test_a_lagging_watch_never_overcommits_a_node(virtual: Any, clock: Any, lag: float) -> None:
    async def scenario(world: World) -> None:
        await world.add_node("n1", cpu="4")
        await world.add_node("n2", cpu="2")
        await begin(world, lag)
        for number in range(10):
            await add_pod(world, f"p{number}")
        await world.until(lambda: len(bound(world)) == 6, 100)
        await world.settle(30)
        by_node = [pod.spec.node_name for pod in world.pods() if pod.spec.node_name]
        assert (by_node.count("n1"), by_node.count("n2")) == (4, 2)

    run(virtual, clock, scenario)


def test_why_a_pod_waits_is_said_once_and_taken_back(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        await begin(world)
        await add_pod(world, "p")
        await world.until(lambda: scheduled(world, "p") is not None)
        condition = scheduled(world, "p")
        assert condition is not None
        assert (condition.status, condition.reason, condition.message) == (
            "False",
            "Unschedulable",
            "no nodes available to schedule pods",
        )
        await world.add_node("n1", cpu="500m")
        small = (
            "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: "
            "1 No preemption victims found for incoming pod."
        )
        await world.until(lambda: getattr(scheduled(world, "p"), "message", "") == small)
        await world.settle()
        revision = world.registry.revision
        await world.settle(2000)
        assert world.registry.revision == revision
        assert "FailedScheduling" in world.reasons()

        await world.add_node("n2", cpu="2")
        await world.until(lambda: bound(world) == {"p"})
        condition = scheduled(world, "p")
        assert condition is not None
        assert (condition.status, condition.reason) == ("True", "")

    run(virtual, clock, scenario)


def test_a_pod_that_leaves_makes_room(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        await world.add_node("n1", cpu="1")
        await begin(world)
        await add_pod(world, "first")
        await world.until(lambda: bound(world) == {"first"})
        await add_pod(world, "second")
        await world.settle()
        assert bound(world) == {"first"}
        await world.client.delete(Pod, "first", "default", grace_period_seconds=0)
        await world.until(lambda: bound(world) == {"second"})

    run(virtual, clock, scenario)


def test_a_pod_that_ended_makes_room(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        await world.add_node("n1", cpu="1")
        await begin(world)
        await add_pod(world, "first")
        await world.until(lambda: bound(world) == {"first"})
        await add_pod(world, "second")
        await world.settle()
        ended = world.registry.get(Pod, "first", "default")
        status = ended.status.replace(phase="Succeeded")
        await world.client.update(ended.replace(status=status), subresource="status")
        await world.until(lambda: bound(world) == {"first", "second"})

    run(virtual, clock, scenario)


def test_others_pods_are_left_alone(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        await world.add_node("n1")
        await begin(world)
        await add_pod(world, "foreign", scheduler_name="mine")
        await add_pod(world, "fixed", node_name="n9")
        await add_pod(world, "ours")
        await world.until(lambda: "ours" in bound(world))
        await world.settle()
        assert bound(world) == {"ours", "fixed"}

    run(virtual, clock, scenario)


def test_what_was_bound_before_a_restart_counts(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        await world.add_node("n1", cpu="1")
        await add_pod(world, "old")
        await world.client.bind("old", "default", "n1", uid="")
        await add_pod(world, "new")
        await begin(world)
        await world.settle(5)
        assert bound(world) == {"old"}

    run(virtual, clock, scenario)


def test_a_change_that_does_not_help_writes_nothing(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        node = await world.add_node("n1", cpu="500m")
        await begin(world)
        await add_pod(world, "p")
        await world.until(lambda: scheduled(world, "p") is not None)
        await world.settle()
        labelled = node.metadata.replace(labels={"a": "b"})
        await world.client.update(node.replace(metadata=labelled))
        revision = world.registry.revision
        await world.settle(100)
        assert world.registry.revision == revision

    run(virtual, clock, scenario)


def near(app: str, **more: Any) -> Affinity:
    term = PodAffinityTerm(
        topology_key="kubernetes.io/hostname",
        label_selector=LabelSelector(match_labels={"app": app}),
        **more,
    )
    return Affinity(
        pod_affinity=PodAffinity(required_during_scheduling_ignored_during_execution=(term,))
    )


async def label(world: World, name: str) -> None:
    node = world.registry.get(Node, name)
    meta = node.metadata.replace(labels={"kubernetes.io/hostname": name})
    await world.client.update(node.replace(metadata=meta))


def test_a_pod_waits_for_the_company_that_it_wants(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        for name in ("n1", "n2"):
            await world.add_node(name)
            await label(world, name)
        await begin(world)
        await add_pod(world, "web", affinity=near("db"))
        await world.until(lambda: scheduled(world, "web") is not None)
        await add_pod(world, "other", labels={"app": "other"})
        await world.settle()
        assert bound(world) == {"other"}
        await add_pod(world, "db", labels={"app": "db"})
        await world.until(lambda: bound(world) == {"web", "db", "other"})
        by_name = {pod.metadata.name: pod.spec.node_name for pod in world.pods()}
        assert by_name["web"] == by_name["db"]

    run(virtual, clock, scenario)


def test_a_namespaces_labels_decide_whose_company_counts(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        await world.add_node("n1")
        await label(world, "n1")
        space = await world.client.create(Namespace(metadata=ObjectMeta(name="data")))
        await begin(world)
        await add_pod(world, "db", namespace="data", labels={"app": "db"})
        team = LabelSelector(match_labels={"team": "a"})
        await add_pod(world, "web", affinity=near("db", namespace_selector=team))
        await world.settle(2)
        assert bound(world) == set()
        labelled = space.metadata.replace(labels={**space.metadata.labels, "team": "a"})
        await world.client.update(space.replace(metadata=labelled))
        await world.until(lambda: bound(world) == {"web"})

    run(virtual, clock, scenario)


def test_a_pod_of_high_priority_takes_the_place_of_a_low_one(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        await world.add_node("n1", cpu="2")
        await add_class(world, "high", 100)
        await begin(world)
        kubelet = ObedientKubelet(world.client, world.informer(Pod), world.clock)
        kubelet.stop_after = 5.0
        world.start(kubelet.run)
        await add_pod(world, "low", cpu="2")
        await world.until(lambda: bound(world) == {"low"})
        await add_pod(world, "vip", cpu="2", priority_class_name="high")
        await world.until(lambda: scheduled(world, "vip") is not None)
        vip = world.registry.get(Pod, "vip", "default")
        assert vip.status.nominated_node_name == "n1"
        low = world.registry.get(Pod, "low", "default")
        assert low.metadata.deletion_timestamp is not None
        assert low.metadata.deletion_grace_period_seconds == 30
        told = next(c for c in low.status.conditions if c.type == "DisruptionTarget")
        assert (told.status, told.reason) == ("True", "PreemptionByScheduler")
        await add_pod(world, "thief", cpu="1")
        await world.until(lambda: bound(world) == {"vip"}, 20)
        await world.settle()
        assert bound(world) == {"vip"}
        assert "Preempted" in world.reasons()

    run(virtual, clock, scenario)


def test_a_pod_that_may_not_preempt_waits(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        await world.add_node("n1", cpu="1")
        await add_class(world, "calm", 100, "Never")
        await begin(world)
        await add_pod(world, "low")
        await world.until(lambda: bound(world) == {"low"})
        await add_pod(world, "calm", priority_class_name="calm")
        await world.until(lambda: scheduled(world, "calm") is not None)
        await world.settle()
        condition = scheduled(world, "calm")
        assert condition is not None
        assert condition.message == (
            "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to "
            "preemptionPolicy=Never."
        )
        assert bound(world) == {"low"}

    run(virtual, clock, scenario)


def test_when_room_comes_the_most_important_goes_first(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        await world.add_node("n1", cpu="1")
        await add_class(world, "calm", 100, "Never")
        await begin(world)
        await add_pod(world, "first")
        await world.until(lambda: bound(world) == {"first"})
        await add_pod(world, "plain")
        await add_pod(world, "calm", priority_class_name="calm")
        await world.settle()
        await world.client.delete(Pod, "first", "default", grace_period_seconds=0)
        await world.until(lambda: bound(world) == {"calm"})

    run(virtual, clock, scenario)


def test_room_is_kept_no_longer_where_the_pod_cannot_go_any_more(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        await world.add_node("n1", cpu="2")
        await add_class(world, "high", 100)
        await begin(world)
        await add_pod(world, "low", cpu="2")
        await world.until(lambda: bound(world) == {"low"})
        await add_pod(world, "vip", cpu="2", priority_class_name="high", node_selector={"a": "b"})
        node = world.registry.get(Node, "n1")
        meta = node.metadata.replace(labels={"a": "b"})
        await world.client.update(node.replace(metadata=meta))
        await world.until(lambda: nominated(world, "vip") == "n1")
        node = world.registry.get(Node, "n1")
        meta = node.metadata.replace(labels={})
        await world.client.update(node.replace(metadata=meta))
        await world.until(lambda: nominated(world, "vip") == "")
        await world.client.delete(Pod, "low", "default", grace_period_seconds=0)
        await add_pod(world, "plain", cpu="2")
        await world.until(lambda: bound(world) == {"plain"})

    run(virtual, clock, scenario)


def test_a_label_that_goes_opens_the_node_to_whom_it_kept_away(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        await world.add_node("n1")
        await label(world, "n1")
        await begin(world)
        db = await add_pod(world, "db", labels={"app": "db"})
        await world.until(lambda: bound(world) == {"db"})
        term = near("db").pod_affinity
        assert term is not None
        apart = PodAntiAffinity(
            required_during_scheduling_ignored_during_execution=(
                term.required_during_scheduling_ignored_during_execution
            )
        )
        await add_pod(world, "web", affinity=Affinity(pod_anti_affinity=apart))
        await world.until(lambda: scheduled(world, "web") is not None)
        live = world.registry.get(Pod, "db", "default")
        assert live.metadata.uid == db.metadata.uid
        await world.client.update(live.replace(metadata=live.metadata.replace(labels={})))
        await world.until(lambda: bound(world) == {"db", "web"})

    run(virtual, clock, scenario)
