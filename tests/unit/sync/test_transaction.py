"""A revision as a transaction: undone when it fails, held when it destroys, paused on request."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import orjson
import pytest

from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.config import ConfigMap
from reconciler.model.gitops import Revision, Source
from reconciler.model.namespace import Namespace
from reconciler.model.pod import Pod
from reconciler.model.podstatus import START_FAILING
from reconciler.model.replication import ReplicationController
from reconciler.model.service import Service
from reconciler.model.sourcewords import ON_FAILURE_ANNOTATION
from reconciler.model.streaming import StreamFailure
from reconciler.model.time import format_time
from reconciler.sync.allocation import ServiceRanges
from reconciler.sync.care import APPROVE_ANNOTATION
from reconciler.sync.steering import Care
from tests.unit.sync.cluster import Cluster, until
from tests.unit.sync.test_loop import ready
from tests.unit.sync.world import controller, manifest, pod, settings

WEB = manifest("Namespace", "web")
CAREFUL = Care()


@pytest.fixture
def run(virtual, clock):
    def runner(scenario, care=CAREFUL):
        async def body():
            cluster = Cluster(clock, care=care)
            async with cluster.running():
                await scenario(cluster)

        virtual.run_until_complete(body())

    return runner


def data(cluster, name):
    return cluster.registry.get(ConfigMap, name, "web").data


def image(cluster, name):
    live = cluster.registry.get(ReplicationController, name, "web")
    return live.spec.template.spec.containers[0].image


def pod_of(body):
    return Pod.model_validate_json(orjson.dumps(body))


async def crash(cluster, name, restarts=3):
    """Let a pod of the controller crash again and again, as the kubelet would tell."""
    live = cluster.registry.get(ReplicationController, name, "web")
    owner = {
        "apiVersion": "v1", "kind": "ReplicationController", "name": name,
        "uid": live.metadata.uid, "controller": True,
    }  # fmt: skip
    metadata = {"name": f"{name}-x", "namespace": "web", "ownerReferences": [owner]}
    spec = {"containers": [{"name": "app", "image": "app:2"}]}
    ended = {
        "exitCode": 7, "reason": "Error", "message": "cannot open the database",
        "containerID": "docker://dead",
    }  # fmt: skip
    container = {
        "name": "app", "ready": False, "restartCount": restarts, "image": "app:2", "imageID": "",
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
        "lastState": {"terminated": ended},
    }  # fmt: skip
    there = [
        each for each in cluster.registry.list(Pod, "web") if each.metadata.name == f"{name}-x"
    ]
    made = (
        there[0]
        if there
        else await cluster.client.create(pod_of({"metadata": metadata, "spec": spec}))
    )
    told = made.status.replace(
        container_statuses=pod_of(
            {"metadata": metadata, "spec": spec, "status": {"containerStatuses": [container]}}
        ).status.container_statuses
    )
    await cluster.client.update(made.replace(status=told), subresource="status")


async def healthy(cluster, *tree):
    await cluster.apply(WEB, *tree)
    for each in tree:
        if each["kind"] == "ReplicationController":
            await ready(cluster, each["metadata"]["name"])
    return await cluster.source("Healthy")


async def fail(cluster, *tree):
    shown = cluster.feed.show(WEB, *tree)
    await until(lambda: cluster.registry.list(ReplicationController, "web"))
    await until(lambda: image(cluster, "c") == "app:2")
    await cluster.settled()
    await crash(cluster, "c")
    return shown


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


def test_a_plan_that_deletes_much_waits_for_an_approval_of_this_very_plan(run):
    many = [settings(name) for name in "abcdef"]

    async def scenario(cluster):
        await healthy(cluster, *many)
        shown = cluster.feed.show(WEB, *many[:3])
        held = await cluster.revision(shown.revision, "Held")
        assert "3 of 7 objects (43 %) would be deleted" in held.status.message
        await approve(cluster, held, "another plan's hash")
        await asyncio.sleep(60)
        assert len(cluster.registry.list(ConfigMap, "web")) == 6
        await approve(cluster, held, held.status.plan_hash)
        await cluster.revision(shown.revision, "Healthy")
        assert len(cluster.registry.list(ConfigMap, "web")) == 3

    run(scenario)


async def approve(cluster, held, digest):
    live = cluster.registry.get(Revision, held.metadata.name)
    said = live.metadata.replace(annotations={APPROVE_ANNOTATION: digest})
    await cluster.client.update(live.replace(metadata=said))


def test_drift_is_corrected_while_a_revision_is_held(run):
    many = [settings(name, key="1") for name in "abcdef"]

    async def scenario(cluster):
        await healthy(cluster, *many)
        shown = cluster.feed.show(WEB, *many[:3])
        await cluster.revision(shown.revision, "Held")
        await cluster.client.delete(ConfigMap, "f", "web")
        await until(lambda: len(cluster.registry.list(ConfigMap, "web")) == 6)

    run(scenario)


def test_a_namespace_is_never_deleted_unasked(run):
    async def scenario(cluster):
        others = [manifest("Namespace", f"n{number}") for number in range(9)]
        await healthy(cluster, *others)
        shown = cluster.feed.show(WEB, *others[:8])
        held = await cluster.revision(shown.revision, "Held")
        assert "Namespace n8 would be deleted with all that is in it" in held.status.message
        assert cluster.registry.get(Namespace, "n8").metadata.deletion_timestamp is None

    run(scenario)


def test_an_approval_covers_what_was_in_the_namespace_when_the_plan_was_shown(run):
    async def scenario(cluster):
        await healthy(cluster, manifest("Namespace", "old"), settings("a"))
        by_hand = pod("before") | {"metadata": {"name": "before", **OLD}}
        await cluster.client.create(pod_of(by_hand))
        shown = cluster.feed.show(WEB, settings("a"))
        held = await cluster.revision(shown.revision, "Held")
        named = "deleted with all that is in it, also what others made: Pod old/before;"
        assert named in held.status.message
        await cluster.client.create(claim_of("data"))
        await approve(cluster, held, held.status.plan_hash)
        again = await until(lambda: retold(cluster, held))
        assert "others made: PersistentVolumeClaim old/data, Pod old/before" in again.status.message
        assert cluster.registry.get(Namespace, "old").metadata.deletion_timestamp is None
        await approve(cluster, again, again.status.plan_hash)
        await until(lambda: cluster.registry.get(Namespace, "old").metadata.deletion_timestamp)

    run(scenario)


OLD = {"namespace": "old"}


def claim_of(name):
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    body = manifest("PersistentVolumeClaim", name, spec=spec, metadata=OLD)
    return PersistentVolumeClaim.model_validate_json(orjson.dumps(body))


def retold(cluster, held):
    """Return the revision once its plan is another one than that of `held`."""
    live = cluster.registry.get(Revision, held.metadata.name)
    return live if live.status.plan_hash != held.status.plan_hash else None


def test_an_object_may_stay_though_nobody_declares_it(run):
    async def scenario(cluster):
        kept = settings("kept", key="1")
        kept["metadata"]["annotations"] = {"reconciler.dev/prune": "disabled"}
        await healthy(cluster, kept, settings("a"))
        shown = cluster.feed.show(WEB, settings("a"))
        await cluster.revision(shown.revision, "Healthy")
        assert data(cluster, "kept") == {"key": "1"}

    run(scenario)


def test_a_suspended_source_is_left_alone_and_caught_up_with(run):
    async def scenario(cluster):
        await healthy(cluster, settings("a", key="1"))
        await suspend(cluster, True)
        await cluster.source("Suspended")
        shown = cluster.feed.show(WEB, settings("a", key="2"))
        await cluster.client.delete(ConfigMap, "a", "web")
        await asyncio.sleep(60)
        assert cluster.registry.list(ConfigMap, "web") == []
        await suspend(cluster, False)
        await cluster.revision(shown.revision, "Healthy")
        assert data(cluster, "a") == {"key": "2"}

    run(scenario)


async def suspend(cluster, value):
    source = cluster.registry.get(Source, "main")
    await cluster.client.update(source.replace(spec=source.spec.replace(suspend=value)))


def test_no_revision_is_skipped_silently(run):
    async def scenario(cluster):
        await healthy(cluster, settings("a", key="0"))
        shown = [cluster.feed.show(WEB, settings("a", key=str(number))) for number in (1, 2, 3)]
        await cluster.revision(shown[-1].revision, "Healthy")
        await cluster.settled()
        known = {r.spec.revision: r.status.message for r in cluster.registry.list(Revision)}
        assert all(each.revision in known for each in shown)
        assert "superseded" in known[shown[0].revision]

    run(scenario)


def tolerant(name, mode, **words):
    declared = settings(name, **words)
    declared["metadata"]["annotations"] = {"reconciler.dev/drift": mode}
    return declared


@pytest.mark.parametrize("mode", ["report", "ignore"])
def test_drift_may_be_left_as_it_is(run, mode):
    async def scenario(cluster):
        await healthy(cluster, tolerant("a", mode, key="1"))
        live = cluster.registry.get(ConfigMap, "a", "web")
        await cluster.client.update(live.replace(data={"key": "hand"}), manager="vi")
        await asyncio.sleep(30)
        assert data(cluster, "a") == {"key": "hand"}
        await cluster.apply(WEB, tolerant("a", mode, key="2"))
        assert data(cluster, "a") == {"key": "2"}

    run(scenario)


def test_an_ignored_field_keeps_its_live_value_and_the_others_are_put_back(run):
    async def scenario(cluster):
        declared = settings("a", mine="1", theirs="1")
        declared["metadata"]["annotations"] = {"reconciler.dev/drift-ignore": "/data/theirs"}
        await healthy(cluster, declared)
        live = cluster.registry.get(ConfigMap, "a", "web")
        changed = {"mine": "hand", "theirs": "hand"}
        await cluster.client.update(live.replace(data=changed), manager="vi")
        await until(lambda: data(cluster, "a") == {"mine": "1", "theirs": "hand"})
        await cluster.settled()
        assert data(cluster, "a") == {"mine": "1", "theirs": "hand"}

    run(scenario)


def test_a_broken_glass_holds_until_it_expires(run):
    async def scenario(cluster):
        await healthy(cluster, settings("a", key="1"))
        live = cluster.registry.get(ConfigMap, "a", "web")
        until_when = format_time(cluster.clock.now() + timedelta(seconds=120))
        notes = {**live.metadata.annotations, "reconciler.dev/break-glass-until": until_when}
        metadata = live.metadata.replace(annotations=notes)
        await cluster.client.update(
            live.replace(metadata=metadata, data={"key": "urgent"}), manager="oncall"
        )
        await asyncio.sleep(100)
        assert data(cluster, "a") == {"key": "urgent"}
        await asyncio.sleep(30)
        assert data(cluster, "a") == {"key": "1"}

    run(scenario)


def test_a_pause_window_keeps_new_revisions_waiting_and_drift_is_put_back(run):
    async def scenario(cluster):
        await healthy(cluster, settings("a", key="1"))
        now = cluster.clock.now()
        end = now + timedelta(minutes=10)
        source = cluster.registry.get(Source, "main")
        notes = {"reconciler.dev/pause-windows": f"{now:%H:%M}-{end:%H:%M}"}
        await cluster.client.update(
            source.replace(metadata=source.metadata.replace(annotations=notes))
        )
        await asyncio.sleep(1)
        shown = cluster.feed.show(WEB, settings("a", key="2"))
        assert (await cluster.source("Paused")).status.observed_revision == shown.revision
        await cluster.client.delete(ConfigMap, "a", "web")
        await until(lambda: cluster.registry.list(ConfigMap, "web"))
        await asyncio.sleep(400)
        assert data(cluster, "a") == {"key": "1"}
        await asyncio.sleep(300)
        assert data(cluster, "a") == {"key": "2"}

    run(scenario)


def test_a_person_may_sync_during_a_pause(run):
    async def scenario(cluster):
        await healthy(cluster, settings("a", key="1"))
        source = cluster.registry.get(Source, "main")
        notes = {"reconciler.dev/pause-windows": "00:00-24:00"}
        await cluster.client.update(
            source.replace(metadata=source.metadata.replace(annotations=notes))
        )
        await asyncio.sleep(1)
        shown = cluster.feed.show(WEB, settings("a", key="2"))
        await cluster.source("Paused")
        cluster.sync.trigger()
        await cluster.revision(shown.revision, "Healthy")
        assert data(cluster, "a") == {"key": "2"}

    run(scenario)
