"""The scheduler's loop on the real registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reconciler.model.container import Container, ResourceRequirements
from reconciler.model.meta import ObjectMeta
from reconciler.model.node import Node
from reconciler.model.pod import Pod, PodSpec
from reconciler.model.podstatus import PodCondition
from reconciler.scheduler.loop import Scheduler
from tests.unit.controllers.world import World


async def begin(world: World, lag: float = 0.0) -> None:
    world.client.lag = lag
    pods, nodes = world.informer(Pod), world.informer(Node)
    world.start(Scheduler(world.client, pods, nodes, world.events, world.clock).run)


async def add_pod(world: World, name: str, cpu: str = "1", **spec: Any) -> Pod:
    container = Container(
        name="c", image="i", resources=ResourceRequirements(requests={"cpu": cpu})
    )
    pod = Pod(
        metadata=ObjectMeta(name=name, namespace="default"),
        spec=PodSpec(containers=(container,), **spec),
    )
    return await world.client.create(pod)


def bound(world: World) -> set[str]:
    return {pod.metadata.name for pod in world.pods() if pod.spec.node_name}


def scheduled(world: World, name: str) -> PodCondition | None:
    pod = world.registry.get(Pod, name, "default")
    return next((c for c in pod.status.conditions if c.type == "PodScheduled"), None)


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
        small = "0/1 nodes are available: 1 Insufficient cpu."
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
