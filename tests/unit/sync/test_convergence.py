"""Live objects become what Git declares: put back, pruned, made anew, also after a restart."""

from __future__ import annotations

import asyncio
import re

import pytest

from reconciler.core.kept import KeptFile
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.gitops import Revision, Source
from reconciler.model.meta import ObjectKey
from reconciler.model.namespace import Namespace
from reconciler.model.pod import Pod
from reconciler.model.replication import ReplicationController
from reconciler.model.service import Service
from reconciler.sync.steering import Care
from tests.unit.sync.cluster import Cluster, runner, until
from tests.unit.sync.deeds import names, ready
from tests.unit.sync.world import UNKNOWN_FIELD, WEB, controller, manifest, pod, service, settings


@pytest.fixture
def run(virtual, clock):
    return runner(virtual, clock)


def test_drift_is_put_back_while_the_newest_revision_is_rejected(run):
    async def scenario(cluster):
        await cluster.apply(WEB, settings("a", key="1"))
        await cluster.apply(UNKNOWN_FIELD)
        live = cluster.registry.get(ConfigMap, "a", "web")
        await cluster.client.update(live.replace(data={"key": "by hand"}), manager="vi")
        await until(lambda: cluster.registry.get(ConfigMap, "a", "web").data == {"key": "1"})
        await cluster.settled()
        assert (await cluster.source("Rejected")).status.phase == "Rejected"

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
            await cluster.apply(WEB, UNKNOWN_FIELD)
            await cluster.settled()
        for bad in ((WEB, UNKNOWN_FIELD), ()):
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
