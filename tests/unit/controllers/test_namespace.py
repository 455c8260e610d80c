"""Deletion of namespaces: the plan, and the loop on the real registry."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from reconciler.controllers.namespace.loop import NamespaceController
from reconciler.controllers.namespace.plan import (
    DeleteContent,
    Finalize,
    SetConditions,
    plan,
)
from reconciler.model.config import ConfigMap
from reconciler.model.container import Container
from reconciler.model.meta import ObjectMeta
from reconciler.model.namespace import Namespace, NamespaceSpec
from reconciler.model.pod import Pod, PodSpec
from reconciler.model.service import Service, ServicePort, ServiceSpec
from reconciler.model.time import format_time
from tests.unit.controllers.builders import make_pod, make_rc
from tests.unit.controllers.world import ObedientKubelet, World

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def make_namespace(*finalizers: str, deleting: bool = True) -> Namespace:
    return Namespace(
        metadata=ObjectMeta(name="n", deletion_timestamp=format_time(NOW) if deleting else None),
        spec=NamespaceSpec(finalizers=finalizers or ("kubernetes",)),
    )


def make_config(name: str = "c", *finalizers: str, deleting: bool = False) -> ConfigMap:
    return ConfigMap(
        metadata=ObjectMeta(
            name=name,
            namespace="n",
            finalizers=finalizers,
            deletion_timestamp=format_time(NOW) if deleting else None,
        )
    )


class TestPlan:
    def test_a_namespace_that_stays_is_left_alone(self) -> None:
        assert plan(make_namespace(deleting=False), [make_config()], NOW) == ()

    def test_an_empty_one_is_let_go_but_for_others_finalizers(self) -> None:
        assert plan(make_namespace(), [], NOW) == (Finalize(()),)
        assert plan(make_namespace("kubernetes", "x.y/z"), [], NOW) == (Finalize(("x.y/z",)),)
        assert plan(make_namespace("x.y/z"), [], NOW) == ()

    def test_pods_go_first(self) -> None:
        pod, config = make_pod("p"), make_config()
        actions = plan(make_namespace(), [config, pod], NOW)
        assert [a for a in actions if isinstance(a, DeleteContent)] == [DeleteContent(pod)]
        leaving = make_pod("p", deleting=NOW)
        waiting = plan(make_namespace(), [config, leaving], NOW)
        assert not any(isinstance(a, DeleteContent) for a in waiting)

    def test_conditions_in_kubernetes_words(self) -> None:
        held = make_config("held", "x.y/z", deleting=True)
        actions = plan(make_namespace(), [held, make_config("free")], NOW)
        assert actions[0] == DeleteContent(make_config("free"))
        assert isinstance(actions[1], SetConditions)
        assert [(c.type, c.status, c.message) for c in actions[1].conditions[3:]] == [
            (
                "NamespaceContentRemaining",
                "True",
                "Some resources are remaining: configmaps. has 2 resource instances",
            ),
            (
                "NamespaceFinalizersRemaining",
                "True",
                (
                    "Some content in the namespace has finalizers remaining: "
                    "x.y/z in 1 resource instances"
                ),
            ),
        ]

    def test_the_same_conditions_are_not_written_again(self) -> None:
        held = make_config("held", "x.y/z", deleting=True)
        namespace = make_namespace()
        (first,) = plan(namespace, [held], NOW)
        assert isinstance(first, SetConditions)
        status = namespace.status.replace(conditions=first.conditions)
        assert plan(namespace.replace(status=status), [held], NOW) == ()


def begin(world: World) -> None:
    pods = world.informer(Pod)
    loop = NamespaceController(world.client, world.informer(Namespace), pods, world.clock)
    world.start(loop.run)
    world.start(ObedientKubelet(world.client, pods, world.clock).run)


async def fill(world: World) -> None:
    for name in ("n", "other"):
        await world.client.create(Namespace(metadata=ObjectMeta(name=name)))
        await world.client.create(
            make_config().replace(metadata=ObjectMeta(name="c", namespace=name))
        )
    meta = ObjectMeta(name="s", namespace="n")
    ports = (ServicePort(port=80, protocol="TCP"),)
    await world.client.create(Service(metadata=meta, spec=ServiceSpec(ports=ports)))
    rc = make_rc(replicas=0)
    await world.client.create(rc.replace(metadata=ObjectMeta(name="rc", namespace="n")))
    spec = PodSpec(containers=(Container(name="c", image="i"),))
    for name in ("bound", "free"):
        await world.client.create(Pod(metadata=ObjectMeta(name=name, namespace="n"), spec=spec))
    await world.client.bind("bound", "n", "n1", uid="")


def names(world: World) -> list[str]:
    return [item.metadata.name for item in world.registry.list(Namespace)]


def run(virtual: Any, clock: Any, scenario: Callable[[World], Any]) -> None:
    async def body() -> None:
        async with World(clock) as world:
            await scenario(world)

    virtual.run_until_complete(body())


def test_it_is_emptied_and_goes(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        begin(world)
        await fill(world)
        await world.client.delete(Namespace, "n")
        took = await world.until(lambda: "n" not in names(world), 5)
        assert took < 0.5
        assert not world.registry.list(Service, "n")
        assert len(world.registry.list(ConfigMap, "other")) == 1

    run(virtual, clock, scenario)


def test_it_waits_for_what_others_hold(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        begin(world)
        await fill(world)
        meta = ObjectMeta(name="held", namespace="n", finalizers=("x.y/z",))
        await world.client.create(ConfigMap(metadata=meta))
        await world.client.delete(Namespace, "n")
        await world.settle(30)
        assert "n" in names(world)
        held = world.registry.get(ConfigMap, "held", "n")
        await world.client.update(held.replace(metadata=held.metadata.replace(finalizers=())))
        await world.until(lambda: "n" not in names(world), 5)

    run(virtual, clock, scenario)


def test_one_that_was_left_by_a_crash_is_finished(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        await fill(world)
        await world.client.delete(Namespace, "n")
        begin(world)
        await world.until(lambda: "n" not in names(world), 5)

    run(virtual, clock, scenario)
