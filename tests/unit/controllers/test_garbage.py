"""Garbage collection: the plan, and the loop on the real registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reconciler.client.protocol import Propagation
from reconciler.controllers.garbage.loop import GarbageCollector
from reconciler.controllers.garbage.plan import (
    Delete,
    DropFinalizer,
    KeepOwners,
    Owner,
    Visit,
    plan,
)
from reconciler.model.config import ConfigMap
from reconciler.model.meta import KubeObject, ObjectMeta, OwnerReference
from reconciler.model.pod import Pod
from reconciler.model.replication import ReplicationController
from reconciler.model.service import Endpoints
from tests.unit.controllers.builders import make_rc
from tests.unit.controllers.world import ObedientKubelet, World


def ref(uid: str, *, block: bool = True) -> OwnerReference:
    return OwnerReference(
        api_version="v1",
        kind="ConfigMap",
        name=uid,
        uid=uid,
        controller=True,
        block_owner_deletion=block,
    )


def thing(
    name: str, *owners: OwnerReference, finalizers: tuple[str, ...] = (), deleting: bool = False
) -> ConfigMap:
    return ConfigMap(
        metadata=ObjectMeta(
            name=name,
            namespace="default",
            uid=name,
            owner_references=owners,
            finalizers=finalizers,
            deletion_timestamp="2026-01-01T00:00:00Z" if deleting else None,
        )
    )


class TestPlan:
    def test_with_an_owner_nothing_happens(self) -> None:
        assert plan(thing("x", ref("a")), {"a": Owner.SOLID}, []) == ()
        assert plan(thing("x"), {}, []) == ()

    def test_without_any_owner_left_it_goes(self) -> None:
        owners = {"a": Owner.GONE, "b": Owner.GONE}
        assert plan(thing("x", ref("a"), ref("b")), owners, []) == (Delete("Background"),)

    def test_references_to_gone_owners_are_dropped_while_one_is_left(self) -> None:
        obj = thing("x", ref("a"), ref("b"), ref("c"))
        owners = {"a": Owner.GONE, "b": Owner.SOLID, "c": Owner.WAITING}
        assert plan(obj, owners, []) == (KeepOwners(obj, (ref("b"),)),)

    def test_its_own_finalizers_choose_the_policy(self) -> None:
        obj = thing("x", ref("a"), finalizers=("orphan",))
        assert plan(obj, {"a": Owner.GONE}, []) == (Delete("Orphan"),)

    def test_foreground_goes_down_the_tree(self) -> None:
        obj, leaf = thing("x", ref("a")), thing("y", ref("x"))
        assert plan(obj, {"a": Owner.WAITING}, [leaf]) == (Delete("Foreground"),)
        assert plan(obj, {"a": Owner.WAITING}, []) == (Delete("Background"),)

    def test_foreground_waits_for_those_that_block(self) -> None:
        owner = thing("a", finalizers=("foregroundDeletion", "z"), deleting=True)
        blocking, free = thing("x", ref("a")), thing("y", ref("a", block=False))
        assert plan(owner, {}, [blocking, free]) == (Visit(blocking), Visit(free))
        assert plan(owner, {}, [free]) == (DropFinalizer("foregroundDeletion"),)

    def test_orphaning_releases_first(self) -> None:
        owner = thing("a", finalizers=("orphan",), deleting=True)
        child = thing("x", ref("a"), ref("b"))
        assert plan(owner, {}, [child]) == (KeepOwners(child, (ref("b"),)),)
        assert plan(owner, {}, []) == (DropFinalizer("orphan"),)

    def test_a_circle_is_opened(self) -> None:
        obj = thing("x", ref("a"))
        waiting = thing("a", ref("x"), finalizers=("foregroundDeletion",), deleting=True)
        assert plan(obj, {"a": Owner.WAITING}, [waiting]) == (
            KeepOwners(obj, (ref("a", block=False),)),
            Delete("Foreground"),
        )


KINDS: tuple[type[KubeObject], ...] = (Pod, ReplicationController, ConfigMap, Endpoints)


async def begin(world: World, lag: float = 0.0) -> None:
    world.client.lag = lag
    informers = {kind: world.informer(kind) for kind in KINDS}
    world.start(GarbageCollector(world.client, informers).run)
    world.start(ObedientKubelet(world.client, world.informer(Pod), world.clock).run)


async def family(world: World, number: int = 3) -> ReplicationController:
    """A controller with pods, made by nobody's loop."""
    made = await world.client.create(
        make_rc().replace(metadata=ObjectMeta(name="web", namespace="default"))
    )
    owner = OwnerReference(
        api_version="v1",
        kind="ReplicationController",
        name="web",
        uid=made.metadata.uid,
        controller=True,
        block_owner_deletion=True,
    )
    assert made.spec.template is not None
    for index in range(number):
        meta = ObjectMeta(
            name=f"p{index}",
            namespace="default",
            labels={"app": "web"},
            owner_references=(owner,),
        )
        await world.client.create(Pod(metadata=meta, spec=made.spec.template.spec))
        if index:
            await world.client.bind(f"p{index}", "default", "n1", uid="")
    return made


def run(virtual: Any, clock: Any, scenario: Callable[[World], Any]) -> None:
    async def body() -> None:
        async with World(clock) as world:
            await scenario(world)

    virtual.run_until_complete(body())


def rcs(world: World) -> list[ReplicationController]:
    return world.registry.list(ReplicationController)


@pytest.mark.parametrize("lag", [0.0, 0.2])
@pytest.mark.parametrize("policy", ["Background", "Foreground"])
def test_pods_go_with_their_controller(
    virtual: Any, clock: Any, policy: Propagation, lag: float
) -> None:
    async def scenario(world: World) -> None:
        await begin(world, lag)
        await family(world)
        await world.settle(5)
        await world.client.delete(ReplicationController, "web", "default", propagation=policy)
        assert bool(rcs(world)) == (policy == "Foreground")
        await world.until(lambda: not world.pods() and not rcs(world), 10)

    run(virtual, clock, scenario)


@pytest.mark.parametrize("lag", [0.0, 0.2])
@pytest.mark.parametrize("policy", ["Orphan", None])
def test_pods_stay_when_orphaned_as_core_v1_does_by_default(
    virtual: Any, clock: Any, policy: Propagation | None, lag: float
) -> None:
    async def scenario(world: World) -> None:
        await begin(world, lag)
        await family(world)
        await world.client.delete(ReplicationController, "web", "default", propagation=policy)
        await world.until(lambda: not rcs(world), 10)
        await world.settle(30)
        assert len(world.pods()) == 3
        assert all(not pod.metadata.owner_references for pod in world.pods())
        assert all(pod.metadata.deletion_timestamp is None for pod in world.pods())

    run(virtual, clock, scenario)


def test_what_lost_its_owner_while_nobody_looked_goes_at_the_start(
    virtual: Any, clock: Any
) -> None:
    async def scenario(world: World) -> None:
        await family(world)
        await world.client.delete(ReplicationController, "web", "default", propagation="Background")
        assert len(world.pods()) == 3
        await begin(world)
        await world.until(lambda: not world.pods(), 5)

    run(virtual, clock, scenario)


def test_a_namesake_is_not_the_owner(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        await family(world)
        await world.client.delete(ReplicationController, "web", "default", propagation="Background")
        await family(world, 0)
        await begin(world)
        await world.until(lambda: not world.pods(), 5)
        assert len(rcs(world)) == 1

    run(virtual, clock, scenario)


def test_an_owner_of_a_kind_that_we_do_not_know_keeps_its_dependents(
    virtual: Any, clock: Any
) -> None:
    async def scenario(world: World) -> None:
        owner = OwnerReference(api_version="apps/v1", kind="Deployment", name="d", uid="u")
        meta = ObjectMeta(name="c", namespace="default", owner_references=(owner,))
        await world.client.create(ConfigMap(metadata=meta))
        await begin(world)
        await world.settle(30)
        assert len(world.registry.list(ConfigMap)) == 1

    run(virtual, clock, scenario)


def test_a_chain_goes_link_by_link(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        await begin(world)
        uid, previous = "", ""
        for name in ("a", "b", "c"):
            owners = (ref(uid).replace(name=previous),) if uid else ()
            meta = ObjectMeta(name=name, namespace="default", owner_references=owners)
            uid = (await world.client.create(ConfigMap(metadata=meta))).metadata.uid
            previous = name
        await world.client.delete(ConfigMap, "a", "default")
        await world.until(lambda: not world.registry.list(ConfigMap), 5)

    run(virtual, clock, scenario)


def test_pods_that_no_informer_shows_yet_are_orphaned_too(virtual: Any, clock: Any) -> None:
    async def scenario(world: World) -> None:
        world.client.lag_of[Pod] = 20.0
        await begin(world)
        await family(world)
        await world.client.delete(ReplicationController, "web", "default", propagation="Orphan")
        await world.until(lambda: not rcs(world), 10)
        await world.settle(300)
        assert len(world.pods()) == 3
        assert all(pod.metadata.deletion_timestamp is None for pod in world.pods())

    run(virtual, clock, scenario)
