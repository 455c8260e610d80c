"""Waves, dependencies and hooks: who waits for whom."""

from __future__ import annotations

import pytest

from reconciler.model.config import ConfigMap
from reconciler.model.pod import Pod
from reconciler.model.replication import ReplicationController
from tests.unit.sync.cluster import runner, until
from tests.unit.sync.deeds import names, ready
from tests.unit.sync.world import WEB, controller, pod, settings


@pytest.fixture
def run(virtual, clock):
    return runner(virtual, clock)


def noted(body, **notes):
    annotations = {f"reconciler.dev/{name.replace('_', '-')}": text for name, text in notes.items()}
    return {**body, "metadata": {**body["metadata"], "annotations": annotations}}


def hook(name, phase, command="run"):
    made = pod(name, restartPolicy="Never")
    made["spec"]["containers"][0]["command"] = [command]
    return noted(made, hook=phase)


async def ended(cluster, name, phase):
    live = cluster.registry.get(Pod, name, "web")
    status = live.status.replace(
        phase=phase, reason="DeadlineExceeded" if phase == "Failed" else ""
    )
    await cluster.client.update(live.replace(status=status), subresource="status")


def test_a_wave_starts_when_the_one_before_is_healthy(run):
    async def scenario(cluster):
        shown = cluster.feed.show(
            WEB,
            noted(settings("early"), wave="-1"),
            controller("db"),
            noted(controller("app"), wave="1"),
            noted(settings("late"), wave="2"),
        )
        await until(lambda: names(cluster, ReplicationController) == ["db"])
        await cluster.settled()
        assert names(cluster, ConfigMap) == ["early"]
        await ready(cluster, "db")
        await until(lambda: names(cluster, ReplicationController) == ["app", "db"])
        await cluster.settled()
        assert names(cluster, ConfigMap) == ["early"]
        await ready(cluster, "app")
        await cluster.revision(shown.revision, "Healthy")
        assert names(cluster, ConfigMap) == ["early", "late"]

    run(scenario)


def test_a_change_waits_for_its_turn_too_and_deletions_come_last(run):
    async def scenario(cluster):
        late = noted(settings("late", key="1"), wave="1")
        cluster.feed.show(WEB, controller("db"), late, settings("old"))
        await until(lambda: names(cluster, ReplicationController) == ["db"])
        await ready(cluster, "db")
        await cluster.source("Healthy")
        shown = cluster.feed.show(
            WEB, controller("db", image="app:2"), noted(settings("late", key="2"), wave="1")
        )
        await cluster.revision(shown.revision, "Progressing")
        await cluster.settled()
        assert cluster.registry.get(ConfigMap, "late", "web").data == {"key": "1"}
        assert "old" in names(cluster, ConfigMap)
        await ready(cluster, "db")
        await cluster.revision(shown.revision, "Healthy")
        assert cluster.registry.get(ConfigMap, "late", "web").data == {"key": "2"}
        assert names(cluster, ConfigMap) == ["late"]

    run(scenario)


def test_an_object_waits_for_what_it_depends_on(run):
    async def scenario(cluster):
        waits = noted(settings("a"), depends_on="ReplicationController/db")
        shown = cluster.feed.show(WEB, waits, settings("b"), controller("db"))
        await until(lambda: names(cluster, ReplicationController) == ["db"])
        await cluster.settled()
        assert names(cluster, ConfigMap) == ["b"]
        await ready(cluster, "db")
        await cluster.revision(shown.revision, "Healthy")
        assert names(cluster, ConfigMap) == ["a", "b"]

    run(scenario)


@pytest.mark.parametrize(
    ("notes", "words"),
    [
        ({"depends_on": "ConfigMap/none"}, "ConfigMap web/none is not declared here"),
        ({"depends_on": "ConfigMap/a"}, "it waits for itself"),
        ({"depends_on": "db"}, '"db" is not Kind/name'),
        ({"wave": "first"}, '"first" is not a whole number'),
        ({"hook": "pre-apply"}, "a hook is a Pod whose restartPolicy is Never or OnFailure"),
        ({"hook": "later"}, '"later" is neither pre-apply nor post-apply'),
    ],
)
def test_an_order_that_cannot_be_is_rejected(run, notes, words):
    async def scenario(cluster):
        rejected = await cluster.apply(WEB, noted(settings("a"), **notes))
        assert rejected.status.phase == "Rejected"
        assert any(words in error.message for error in rejected.status.errors)
        assert rejected.status.errors[0].file == "00001.yaml"

    run(scenario)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (
            {"depends_on": "ConfigMap/b"},
            {"wave": "1"},
            "ConfigMap web/b is written in a later wave",
        ),
        ({"depends_on": "ConfigMap/b"}, {"depends_on": "ConfigMap/a"}, "it waits for itself"),
    ],
)
def test_a_circle_over_two_objects_is_rejected(run, first, second, words):
    async def scenario(cluster):
        tree = (noted(settings("a"), **first), noted(settings("b"), **second))
        rejected = await cluster.apply(WEB, *tree)
        assert rejected.status.phase == "Rejected"
        assert words in rejected.status.errors[0].message

    run(scenario)


def test_an_object_may_depend_on_what_has_no_namespace_or_a_group(run):
    async def scenario(cluster):
        storage = {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "fast"},
            "provisioner": "p",
        }
        named = ("StorageClass/fast", "StorageClass.storage.k8s.io/fast", "Namespace/web")
        waits = [
            noted(settings(f"s{number}"), depends_on=other, wave="-1" if number == 2 else "0")
            for number, other in enumerate(named)
        ]
        applied = await cluster.apply(WEB, storage, *waits)
        assert applied.status.phase == "Healthy", applied.status

    run(scenario)


def test_hooks_run_before_and_after_and_again_for_another_tree(run):
    async def scenario(cluster):
        hooks = (hook("before", "pre-apply"), hook("after", "post-apply"))
        shown = cluster.feed.show(WEB, *hooks, settings("a", key="1"))
        await until(lambda: names(cluster, Pod) == ["before"])
        await cluster.settled()
        assert names(cluster, ConfigMap) == []
        first = cluster.registry.get(Pod, "before", "web")
        assert first.spec.active_deadline_seconds == 300
        await ended(cluster, "before", "Succeeded")
        await until(lambda: names(cluster, Pod) == ["after", "before"])
        assert names(cluster, ConfigMap) == ["a"]
        await ended(cluster, "after", "Succeeded")
        await cluster.revision(shown.revision, "Healthy")

        cluster.feed.show(WEB, *hooks, settings("a", key="1"), b"# a comment\n")
        await cluster.settled()
        assert cluster.registry.get(Pod, "before", "web").metadata.uid == first.metadata.uid

        cluster.feed.show(WEB, *hooks, settings("a", key="2"))
        await until(lambda: _uid(cluster, "before") not in ("", first.metadata.uid))
        await cluster.settled()
        assert cluster.registry.get(ConfigMap, "a", "web").data == {"key": "1"}
        await ended(cluster, "before", "Succeeded")
        await until(lambda: cluster.registry.get(ConfigMap, "a", "web").data == {"key": "2"})

    run(scenario)


def _uid(cluster, name):
    found = {each.metadata.name: each.metadata.uid for each in cluster.registry.list(Pod, "web")}
    return found.get(name, "")


def test_a_hook_that_fails_fails_the_revision_and_what_ran_stays(run):
    async def scenario(cluster):
        await cluster.apply(WEB, settings("a", key="1"))
        await cluster.source("Healthy")
        shown = cluster.feed.show(WEB, hook("before", "pre-apply"), settings("a", key="2"))
        await until(lambda: names(cluster, Pod) == ["before"])
        await ended(cluster, "before", "Failed")
        undone = await cluster.revision(shown.revision, "RolledBack")
        assert "DeadlineExceeded" in undone.status.message
        await cluster.settled()
        assert cluster.registry.get(ConfigMap, "a", "web").data == {"key": "1"}

    run(scenario)
