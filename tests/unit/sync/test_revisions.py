"""What becomes of a revision, from what the source shows to its fate, and what the Source says."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from reconciler.client.protocol import NotFound
from reconciler.model.config import ConfigMap
from reconciler.model.gitops import Revision, Source
from reconciler.model.meta import ObjectKey
from reconciler.model.namespace import Namespace
from reconciler.model.service import Service
from reconciler.sync.intake import Intake
from tests.unit.sync.cluster import Cluster, Tree, runner, snapshot, until
from tests.unit.sync.deeds import healthy, names, ready
from tests.unit.sync.world import UNKNOWN_FIELD, WEB, controller, manifest, service, settings


@pytest.fixture
def run(virtual, clock):
    return runner(virtual, clock)


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
        rejected = await cluster.apply(WEB, settings("a", key="2"), settings("new"), UNKNOWN_FIELD)
        assert rejected.status.phase == "Rejected"
        (error,) = rejected.status.errors
        assert (error.file, error.line, error.field) == ("00003.yaml", 6, "spec")
        assert cluster.content() == before
        source = await cluster.source("Rejected")
        assert source.status.applied_revision != source.status.observed_revision

    run(scenario)


def test_an_empty_tree_is_rejected_and_prunes_nothing(run):
    async def scenario(cluster):
        await cluster.apply(WEB, settings("a"))
        before = cluster.content()
        assert (await cluster.apply()).status.phase == "Rejected"
        await cluster.settled()
        assert cluster.content() == before

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
