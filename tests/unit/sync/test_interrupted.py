"""A revision that is interrupted: its way back is gone, a pause begins, a hook never starts."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import orjson
import pytest

from reconciler.model.config import ConfigMap
from reconciler.model.gitops import Source
from reconciler.model.meta import ObjectMeta
from reconciler.model.namespace import Namespace
from reconciler.model.pod import Pod
from reconciler.model.replication import PROGRESS_DEADLINE, ReplicationController
from reconciler.sync.steering import Care
from tests.unit.sync.cluster import Cluster, runner, until
from tests.unit.sync.deeds import crash, data, fail, healthy, image, names, ready, suspend
from tests.unit.sync.test_waves import hook
from tests.unit.sync.world import WEB, controller, manifest, pod, settings


@pytest.fixture
def run(virtual, clock):
    return runner(virtual, clock, Care())


def test_a_way_back_that_the_source_has_no_more_is_told(virtual, clock):
    async def body():
        cluster = Cluster(clock, care=Care())
        async with cluster.running():
            good = await healthy(cluster, controller("c"))
        cluster.feed.past.clear()
        async with cluster.running():
            shown = await fail(cluster, controller("c", image="app:2"))
            failed = await cluster.revision(shown.revision, "Failed")
            await cluster.settled()
            assert failed.status.casualties
            words = f"the source no longer has {good.status.observed_revision[:12]}"
            assert words in failed.status.message
            assert image(cluster, "c") == "app:2"

    virtual.run_until_complete(body())


def test_a_source_that_is_suspended_in_a_rollout_is_judged_when_it_is_resumed(run):
    async def scenario(cluster):
        await healthy(cluster, controller("c"), settings("a", key="1"))
        shown = cluster.feed.show(WEB, controller("c", image="app:2"), settings("a", key="1"))
        await cluster.revision(shown.revision, "Progressing")
        await suspend(cluster, True)
        await cluster.source("Suspended")
        await crash(cluster, "c")
        await asyncio.sleep(300)
        assert image(cluster, "c") == "app:2"
        assert cluster.registry.get(Source, "main").status.phase == "Suspended"
        await suspend(cluster, False)
        await cluster.revision(shown.revision, "RolledBack")
        await until(lambda: image(cluster, "c") == "app:1")

    run(scenario)


async def pause(cluster, seconds, length=600):
    """Let a window begin in so many seconds, to the minute."""
    begin = cluster.clock.now() + timedelta(seconds=seconds)
    end = begin + timedelta(seconds=length)
    source = cluster.registry.get(Source, "main")
    notes = {"reconciler.dev/pause-windows": f"{begin:%H:%M}-{end:%H:%M}"}
    await cluster.client.update(source.replace(metadata=source.metadata.replace(annotations=notes)))


def test_a_revision_that_a_pause_overtakes_is_followed_to_its_end_and_undone_if_it_fails(run):
    async def scenario(cluster):
        await healthy(cluster, controller("c"), settings("a", key="1"))
        shown = cluster.feed.show(WEB, controller("c", image="app:2"), settings("a", key="2"))
        await cluster.revision(shown.revision, "Progressing")
        await pause(cluster, 0)
        await cluster.settled()
        newer = cluster.feed.show(WEB, controller("c"), settings("a", key="3"))
        await cluster.source("Paused")
        await crash(cluster, "c")
        await cluster.revision(shown.revision, "RolledBack")
        await until(lambda: image(cluster, "c") == "app:1")
        await ready(cluster, "c")
        await cluster.settled()
        assert data(cluster, "a") == {"key": "1"}
        await asyncio.sleep(700)
        await cluster.revision(newer.revision, "Healthy")
        assert data(cluster, "a") == {"key": "3"}

    run(scenario)


@pytest.mark.parametrize("asked", [False, True])
def test_a_revision_that_waits_when_a_pause_begins_waits_for_its_end_unless_asked_for(run, asked):
    async def scenario(cluster):
        await healthy(cluster, settings("a", key="1"))
        elsewhere = manifest("ConfigMap", "b", "other")
        shown = cluster.feed.show(WEB, settings("a", key="2"), elsewhere)
        await cluster.revision(shown.revision, "Rejected")
        await pause(cluster, 0)
        await cluster.client.create(Namespace(metadata=ObjectMeta(name="other")))
        if asked:
            cluster.sync.trigger()
            await cluster.revision(shown.revision, "Healthy")
            return
        await cluster.source("Paused")
        await asyncio.sleep(400)
        assert data(cluster, "a") == {"key": "1"}
        await asyncio.sleep(300)
        assert data(cluster, "a") == {"key": "2"}

    run(scenario)


async def unready(cluster, name):
    live = cluster.registry.get(ReplicationController, name, "web")
    status = live.status.replace(ready_replicas=0)
    await cluster.client.update(live.replace(status=status), subresource="status")


def test_what_ends_as_soon_as_it_is_started_is_at_no_moment_healthy(run):
    async def scenario(cluster):
        late = settings("late")
        late["metadata"]["annotations"] = {"reconciler.dev/wave": "1"}
        shown = cluster.feed.show(WEB, controller("c"), late)
        await until(lambda: names(cluster, ReplicationController) == ["c"])
        for _ in range(3):
            await ready(cluster, "c")
            await asyncio.sleep(0.5)
            await unready(cluster, "c")
            await asyncio.sleep(10)
        found = await cluster.revision(shown.revision, "Progressing", "Planned", "Healthy")
        assert found.status.phase != "Healthy"
        assert names(cluster, ConfigMap) == []
        await ready(cluster, "c")
        await cluster.revision(shown.revision, "Healthy")
        assert names(cluster, ConfigMap) == ["late"]

    run(scenario)


def test_a_readiness_probe_is_believed_at_once(run):
    async def scenario(cluster):
        probed = controller("c")
        (container,) = probed["spec"]["template"]["spec"]["containers"]
        container["readinessProbe"] = {"tcpSocket": {"port": 80}}
        shown = cluster.feed.show(WEB, probed)
        await until(lambda: names(cluster, ReplicationController) == ["c"])
        await asyncio.sleep(1)
        await ready(cluster, "c")
        began = cluster.clock.monotonic()
        await cluster.revision(shown.revision, "Healthy")
        assert cluster.clock.monotonic() - began < 0.5

    run(scenario)


def test_a_hook_that_no_node_takes_fails_when_its_time_is_over(run):
    async def scenario(cluster):
        await healthy(cluster, settings("a", key="1"))
        slow = hook("before", "pre-apply")
        slow["metadata"]["annotations"]["reconciler.dev/hook-timeout-seconds"] = "60"
        shown = cluster.feed.show(WEB, slow, settings("a", key="2"))
        await until(lambda: names(cluster, Pod) == ["before"])
        await asyncio.sleep(50)
        assert (await cluster.revision(shown.revision, "Progressing", "Planned")).status
        undone = await cluster.revision(shown.revision, "RolledBack")
        assert "the hook did not start within its time" in undone.status.message
        await cluster.settled()
        assert data(cluster, "a") == {"key": "1"}
        assert names(cluster, Pod) == []

    run(scenario)


@pytest.mark.parametrize("own", [None, 60])
def test_a_pod_that_no_node_takes_fails_its_revision_by_the_progress_deadline(run, own):
    async def scenario(cluster):
        await healthy(cluster, settings("a", key="1"))
        lone = pod("lone")
        if own is not None:
            lone["metadata"]["annotations"] = {PROGRESS_DEADLINE: str(own)}
        shown = cluster.feed.show(WEB, lone, settings("a", key="2"))
        await until(lambda: names(cluster, Pod) == ["lone"])
        await told_why(cluster, "lone", "0/1 nodes are available: 1 Insufficient cpu.")
        await asyncio.sleep((own or 600) - 10)
        assert (await cluster.revision(shown.revision, "Progressing")).status
        undone = await cluster.revision(shown.revision, "RolledBack")
        within = f"not ready within {own or 600} s: Unschedulable: 0/1 nodes are available"
        assert within in undone.status.message
        await cluster.settled()
        assert data(cluster, "a") == {"key": "1"}
        assert names(cluster, Pod) == []

    run(scenario)


def test_a_pod_that_was_healthy_once_does_not_fail_a_later_revision(run):
    async def scenario(cluster):
        first = cluster.feed.show(WEB, pod("lone"))
        await until(lambda: names(cluster, Pod) == ["lone"])
        await told(cluster, "lone", type="Ready", status="True")
        await cluster.revision(first.revision, "Healthy")
        await told(cluster, "lone", type="Ready", status="False")
        later = cluster.feed.show(WEB, pod("lone"), settings("a"))
        await asyncio.sleep(900)
        assert (await cluster.revision(later.revision, "Progressing")).status

    run(scenario)


def test_a_restart_forgets_neither_the_deadline_of_a_pod_nor_whose_crashes_count(virtual, clock):
    async def body():
        cluster = Cluster(clock, care=Care())
        async with cluster.running():
            await healthy(cluster, settings("a", key="1"))
            shown = cluster.feed.show(WEB, pod("lone"), settings("a", key="2"))
            await until(lambda: names(cluster, Pod) == ["lone"])
            await told_why(cluster, "lone", "no node")
            await asyncio.sleep(400)
        async with cluster.running():
            cluster.feed.put(shown)
            await asyncio.sleep(190)
            assert (await cluster.revision(shown.revision, "Progressing")).status
            began = cluster.clock.monotonic()
            await cluster.revision(shown.revision, "RolledBack")
            assert cluster.clock.monotonic() - began < 15
            again = cluster.feed.show(WEB, controller("c"), settings("a", key="3"))
            await until(lambda: names(cluster, ReplicationController) == ["c"])
            await crash(cluster, "c", restarts=1)
        async with cluster.running():
            cluster.feed.put(again)
            await cluster.settled()
            await crash(cluster, "c", restarts=3)
            await cluster.revision(again.revision, "RolledBack")

    virtual.run_until_complete(body())


def test_a_bad_revision_that_another_overtakes_is_undone_with_it(run):
    async def scenario(cluster):
        await healthy(cluster, controller("c"), settings("a", key="1"))
        cluster.feed.show(WEB, controller("c", image="app:2"), settings("a", key="1"))
        await until(lambda: image(cluster, "c") == "app:2")
        await crash(cluster, "c", restarts=0)
        await asyncio.sleep(5)
        later = cluster.feed.show(WEB, controller("c", image="app:2"), settings("a", key="2"))
        await until(lambda: data(cluster, "a") == {"key": "2"})
        await crash(cluster, "c")
        await cluster.revision(later.revision, "RolledBack")
        await cluster.settled()
        assert image(cluster, "c") == "app:1"
        assert data(cluster, "a") == {"key": "1"}

    run(scenario)


def test_a_revision_that_mends_another_is_not_judged_by_the_pods_of_that(run):
    async def scenario(cluster):
        await healthy(cluster, controller("c"))
        cluster.feed.show(WEB, controller("c", image="app:2"))
        await until(lambda: image(cluster, "c") == "app:2")
        await crash(cluster, "c", restarts=0)
        await asyncio.sleep(5)
        later = cluster.feed.show(WEB, controller("c", image="app:3"))
        await until(lambda: image(cluster, "c") == "app:3")
        await crash(cluster, "c")
        await cluster.settled()
        assert (await cluster.revision(later.revision, "Progressing")).status
        await ready(cluster, "c")
        await cluster.revision(later.revision, "Healthy")

    run(scenario)


async def told_why(cluster, name, why):
    unbound = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    await told(cluster, name, **unbound, message=why)


async def told(cluster, name, **condition):
    live = cluster.registry.get(Pod, name, "web")
    body = live.to_dict() | {"status": {"conditions": [condition]}}
    status = Pod.model_validate_json(orjson.dumps(body)).status
    await cluster.client.update(live.replace(status=status), subresource="status")
