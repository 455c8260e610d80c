"""The ReplicationController loop on the real registry, with informers that lag."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from reconciler.controllers.replication.loop import ReplicationLoop
from reconciler.model.meta import ObjectMeta
from reconciler.model.pod import Pod
from reconciler.model.replication import ReplicationController
from tests.unit.controllers.builders import make_pod, make_rc
from tests.unit.controllers.replicas import Cluster, Run, fresh, runner


@pytest.fixture
def run(virtual: Any, clock: Any) -> Run:
    return runner(virtual, clock)


def test_pods_are_made_bound_and_counted(run: Run) -> None:
    async def scenario(world: Cluster) -> None:
        await world.begin()
        await world.client.create(fresh(make_rc(replicas=5)))
        took = await world.until(lambda: world.rc().status.ready_replicas == 5)
        assert took < 0.1
        status = world.rc().status
        assert (status.replicas, status.fully_labeled_replicas, status.available_replicas) == (
            5,
            5,
            5,
        )
        assert status.observed_generation == 1
        assert all(pod.metadata.name.startswith("web-") for pod in world.pods())

    run(scenario)


@pytest.mark.parametrize("lag", [0.0, 0.3, 2.0, 7.0])
def test_a_lagging_watch_never_makes_too_many_pods(run: Run, lag: float) -> None:
    async def scenario(world: Cluster) -> None:
        most = 0

        def watch(event: str, old: Pod | None, new: Pod | None) -> None:
            nonlocal most
            most = max(most, len(world.active()))

        await world.begin(lag)
        world.informer(Pod).subscribe(watch)
        await world.client.create(fresh(make_rc(replicas=6)))
        await world.until(lambda: world.ready() == 6, 600)
        assert most == 6
        await world.change(replicas=2)
        await world.until(lambda: len(world.pods()) == 2, 600)
        await world.settle(60)
        assert len(world.active()) == 2
        assert most == 6
        created = [reason for reason in world.reasons() if reason == "SuccessfulCreate"]
        assert len(created) <= 6

    run(scenario)


def test_a_pod_that_goes_is_replaced(run: Run) -> None:
    async def scenario(world: Cluster) -> None:
        await world.begin()
        await world.client.create(fresh(make_rc(replicas=2)))
        await world.until(lambda: world.ready() == 2)
        lost = world.active()[0].metadata
        await world.client.delete(Pod, lost.name, "default")
        await world.until(lambda: len(world.pods()) == 2 and world.ready() == 2)
        assert lost.uid not in {pod.metadata.uid for pod in world.pods()}

    run(scenario)


def test_orphans_are_adopted_and_strays_released(run: Run) -> None:
    async def scenario(world: Cluster) -> None:
        await world.begin()
        template = make_rc().spec.template
        assert template is not None
        meta = ObjectMeta(name="alone", namespace="default", labels={"app": "web"})
        await world.client.create(Pod(metadata=meta, spec=template.spec))
        await world.client.create(fresh(make_rc(replicas=2)))
        await world.until(lambda: world.ready() == 2)
        adopted = world.registry.get(Pod, "alone", "default")
        assert [ref.uid for ref in adopted.metadata.owner_references] == [world.rc().metadata.uid]

        stray = adopted.replace(metadata=adopted.metadata.replace(labels={"app": "debug"}))
        await world.client.update(stray)
        await world.until(lambda: world.ready() == 3)
        released = world.registry.get(Pod, "alone", "default")
        assert released.metadata.owner_references == ()

    run(scenario)


def test_a_refused_pod_is_told_in_status_and_event(run: Run) -> None:
    async def scenario(world: Cluster) -> None:
        await world.begin()
        world.client.refused = Pod
        await world.client.create(fresh(make_rc(replicas=8)))
        await world.until(lambda: bool(world.rc().status.conditions))
        condition = world.rc().status.conditions[0]
        assert (condition.type, condition.reason, condition.message) == (
            "ReplicaFailure",
            "FailedCreate",
            "exceeded quota",
        )
        await world.settle(1)
        assert "FailedCreate" in world.reasons()
        world.client.refused = None
        await world.until(lambda: world.ready() == 8, 200)
        await world.until(lambda: not world.rc().status.conditions)

    run(scenario)


def test_pods_that_fail_at_once_are_replaced_ever_more_slowly(run: Run) -> None:
    """As its node may reject them; a template that was mended is tried at once."""

    async def scenario(world: Cluster) -> None:
        async def reject() -> None:
            while True:
                for pod in world.active():
                    failed = pod.replace(status=pod.status.replace(phase="Failed"))
                    await world.client.update(failed, subresource="status")
                await asyncio.sleep(0.05)

        pods, rcs = world.informer(Pod), world.informer(ReplicationController)
        world.start(ReplicationLoop(world.client, rcs, pods, world.events, world.clock).run)
        world.start(reject)
        await world.client.create(fresh(make_rc(replicas=1)))
        await world.settle(60)
        assert 6 <= len(world.pods()) <= 8
        await world.settle(3600)
        assert len(world.pods()) < 30
        await world.change(image="mended:1")
        images = [pod.spec.containers[0].image for pod in world.pods()]
        assert "mended:1" not in images
        await world.until(
            lambda: any(p.spec.containers[0].image == "mended:1" for p in world.pods()), 2
        )

    run(scenario)


def test_pods_are_asked_for_in_batches_that_double(run: Run) -> None:
    async def scenario(world: Cluster) -> None:
        await world.begin()
        await world.client.create(fresh(make_rc(replicas=11)))
        await world.until(lambda: len(world.pods()) == 11)
        assert list(world.client.creating.values()) == [1, 2, 4, 4]

    run(scenario)


def test_a_refused_controller_asks_for_one_pod_at_a_time(run: Run) -> None:
    async def scenario(world: Cluster) -> None:
        await world.begin()
        world.client.refused = Pod
        await world.client.create(fresh(make_rc(replicas=11)))
        await world.settle(30)
        assert set(world.client.creating.values()) == {1}
        assert len(world.client.creating) < 15, "with exponential back-off"

    run(scenario)


def test_a_controller_that_is_going_adopts_nothing_even_if_it_does_not_know(run: Run) -> None:
    async def scenario(world: Cluster) -> None:
        world.client.lag_of[ReplicationController] = 10.0
        await world.begin()
        await world.client.create(fresh(make_rc(replicas=0)))
        await world.settle(15)
        going = world.rc()
        meta = going.metadata.replace(finalizers=("x.y/z",))
        await world.client.update(going.replace(metadata=meta))
        await world.client.delete(ReplicationController, "web", "default", propagation="Background")
        template = make_rc().spec.template
        assert template is not None
        orphan = ObjectMeta(name="alone", namespace="default", labels={"app": "web"})
        await world.client.create(Pod(metadata=orphan, spec=template.spec))
        await world.settle(60)
        alone = world.registry.get(Pod, "alone", "default")
        assert alone.metadata.owner_references == ()
        assert world.rc().metadata.deletion_timestamp is not None

    run(scenario)


def test_the_next_status_builds_on_the_last_one_and_not_on_the_informer(run: Run) -> None:
    async def scenario(world: Cluster) -> None:
        world.client.lag_of[ReplicationController] = 0.5
        await world.begin()
        with capture_logs() as logs:
            await world.client.create(fresh(make_rc(replicas=3)))
            await world.until(lambda: world.rc().status.ready_replicas == 3)
            await world.settle(10)
        assert [line for line in logs if line["event"] == "reconcile.retry"] == []

    run(scenario)


def test_a_pod_that_cannot_be_released_yet_is_not_replaced_yet(run: Run) -> None:
    async def scenario(world: Cluster) -> None:
        await world.begin()
        await world.client.create(fresh(make_rc(replicas=2, rolled=True)))
        await world.until(lambda: world.ready() == 2)
        await world.settle()
        owner, most = world.rc().metadata.uid, 0
        world.client.lag_of[Pod] = 1.0
        name = world.pods()[0].metadata.name

        async def label(**labels: str) -> None:
            pod = await world.client.get(Pod, name, "default")
            meta = pod.metadata.replace(labels={**pod.metadata.labels, **labels})
            await world.client.update(pod.replace(metadata=meta))

        def owned() -> int:
            nonlocal most
            owners = [each.metadata.owner_references for each in world.pods()]
            most = max(most, sum(owner in {o.uid for o in each} for each in owners))
            return len(owners)

        await label(app="lost")
        await asyncio.sleep(0.5)
        await label(other="word")  # what the controller hears of the pod first is not the newest
        await world.until(lambda: owned() == 3)
        assert most == 2

    run(scenario)


@pytest.mark.parametrize("pods_first", [True, False])
@pytest.mark.parametrize("owned", [True, False])
def test_after_a_restart_no_pod_of_an_idle_controller_is_overlooked(
    run: Run, pods_first: bool, owned: bool
) -> None:
    async def scenario(world: Cluster) -> None:
        rc = await world.client.create(fresh(make_rc(replicas=0)))
        status = rc.status.replace(observed_generation=rc.metadata.generation)
        rc = await world.client.update(rc.replace(status=status), subresource="status")
        pod = make_pod("left", rc=rc if owned else None, labels=rc.spec.selector)
        await world.client.create(pod.replace(metadata=pod.metadata.replace(uid="")))
        world.informer(Pod if pods_first else ReplicationController)  # listed in this order
        await world.begin()
        await world.until(lambda: not world.active())
        await world.settle()
        idle = world.rc().metadata.resource_version
        stray = make_pod("later", labels=rc.spec.selector)
        await world.client.create(stray.replace(metadata=stray.metadata.replace(uid="")))
        await world.until(lambda: not world.active())
        await world.settle()
        assert world.rc().metadata.resource_version >= idle
        assert world.rc().status.replicas == 0

    run(scenario)


def test_an_idle_controller_wakes_when_it_is_to_have_pods(run: Run) -> None:
    async def scenario(world: Cluster) -> None:
        rc = await world.client.create(fresh(make_rc(replicas=0)))
        status = rc.status.replace(observed_generation=rc.metadata.generation)
        await world.client.update(rc.replace(status=status), subresource="status")
        await world.begin()
        await world.change(replicas=2)
        await world.until(lambda: world.ready() == 2)

    run(scenario)
