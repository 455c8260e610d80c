"""Silent nodes: the plans, and the loop on the real registry and a virtual clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler.client.protocol import NotFound
from reconciler.controllers.nodelifecycle.loop import NodeLifecycle
from reconciler.controllers.nodelifecycle.plan import (
    evict_in,
    ready_status,
    silent_status,
    tainted_spec,
)
from reconciler.controllers.podstate import is_ready
from reconciler.model.container import Container
from reconciler.model.lease import NODE_LEASES, Lease, LeaseSpec
from reconciler.model.meta import ObjectMeta
from reconciler.model.node import (
    NOT_READY,
    UNREACHABLE,
    UNSCHEDULABLE,
    Node,
    NodeCondition,
    NodeSpec,
    NodeStatus,
    Taint,
)
from reconciler.model.pod import Pod, PodSpec
from reconciler.model.scheduling import Toleration
from reconciler.model.time import LONGEST_SECONDS, format_micro_time, format_time
from tests.unit.controllers.builders import make_pod
from tests.unit.controllers.world import ObedientKubelet, World

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def make_node(ready: str = "True", *taints: Taint, cordoned: bool = False, **more: str) -> Node:
    conditions = [NodeCondition(type="Ready", status=ready, last_heartbeat_time=format_time(NOW))]
    conditions += [NodeCondition(type=kind, status=status) for kind, status in more.items()]
    return Node(
        metadata=ObjectMeta(name="n1", creation_timestamp=format_time(NOW)),
        spec=NodeSpec(taints=taints, unschedulable=cordoned),
        status=NodeStatus(conditions=tuple(conditions)),
    )


def keys(spec: NodeSpec) -> set[tuple[str, str]]:
    return {(taint.key, taint.effect) for taint in spec.taints}


class TestPlan:
    def test_a_silent_node_is_unknown_in_kubernetes_words(self) -> None:
        status = silent_status(make_node("True", MemoryPressure="False"), NOW)
        assert [(c.type, c.status, c.reason, c.message) for c in status.conditions[:3]] == [
            ("Ready", "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status."),
            (
                "MemoryPressure",
                "Unknown",
                "NodeStatusUnknown",
                "Kubelet stopped posting node status.",
            ),
            (
                "DiskPressure",
                "Unknown",
                "NodeStatusNeverUpdated",
                "Kubelet never posted node status.",
            ),
        ]
        node = make_node().replace(status=status)
        assert silent_status(node, NOW + timedelta(hours=1)) == status

    @pytest.mark.parametrize(
        ("node", "evicting", "taints"),
        [
            (make_node(), True, set()),
            (make_node().replace(status=NodeStatus()), True, set()),
            (make_node("False"), False, {(NOT_READY, "NoSchedule")}),
            (make_node("False"), True, {(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")}),
            (make_node("Unknown"), False, {(UNREACHABLE, "NoSchedule")}),
            (make_node(cordoned=True), True, {(UNSCHEDULABLE, "NoSchedule")}),
            (
                make_node(DiskPressure="True"),
                True,
                {("node.kubernetes.io/disk-pressure", "NoSchedule")},
            ),
        ],
    )
    def test_conditions_become_taints(
        self, node: Node, evicting: bool, taints: set[tuple[str, str]]
    ) -> None:
        spec = tainted_spec(node, NOW, evicting=evicting)
        assert keys(spec) == taints
        again = tainted_spec(node.replace(spec=spec), NOW + timedelta(1), evicting=evicting)
        assert again is spec, "the second plan changes nothing"

    def test_taints_of_others_stay_and_ours_go(self) -> None:
        mine = Taint(key=NOT_READY, effect="NoSchedule")
        theirs = Taint(key="gpu", value="a", effect="NoSchedule")
        assert tainted_spec(make_node("True", mine, theirs), NOW, evicting=True).taints == (theirs,)

    def test_eviction_waits_as_long_as_tolerated(self) -> None:
        added = format_time(NOW - timedelta(seconds=100))
        taints = (
            Taint(key=UNREACHABLE, effect="NoExecute", time_added=added),
            Taint(key="x", effect="NoSchedule"),
        )

        def wait(*tolerations: Toleration) -> float | None:
            pod = make_pod("p")
            return evict_in(
                pod.replace(spec=pod.spec.replace(tolerations=tolerations)), taints, NOW
            )

        def toleration(seconds: int | None) -> Toleration:
            return Toleration(key=UNREACHABLE, operator="Exists", toleration_seconds=seconds)

        assert wait() == 0
        assert wait(toleration(300)) == 200
        assert wait(toleration(300), toleration(90)) == 0
        assert wait(toleration(None)) is None
        assert wait(toleration((1 << 63) - 1)) == LONGEST_SECONDS - 100
        assert evict_in(make_pod("p"), taints[1:], NOW) is None


async def begin(world: World, *nodes: str) -> ObedientKubelet:
    for name in nodes:
        await world.add_node(name)
    pods = world.informer(Pod)
    nodes, leases = world.informer(Node), world.informer(Lease)
    loop = NodeLifecycle(world.client, nodes, leases, pods, world.events, world.clock)
    world.start(loop.run)
    kubelet = ObedientKubelet(world.client, pods, world.clock)
    world.start(kubelet.run)
    meta = ObjectMeta(name="p", namespace="default")
    tolerated = tuple(
        Toleration(key=key, operator="Exists", effect="NoExecute", toleration_seconds=300)
        for key in (NOT_READY, UNREACHABLE)
    )
    spec = PodSpec(containers=(Container(name="c", image="i"),), tolerations=tolerated)
    pod = Pod(metadata=meta, spec=spec)
    await world.client.create(pod)
    await world.client.bind("p", "default", "n1", uid="")
    await world.until(lambda: is_ready(world.pods()[0]))
    return kubelet


async def beat(world: World, name: str) -> None:
    node = world.registry.get(Node, name)
    ready = NodeCondition(
        type="Ready", status="True", last_heartbeat_time=format_time(world.clock.now())
    )
    others = tuple(c for c in node.status.conditions if c.type != "Ready")
    status = node.status.replace(conditions=(*others, ready))
    await world.client.update(node.replace(status=status), subresource="status")


async def renew(world: World, name: str) -> None:
    """Renew the node's Lease; make it when there is none."""
    spec = LeaseSpec(holder_identity=name, renew_time=format_micro_time(world.clock.now()))
    try:
        lease = await world.client.get(Lease, name, NODE_LEASES)
    except NotFound:
        meta = ObjectMeta(name=name, namespace=NODE_LEASES)
        await world.client.create(Lease(metadata=meta, spec=spec))
    else:
        await world.client.update(lease.replace(spec=spec))


async def beat_for(world: World, seconds: int, *names: str) -> None:
    for _ in range(seconds // 10):
        await world.settle(10)
        for name in names:
            await beat(world, name)


def node(world: World, name: str = "n1") -> Node:
    return world.registry.get(Node, name)


def run(virtual: Any, clock: Any, scenario: Callable[[World], Any]) -> None:
    async def body() -> None:
        async with World(clock) as world:
            await scenario(world)

    virtual.run_until_complete(body())


def test_a_beating_node_is_left_alone(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        await begin(world, "n1")
        await beat_for(world, 300, "n1")
        assert ready_status(node(world)) == "True"
        assert node(world).spec.taints == ()

    run(virtual, clock, scenario)


def test_a_lease_alone_is_a_heartbeat(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        await begin(world, "n1")
        for _ in range(30):
            await world.settle(10)
            await renew(world, "n1")
        assert ready_status(node(world)) == "True"
        took = await world.until(lambda: ready_status(node(world)) == "Unknown", 100)
        assert 39 <= took <= 46

    run(virtual, clock, scenario)


def test_the_only_node_keeps_its_pods_however_silent(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        await begin(world, "n1")
        took = await world.until(lambda: ready_status(node(world)) == "Unknown", 100)
        assert 39 <= took <= 46
        await world.settle(2000)
        assert keys(node(world).spec) == {(UNREACHABLE, "NoSchedule")}
        assert is_ready(world.pods()[0])
        revision = world.registry.revision
        await world.settle(2000)
        assert world.registry.revision == revision

        await beat(world, "n1")
        await world.until(lambda: node(world).spec.taints == (), 10)

    run(virtual, clock, scenario)


def test_with_another_node_ready_pods_are_marked_and_evicted(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        await begin(world, "n1", "n2")
        await beat_for(world, 60, "n2")
        assert keys(node(world).spec) == {(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")}
        assert not is_ready(world.pods()[0])
        await beat_for(world, 200, "n2")
        assert world.pods()[0].metadata.deletion_timestamp is None, "tolerated for 300 s"
        await beat_for(world, 120, "n2")
        assert not world.pods()
        assert node(world, "n2").spec.taints == ()

    run(virtual, clock, scenario)


def test_a_restart_does_not_make_a_node_look_dead(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        await world.add_node("n1")
        await world.settle(1000)  # nobody watched
        await begin(world)
        await world.settle(30)
        assert ready_status(node(world)) == "True"

    run(virtual, clock, scenario)
