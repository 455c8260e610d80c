"""A revision that fails is undone whole, by a revision of its own, and its last words are kept."""

from __future__ import annotations

import pytest

from reconciler.model.config import ConfigMap
from reconciler.model.gitops import Revision, Source
from reconciler.model.pod import Pod
from reconciler.model.podstatus import START_FAILING
from reconciler.model.service import Service
from reconciler.model.sourcewords import ON_FAILURE_ANNOTATION
from reconciler.model.streaming import StreamFailure
from reconciler.sync.allocation import ServiceRanges
from reconciler.sync.steering import Care
from tests.unit.sync.cluster import Cluster, runner, until
from tests.unit.sync.deeds import data, fail, healthy, image, pod_of, ready
from tests.unit.sync.world import WEB, controller, manifest, pod, settings

CAREFUL = Care()


@pytest.fixture
def run(virtual, clock):
    return runner(virtual, clock, CAREFUL)


def test_a_failed_revision_is_undone_whole_and_its_last_words_kept(run):
    async def scenario(cluster):
        await healthy(cluster, controller("c"), settings("a", key="1"))
        before = cluster.content()
        shown = await fail(
            cluster, controller("c", image="app:2"), settings("a", key="2"), settings("new")
        )
        undone = await cluster.revision(shown.revision, "RolledBack")
        await cluster.settled()
        after = {k: v for k, v in cluster.content().items() if k.kind != "Pod"}
        assert after == before
        assert "ended 4 times, last with exit code 7" in undone.status.message
        (casualty,) = undone.status.casualties
        assert (casualty.pod, casualty.container, casualty.exit_code) == ("c-x", "app", 7)
        assert casualty.message == "cannot open the database"

    run(scenario)


class Streams:
    """A node whose containers have written what a test says, or whose logs are gone."""

    def __init__(self, said=b""):
        self.said = said
        self.asked = []

    async def logs(self, pod, container_id, query):
        self.asked.append((pod.metadata.name, container_id, query.tail))
        if not self.said:
            raise StreamFailure("no such container")
        yield self.said


@pytest.mark.parametrize("said", [b"starting\ncannot open the database\n", b""])
def test_the_last_lines_of_a_failed_container_are_kept_where_they_can_be_had(virtual, clock, said):
    async def body():
        cluster = Cluster(clock, care=CAREFUL)
        cluster.streams = Streams(said)
        async with cluster.running():
            await healthy(cluster, controller("c"))
            shown = await fail(cluster, controller("c", image="app:2"))
            undone = await cluster.revision(shown.revision, "RolledBack")
        (casualty,) = undone.status.casualties
        assert casualty.log == said.decode()
        assert cluster.streams.asked == [("c-x", "docker://dead", 20)]

    virtual.run_until_complete(body())


def test_the_first_revision_stays_failed_with_its_casualties(run):
    async def scenario(cluster):
        shown = await fail(cluster, controller("c", image="app:2"))
        failed = await cluster.revision(shown.revision, "Failed")
        (casualty,) = failed.status.casualties
        assert (casualty.pod, casualty.exit_code) == ("c-x", 7)

    run(scenario)


def test_a_declared_pod_that_crashes_again_and_again_fails_its_revision(run):
    async def scenario(cluster):
        await healthy(cluster, settings("a", key="1"))
        shown = cluster.feed.show(WEB, settings("a", key="2"), bare := pod("p", "app:1"))
        await until(lambda: cluster.registry.list(Pod, "web"))
        await cluster.settled()
        live = cluster.registry.get(Pod, "p", "web")
        container = {
            "name": "app", "ready": False, "restartCount": 3, "image": "app:1", "imageID": "",
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 9}},
        }  # fmt: skip
        told = pod_of({**bare, "status": {"containerStatuses": [container]}}).status
        await cluster.client.update(live.replace(status=told), subresource="status")
        undone = await cluster.revision(shown.revision, "RolledBack")
        assert "Pod web/p: pod p: container app: ended 4 times" in undone.status.message
        assert undone.status.casualties[0].exit_code == 9

    run(scenario)


def test_a_container_that_the_engine_refuses_fails_its_revision_when_that_lasts(run):
    async def scenario(cluster):
        await healthy(cluster, settings("a", key="1"))
        shown = cluster.feed.show(WEB, settings("a", key="2"), bare := pod("p", "app:1"))
        await until(lambda: cluster.registry.list(Pod, "web"))
        await cluster.settled()
        refused = {"reason": "CreateContainerError", "message": "No command specified"}
        container = {
            "name": "app", "ready": False, "restartCount": 0, "image": "app:1", "imageID": "",
            "state": {"waiting": refused},
        }  # fmt: skip
        status = {"containerStatuses": [container]}

        async def tell(**more):
            live = cluster.registry.get(Pod, "p", "web")
            told = pod_of({**bare, "status": {**status, **more}}).status
            await cluster.client.update(live.replace(status=told), subresource="status")
            await cluster.settled()

        await tell()
        await cluster.revision(shown.revision, "Applied", "Progressing")
        words = "container app could not be started 5 times in a row: CreateContainerError"
        await tell(conditions=[{"type": START_FAILING, "status": "True", "message": words}])
        undone = await cluster.revision(shown.revision, "RolledBack")
        assert f"Pod web/p: pod p: {words}" in undone.status.message
        (casualty,) = undone.status.casualties
        assert (casualty.reason, casualty.message) == tuple(refused.values())

    run(scenario)


def test_rolling_back_is_a_revision_of_its_own(run):
    async def scenario(cluster):
        good = await healthy(cluster, controller("c"))
        shown = await fail(cluster, controller("c", image="app:2"))
        undone = await cluster.revision(shown.revision, "RolledBack")
        await ready(cluster, "c")

        def back():
            found = [r for r in cluster.registry.list(Revision) if r.spec.rollback_of]
            return found[0] if found and found[0].status.phase == "Healthy" else None

        made = await until(back)
        assert made.spec.rollback_of == undone.metadata.name
        assert made.spec.revision == good.status.observed_revision
        assert made.spec.sequence == undone.spec.sequence + 1
        assert (await cluster.source("RolledBack")).status.applied_revision == made.spec.revision

    run(scenario)


def test_a_bad_commit_is_not_tried_again_until_git_moves(virtual, clock):
    async def body():
        cluster = Cluster(clock)
        async with cluster.running():
            await healthy(cluster, controller("c"), settings("a", key="1"))
            bad = (controller("c", image="app:2"), settings("a", key="2"))
            shown = await fail(cluster, *bad)
            await cluster.revision(shown.revision, "RolledBack")
            await cluster.settled()
        async with cluster.running():
            cluster.feed.show(WEB, *bad)
            await cluster.source("RolledBack")
            await cluster.settled()
            assert (image(cluster, "c"), data(cluster, "a")) == ("app:1", {"key": "1"})
            await cluster.client.delete(ConfigMap, "a", "web")
            await until(lambda: cluster.registry.list(ConfigMap, "web"))
            assert data(cluster, "a") == {"key": "1"}
            await cluster.apply(WEB, controller("c"), settings("a", key="3"))
            assert data(cluster, "a") == {"key": "3"}
        bads = [r for r in cluster.registry.list(Revision) if r.spec.revision == shown.revision]
        assert len(bads) == 1

    virtual.run_until_complete(body())


def test_a_source_that_holds_leaves_a_failed_revision_as_it_is(run):
    async def scenario(cluster):
        await healthy(cluster, controller("c"))
        source = cluster.registry.get(Source, "main")
        said = source.metadata.replace(annotations={ON_FAILURE_ANNOTATION: "hold"})
        await cluster.client.update(source.replace(metadata=said))
        shown = await fail(cluster, controller("c", image="app:2"))
        await cluster.revision(shown.revision, "Failed")
        await cluster.settled()
        assert image(cluster, "c") == "app:2"

    run(scenario)


def test_the_first_revision_has_nothing_to_go_back_to(run):
    async def scenario(cluster):
        shown = await fail(cluster, controller("c", image="app:2"))
        await cluster.revision(shown.revision, "Failed")
        await ready(cluster, "c")
        await cluster.revision(shown.revision, "Healthy")

    run(scenario)


def test_what_the_api_refuses_is_rolled_back_too(run):
    taken = manifest("Service", "taken", "default", spec={
        "type": "NodePort", "ports": [{"port": 80, "targetPort": 80, "nodePort": 30001}],
    })  # fmt: skip
    mine = {**taken, "metadata": {"name": "mine", "namespace": "web"}}

    async def scenario(cluster):
        await cluster.client.apply(taken, manager="hand")
        await healthy(cluster, settings("a", key="1"))
        shown = cluster.feed.show(WEB, mine, settings("a", key="2"))
        await cluster.revision(shown.revision, "RolledBack")
        await until(lambda: data(cluster, "a") == {"key": "1"})

    run(scenario)


def test_a_service_that_cannot_have_its_port_keeps_the_whole_revision_out(virtual, clock):
    ports = [{"port": 80, "targetPort": 80, "nodePort": 30001}]
    spec = {"type": "NodePort", "ports": ports}
    taken = manifest("Service", "taken", "default", spec=spec)

    async def scenario(cluster):
        await cluster.client.apply(taken, manager="hand")
        await healthy(cluster, settings("a", key="1"))
        mine = manifest("Service", "mine", spec=spec)
        shown = cluster.feed.show(WEB, mine, settings("a", key="2"), settings("b"))
        rejected = await cluster.revision(shown.revision, "Rejected")
        (error,) = rejected.status.errors
        assert error.message.endswith("is already allocated (by Service default/taken)")
        assert data(cluster, "a") == {"key": "1"}
        assert len(cluster.registry.list(ConfigMap, "web")) == 1
        await cluster.client.delete(Service, "taken", "default")
        await cluster.revision(shown.revision, "Healthy")

    async def body():
        cluster = Cluster(clock, care=CAREFUL)
        cluster.ranges = ServiceRanges.of("10.96.0.0/16", (30000, 32767), "10.96.0.10")
        async with cluster.running():
            await scenario(cluster)

    virtual.run_until_complete(body())
