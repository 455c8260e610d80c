from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import orjson
import pytest

from reconciler.client.protocol import NotFound
from reconciler.core.kept import KeptFile
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.gitops import Revision, Source
from reconciler.model.meta import ObjectKey
from reconciler.model.namespace import Namespace
from reconciler.model.pod import Pod
from reconciler.model.replication import ReplicationController, ReplicationControllerStatus
from reconciler.model.service import Service
from reconciler.sync.intake import Intake
from reconciler.sync.steering import Care
from tests.unit.sync.cluster import Cluster, Tree, snapshot, until
from tests.unit.sync.world import controller, manifest, pod, service, settings

WEB = manifest("Namespace", "web")
BAD = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\n  namespace: web\nspec: {}\n"


@pytest.fixture
def run(virtual, clock):
    """Run a scenario on a fresh cluster with sync at work."""

    def runner(scenario):
        async def body():
            cluster = Cluster(clock)
            async with cluster.running():
                await scenario(cluster)

        virtual.run_until_complete(body())

    return runner


def names(cluster, kind):
    return [obj.metadata.name for obj in cluster.registry.list(kind, "web")]


async def ready(cluster, name):
    """Say what a controller would: all pods are there and ready."""
    live = cluster.registry.get(ReplicationController, name, "web")
    status = ReplicationControllerStatus(
        replicas=live.spec.replicas,
        ready_replicas=live.spec.replicas,
        observed_generation=live.metadata.generation,
    )
    await cluster.client.update(live.replace(status=status), subresource="status")


def test_a_revision_is_applied_and_becomes_healthy(run):
    async def scenario(cluster):
        done = await cluster.apply(WEB, settings("a"), settings("b"))
        assert done.status.phase == "Healthy"
        assert [step.phase for step in done.status.steps] == [
            "Fetched", "Validated", "Planned", "Applied", "Healthy",
        ]  # fmt: skip
        assert done.status.counts.to_dict() == {"objects": 3, "created": 3}
        assert names(cluster, ConfigMap) == ["a", "b"]

    run(scenario)


def test_the_source_object_says_how_it_stands(run):
    async def scenario(cluster):
        done = await cluster.apply(WEB)
        source = await cluster.source("Healthy")
        assert source.status.observed_revision == done.spec.revision
        assert source.status.applied_revision == done.spec.revision
        cluster.feed.fail("no route to host")
        held = await cluster.source("Unreachable")
        assert held.status.message == "no route to host"
        assert [(c.type, c.status) for c in held.status.conditions] == [
            ("Fetched", "False"),
            ("Ready", "True"),
        ]
        assert names(cluster, ConfigMap) == []
        assert cluster.registry.get(Namespace, "web")

    run(scenario)


def test_a_revision_waits_for_its_controllers(run):
    async def scenario(cluster):
        shown = await cluster.apply(WEB, controller("c", 2))
        assert shown.status.phase == "Progressing"
        assert "ReplicationController web/c" in shown.status.message
        await ready(cluster, "c")
        await cluster.revision(shown.spec.revision, "Healthy")

    run(scenario)


def test_a_bad_file_rejects_the_revision_whole(run):
    async def scenario(cluster):
        await cluster.apply(WEB, settings("a", key="1"))
        before = cluster.content()
        rejected = await cluster.apply(WEB, settings("a", key="2"), settings("new"), BAD)
        assert rejected.status.phase == "Rejected"
        (error,) = rejected.status.errors
        assert (error.file, error.line, error.field) == ("00003.yaml", 6, "spec")
        assert cluster.content() == before
        source = await cluster.source("Rejected")
        assert source.status.applied_revision != source.status.observed_revision

    run(scenario)


def test_drift_is_put_back_while_the_newest_revision_is_rejected(run):
    async def scenario(cluster):
        await cluster.apply(WEB, settings("a", key="1"))
        await cluster.apply(BAD)
        live = cluster.registry.get(ConfigMap, "a", "web")
        await cluster.client.update(live.replace(data={"key": "by hand"}), manager="vi")
        await until(lambda: cluster.registry.get(ConfigMap, "a", "web").data == {"key": "1"})
        await cluster.settled()
        assert (await cluster.source("Rejected")).status.phase == "Rejected"

    run(scenario)


def test_an_empty_tree_is_rejected_and_prunes_nothing(run):
    async def scenario(cluster):
        await cluster.apply(WEB, settings("a"))
        before = cluster.content()
        assert (await cluster.apply()).status.phase == "Rejected"
        await cluster.settled()
        assert cluster.content() == before

    run(scenario)


def test_what_is_no_longer_declared_goes_and_nothing_else(run):
    async def scenario(cluster):
        await cluster.apply(WEB, settings("a"), settings("b"))
        by_hand = ConfigMap.model_validate({"metadata": {"name": "mine", "namespace": "web"}})
        await cluster.client.create(by_hand)
        await cluster.apply(WEB, settings("b"))
        assert names(cluster, ConfigMap) == ["b", "mine"]

    run(scenario)


def test_a_pruned_controller_takes_its_pods_along_unless_it_says_otherwise(run):
    async def scenario(cluster):
        orphan = {"annotations": {"reconciler.dev/on-prune": "orphan"}}
        await cluster.apply(WEB, controller("c", 0), controller("o", 0, **orphan))
        await ready(cluster, "c")
        await ready(cluster, "o")
        await cluster.apply(WEB)
        await cluster.settled()
        left = {
            obj.metadata.name: obj.metadata.finalizers
            for obj in cluster.registry.list(ReplicationController)
        }
        assert left in ({"o": ("orphan",)}, {})

    run(scenario)


def test_a_field_changed_by_hand_is_put_back(run):
    async def scenario(cluster):
        await cluster.apply(WEB, controller("c", 2))
        live = cluster.registry.get(ReplicationController, "c", "web")
        changed = live.replace(spec=live.spec.replace(replicas=9))
        await cluster.client.update(changed, manager="kubectl-scale")

        def replicas():
            return cluster.registry.get(ReplicationController, "c", "web").spec.replicas

        await until(lambda: replicas() == 2)

    run(scenario)


def test_what_git_does_not_set_is_left_alone(run):
    async def scenario(cluster):
        await cluster.apply(WEB, settings("a", key="1"))
        live = cluster.registry.get(ConfigMap, "a", "web")
        labelled = live.metadata.replace(labels={"team": "x"})
        written = await cluster.client.update(
            live.replace(metadata=labelled, data={**live.data, "more": "2"}), manager="kubectl"
        )
        await cluster.settled()
        assert cluster.registry.get(ConfigMap, "a", "web") == written

    run(scenario)


def test_a_field_that_git_sets_no_longer_is_removed(run):
    async def scenario(cluster):
        await cluster.apply(WEB, settings("a", one="1", two="2"))
        await cluster.apply(WEB, settings("a", one="1"))
        assert cluster.registry.get(ConfigMap, "a", "web").data == {"one": "1"}

    run(scenario)


def test_a_deleted_object_comes_back(run):
    async def scenario(cluster):
        await cluster.apply(WEB, settings("a", key="1"))
        old = cluster.registry.get(ConfigMap, "a", "web").metadata.uid
        await cluster.client.delete(ConfigMap, "a", "web")
        await until(lambda: names(cluster, ConfigMap) == ["a"])
        assert cluster.registry.get(ConfigMap, "a", "web").metadata.uid != old

    run(scenario)


def test_a_secret_written_as_text_is_stored_and_does_not_churn(run):
    async def scenario(cluster):
        await cluster.apply(WEB, manifest("Secret", "s", stringData={"key": "hunter2"}))
        assert cluster.registry.get(Secret, "s", "web").data == {"key": "aHVudGVyMg=="}
        await cluster.settled()
        before = cluster.store.revision
        cluster.sync.trigger()
        await asyncio.sleep(5)
        assert cluster.store.revision - before <= 1  # the source's own time of sync
        assert cluster.feed.triggers == 1

    run(scenario)


def test_a_pod_whose_spec_changes_is_deleted_and_made_anew(run):
    async def scenario(cluster):
        await cluster.apply(WEB, pod("p", hostname="a"))
        old = cluster.registry.get(Pod, "p", "web").metadata.uid
        cluster.feed.show(WEB, pod("p", hostname="b"))

        def new():
            (found,) = cluster.registry.list(Pod) or [None]
            return found if found is not None and found.metadata.uid != old else None

        assert (await until(new)).spec.hostname == "b"

    run(scenario)


def test_a_node_port_moves_from_one_service_to_another(run):
    async def scenario(cluster):
        await cluster.apply(WEB, service("old", 30001))
        done = await cluster.apply(WEB, service("new", 30001))
        assert done.status.phase == "Healthy"
        assert names(cluster, Service) == ["new"]

    run(scenario)


def test_what_the_api_refuses_fails_the_revision_and_is_tried_again(run):
    async def scenario(cluster):
        taken = Service.model_validate_json(
            b'{"metadata":{"name":"taken","namespace":"default"},"spec":'
            b'{"type":"NodePort","ports":[{"port":80,"targetPort":80,"nodePort":30001}]}}'
        )
        await cluster.client.create(taken)
        failed = await cluster.apply(WEB, service("s", 30001), settings("old"))
        assert failed.status.phase == "Failed"
        (error,) = failed.status.errors
        assert "provided port is already allocated" in error.message
        assert (error.file, error.line) == ("00001.yaml", 1)
        await cluster.client.delete(Service, "taken", "default")
        await cluster.revision(failed.spec.revision, "Healthy")

    run(scenario)


def test_nothing_is_pruned_when_something_could_not_be_applied(run):
    async def scenario(cluster):
        await cluster.apply(WEB, settings("old"))
        taken = Service.model_validate_json(
            b'{"metadata":{"name":"taken","namespace":"default"},"spec":'
            b'{"type":"NodePort","ports":[{"port":80,"targetPort":80,"nodePort":30001}]}}'
        )
        await cluster.client.create(taken)
        await cluster.apply(WEB, service("s", 30001))
        await asyncio.sleep(10)
        assert names(cluster, ConfigMap) == ["old"]

    run(scenario)


def test_commits_that_pour_in_end_at_the_newest(run):
    async def scenario(cluster):
        for number in range(20):
            shown = cluster.feed.show(WEB, settings("a", key=str(number)))
        await cluster.revision(shown.revision, "Healthy")
        assert cluster.registry.get(ConfigMap, "a", "web").data == {"key": "19"}

    run(scenario)


def test_history_is_bounded(virtual, clock):
    async def body():
        cluster = Cluster(clock)
        async with cluster.running():
            for number in range(60):
                await cluster.apply(WEB, settings("a", key=str(number)))
            await cluster.settled()
            sequences = sorted(r.spec.sequence for r in cluster.registry.list(Revision))
            assert sequences == list(range(11, 61))

    virtual.run_until_complete(body())


@pytest.mark.parametrize("remembers", [False, True])
def test_a_restart_with_an_unchanged_revision_writes_nothing(virtual, clock, tmp_path, remembers):
    tree = (WEB, settings("a", key="1"), service("s", 30001), controller("c", 2))

    async def body():
        cluster = Cluster(clock, memory=KeptFile(tmp_path / "clean", "") if remembers else None)
        async with cluster.running():
            await cluster.apply(*tree)
            await ready(cluster, "c")
            await cluster.source("Healthy")
            await cluster.settled()
        before = cluster.store.revision
        async with cluster.running():
            cluster.feed.show(*tree)
            await asyncio.sleep(30)
        assert cluster.store.revision == before
        assert len(cluster.registry.list(Revision)) == 1

    virtual.run_until_complete(body())


@pytest.mark.parametrize("remembers", [False, True])
def test_drift_that_happened_while_nobody_looked_is_put_back(virtual, clock, tmp_path, remembers):
    async def body():
        cluster = Cluster(clock, memory=KeptFile(tmp_path / "clean", "") if remembers else None)
        async with cluster.running():
            await cluster.apply(WEB, settings("a", key="1"), settings("b"))
        live = cluster.registry.get(ConfigMap, "a", "web")
        await cluster.client.update(live.replace(data={"key": "2"}), manager="vi")
        await cluster.client.delete(ConfigMap, "b", "web")
        async with cluster.running():
            cluster.feed.show(WEB, settings("a", key="1"), settings("b"))
            await until(lambda: len(names(cluster, ConfigMap)) == 2)
            await until(lambda: cluster.registry.get(ConfigMap, "a", "web").data == {"key": "1"})

    virtual.run_until_complete(body())


def test_a_namespace_being_deleted_is_waited_for_and_made_anew(run):
    async def scenario(cluster):
        await cluster.apply(WEB, settings("a"))
        await cluster.client.delete(ConfigMap, "a", "web")
        await cluster.client.delete(Namespace, "web")
        await asyncio.sleep(5)
        live = cluster.registry.get(Namespace, "web")
        emptied = live.replace(spec=live.spec.replace(finalizers=()))
        for each in cluster.registry.list(ConfigMap, "web"):
            await cluster.client.delete(ConfigMap, each.metadata.name, "web")
        await cluster.client.update(emptied, subresource="finalize")

        def back():
            try:
                found = cluster.registry.get(Namespace, "web")
            except Exception:  # noqa: BLE001 - not there yet
                return False
            return found.metadata.deletion_timestamp is None and names(cluster, ConfigMap) == ["a"]

        await until(back)

    run(scenario)


def test_what_is_adopted_keeps_its_identity(run):
    async def scenario(cluster):
        made = await cluster.client.create(
            ConfigMap.model_validate_json(
                b'{"metadata":{"name":"a","namespace":"default"},"data":{"kept":"1","key":"0"}}'
            )
        )
        declared = manifest("ConfigMap", "a", "default", data={"key": "1"})
        await cluster.apply(declared)
        live = cluster.registry.get(ConfigMap, "a", "default")
        assert live.metadata.uid == made.metadata.uid
        assert live.data == {"kept": "1", "key": "1"}

    run(scenario)


def test_a_source_that_cannot_be_read_is_not_called_healthy_when_drift_is_corrected(run):
    async def scenario(cluster):
        await cluster.apply(WEB, settings("a"))
        cluster.feed.fail("no route to host")
        await cluster.source("Unreachable")
        await cluster.client.delete(ConfigMap, "a", "web")
        await until(lambda: names(cluster, ConfigMap) == ["a"])
        await cluster.settled()
        assert (await cluster.source("Unreachable")).status.message == "no route to host"
        await cluster.apply(WEB, settings("a"), settings("b"))
        assert (await cluster.source("Healthy")).status.failures == 0

    run(scenario)


def test_a_source_that_cannot_be_read_at_first_changes_nothing(run):
    async def scenario(cluster):
        cluster.feed.fail("not there")
        assert (await cluster.source("Unreachable")).status.failures == 1
        assert cluster.registry.list(Revision) == []
        done = await cluster.apply(WEB)
        assert done.status.phase == "Healthy"
        assert (await cluster.source("Healthy")).status.failures == 0
        assert isinstance(cluster.registry.get(Source, "main"), Source)

    run(scenario)


def test_what_cannot_be_planned_names_the_line_of_the_field(run):
    async def scenario(cluster):
        claim = b"""# a claim
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: web}
spec:
  accessModes: [ReadWriteOnce]
  resources:
    requests:
      storage: 2Gi
"""
        await cluster.apply(WEB, claim)
        rejected = await cluster.apply(WEB, claim.replace(b"2Gi", b"1Gi"))
        found = {error.field: (error.file, error.line) for error in rejected.status.errors}
        assert found["spec.resources.requests.storage"] == ("00001.yaml", 9)

    run(scenario)


def test_objects_of_an_undeclared_namespace_reject_the_revision_until_it_is_there(run):
    async def scenario(cluster):
        rejected = await cluster.apply(settings("a"))
        assert rejected.status.phase == "Rejected"
        (error,) = rejected.status.errors
        assert 'namespaces "web" not found' in error.message
        with pytest.raises(NotFound):
            await cluster.client.get(ConfigMap, "a", "web")
        await cluster.client.create(Namespace.model_validate({"metadata": {"name": "web"}}))
        await cluster.revision(rejected.spec.revision, "Healthy")
        assert ObjectKey("ConfigMap", "web", "a") in cluster.objects()

    run(scenario)


def test_who_writes_a_declared_object_is_told_its_file(run):
    async def scenario(cluster):
        key, free = ObjectKey("ConfigMap", "web", "a"), ObjectKey("ConfigMap", "web", "free")
        assert cluster.sync.declared(key, None) == ""
        await cluster.apply(WEB, settings("a"))
        assert cluster.sync.declared(free, None) == ""
        told = cluster.sync.declared(key, cluster.registry.get(ConfigMap, "a", "web"))
        assert "what differs from the file is taken back" in told
        assert re.match(r"Git declares this object in \S+:\d+:\d+: ", told)

    run(scenario)


def test_after_a_restart_a_rejected_revision_leaves_the_last_good_one_kept(virtual, clock):
    async def body():
        cluster = Cluster(clock)
        async with cluster.running():
            good = await cluster.apply(WEB, settings("s", k="1"))
            await cluster.apply(WEB, BAD)
            await cluster.settled()
        for bad in ((WEB, BAD), ()):
            async with cluster.running():
                cluster.feed.show(*bad)
                await cluster.source("Rejected")
                live = cluster.registry.get(ConfigMap, "s", "web")
                await cluster.client.update(live.replace(data={"k": "hand"}), manager="hand")
                await until(lambda: cluster.registry.get(ConfigMap, "s", "web").data["k"] == "1")
                await cluster.settled()
                (source,) = cluster.registry.list(Source)
                assert source.status.phase == "Rejected"
                assert source.status.applied_revision == good.spec.revision

    virtual.run_until_complete(body())


def test_after_a_restart_a_held_revision_leaves_the_last_good_one_kept(virtual, clock):
    async def body():
        cluster = Cluster(clock, care=Care(prune_threshold=0))
        async with cluster.running():
            await cluster.apply(WEB, settings("s", k="1"), settings("t"))
            await cluster.settled()
        async with cluster.running():
            cluster.feed.show(WEB, settings("s", k="2"))
            await cluster.source("Held")
            live = cluster.registry.get(ConfigMap, "s", "web")
            await cluster.client.update(live.replace(data={"k": "hand"}), manager="hand")
            await until(lambda: cluster.registry.get(ConfigMap, "s", "web").data["k"] == "1")
            await cluster.settled()
            (source,) = cluster.registry.list(Source)
            assert source.status.phase == "Held"
            assert names(cluster, ConfigMap) == ["s", "t"]

    virtual.run_until_complete(body())


def test_the_steps_of_a_revision_tell_of_its_signature_and_its_rendering(run):
    async def scenario(cluster):
        plain = snapshot(b"resources: [00001.yaml]\n", orjson.dumps(manifest("Namespace", "web")))
        files = {"kustomization.yaml": "00000.yaml", "00001.yaml": "00001.yaml"}
        refs = {path: replace(plain.files[old], path=path) for path, old in files.items()}
        data = dict(zip(plain.files, plain.contents.read(list(plain.files.values())), strict=True))
        tree = Tree({path: data[old] for path, old in files.items()})
        shown = replace(plain, files=refs, tree=refs, contents=tree, verified=True)
        cluster.feed.put(shown)
        revision = await cluster.revision(shown.revision, "Healthy", "Rejected")
        steps = {step.phase: step.message for step in revision.status.steps}
        assert list(steps)[:4] == ["Fetched", "Verified", "Rendered", "Validated"]
        assert steps["Verified"] == "signed by a key that is trusted"
        assert steps["Rendered"] == "1 kustomization"

    run(scenario)


def test_a_revision_that_could_not_be_read_is_looked_at_again_when_a_person_asks(clock):
    intake = Intake("main", clock, None)
    intake.show(snapshot(WEB))
    intake.take_up(None, asked=False, applied="")
    shown = intake.unseen
    intake.admit(shown, readable=True)
    intake.retry()
    assert intake.unseen is None
    intake.admit(shown, readable=False)
    assert intake.unseen is None
    intake.retry()
    assert intake.unseen == shown
