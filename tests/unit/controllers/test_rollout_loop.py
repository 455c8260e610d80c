"""A new template on the real registry: rolled out, stopped, or put into the pods as they are."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.inplace import UPDATE
from reconciler.model.pod import Pod
from reconciler.model.retirement import REMOVE_AT, STOPPED
from tests.unit.controllers.builders import make_rc
from tests.unit.controllers.replicas import Cluster, Run, fresh, runner


@pytest.fixture
def run(virtual: Any, clock: Any) -> Run:
    return runner(virtual, clock)


def test_without_a_source_a_new_template_is_for_new_pods_only(run: Run) -> None:
    async def scenario(world: Cluster) -> None:
        await world.begin()
        await world.client.create(fresh(make_rc(replicas=2)))
        await world.until(lambda: world.ready() == 2)
        await world.change(image="web:2")
        await world.settle(5)
        assert world.images() == {"web:1"}
        assert not any(item.type == "Progressing" for item in world.rc().status.conditions)

    run(scenario)


@pytest.mark.parametrize("lag", [0.0, 0.4])
def test_a_rollout_replaces_pods_one_by_one(run: Run, lag: float) -> None:
    async def scenario(world: Cluster) -> None:
        await world.begin(lag)
        await world.client.create(fresh(make_rc(replicas=3, rolled=True)))
        await world.until(lambda: reason(world) == "RolloutComplete")
        counts: list[tuple[int, int]] = []

        def watch(*_: object) -> None:
            counts.append((len(world.active()), world.ready()))

        world.informer(Pod).subscribe(watch)
        await world.change(image="web:2")
        await world.until(lambda: reason(world) == "RollingOut")
        await world.until(lambda: reason(world) == "RolloutComplete", 120)
        assert world.images() == {"web:2"}
        assert max(total for total, _ in counts) == 4
        assert min(ready for _, ready in counts) >= 3

    run(scenario)


def reason(world: Cluster) -> str:
    conditions = world.rc().status.conditions
    return next((item.reason for item in conditions if item.type == "Progressing"), "")


def test_a_broken_rollout_stops_and_a_new_template_ends_it(run: Run) -> None:
    async def scenario(world: Cluster) -> None:
        await world.begin()
        world.kubelet.broken = lambda pod: pod.spec.containers[0].image == "web:bad"
        await world.client.create(fresh(make_rc(replicas=3, rolled=True)))
        await world.until(lambda: reason(world) == "RolloutComplete")
        await world.change(image="web:bad")
        took = await world.until(lambda: reason(world) == "ProgressDeadlineExceeded", 700)
        assert 599 <= took <= 602
        assert world.ready() == 3
        revision = world.registry.revision
        await world.settle(2000)
        assert world.registry.revision == revision, "a stopped rollout writes nothing"

        await world.change(image="web:3")
        await world.until(lambda: reason(world) == "RolloutComplete")
        assert world.images() == {"web:3"}

    run(scenario)


def test_nothing_is_written_when_nothing_changes(run: Run) -> None:
    async def scenario(world: Cluster) -> None:
        await world.begin()
        await world.client.create(fresh(make_rc(replicas=3, rolled=True)))
        await world.until(lambda: reason(world) == "RolloutComplete")
        await world.settle(5)
        revision = world.registry.revision
        await world.settle(5000)
        assert world.registry.revision == revision

    run(scenario)


def test_pods_of_a_retired_controller_rest_and_are_the_same_when_it_comes_back(run: Run) -> None:
    async def scenario(world: Cluster) -> None:
        await world.begin()
        await world.client.create(fresh(make_rc(replicas=2, rolled=True)))
        await world.until(lambda: world.ready() == 2)
        before = {pod.metadata.uid for pod in world.pods()}

        async def mark(**notes: str) -> None:
            rc = world.rc()
            kept = {k: v for k, v in rc.metadata.annotations.items() if k != REMOVE_AT}
            meta = rc.metadata.replace(annotations={**kept, **notes}, resource_version="")
            await world.client.update(rc.replace(metadata=meta))

        await mark(**{REMOVE_AT: "2027-01-01T00:00:00Z"})
        await world.until(lambda: all(STOPPED in p.metadata.annotations for p in world.pods()))
        await world.change(replicas=5, image="web:2")
        await world.settle()
        assert {pod.metadata.uid for pod in world.pods()} == before
        await world.change(replicas=2, image="web:1")
        await mark()
        await world.until(lambda: not any(STOPPED in p.metadata.annotations for p in world.pods()))
        await world.settle()
        assert {pod.metadata.uid for pod in world.pods()} == before

    run(scenario)


def test_a_controller_that_asks_for_it_has_its_pods_updated_as_they_are(run: Run) -> None:
    async def scenario(world: Cluster) -> None:
        await world.begin()
        notes = {UPDATE: "in-place"}
        await world.client.create(fresh(make_rc(replicas=3, rolled=True, annotations=notes)))
        await world.until(lambda: world.ready() == 3)
        before = {pod.metadata.uid for pod in world.pods()}
        fewest = 3

        def count() -> None:
            nonlocal fewest
            fewest = min(fewest, world.ready())

        rc = world.rc()
        assert rc.spec.template is not None
        labels = {**rc.spec.template.metadata.labels, "tier": "front"}
        meta = rc.spec.template.metadata.replace(labels=labels)
        template = rc.spec.template.replace(metadata=meta)
        changed = rc.replace(
            spec=rc.spec.replace(template=template),
            metadata=rc.metadata.replace(resource_version=""),
        )
        await world.client.update(changed)
        await world.change(image="web:2")
        await world.until(lambda: count() or world.images() == {"web:2"})
        await world.settle()
        assert {pod.metadata.uid for pod in world.pods()} == before
        assert {pod.metadata.labels["tier"] for pod in world.pods()} == {"front"}
        assert fewest >= 2
        progressing = next(c for c in world.rc().status.conditions if c.type == "Progressing")
        assert progressing.reason == "RolloutComplete"

    run(scenario)
