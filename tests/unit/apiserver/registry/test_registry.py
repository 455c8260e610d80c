"""The registry's own promises, beyond what recorded answers show."""

import asyncio
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from reconciler.apiserver.registry.deletion import DeleteOptions
from reconciler.apiserver.registry.errors import StatusError
from reconciler.apiserver.registry.registry import Registry
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.model.account import ResourceQuota, ResourceQuotaSpec, ResourceQuotaStatus
from reconciler.model.config import ConfigMap
from reconciler.model.gitops import Source
from reconciler.model.meta import ObjectMeta
from reconciler.model.namespace import Namespace
from reconciler.model.pod import Pod
from reconciler.model.replication import ReplicationController
from reconciler.model.retirement import REMOVE_AT
from reconciler.store.memory import MemoryStore
from reconciler.store.sqlite import open_store
from tests.unit.apiserver.registry.refusal import refuses

POD = {"containers": [{"name": "c", "image": "x"}]}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": POD}

# Four namespaces and two PriorityClasses that are there from the start.
FIRST_WRITES = 6


def test_the_first_namespaces_are_there(registry: Registry) -> None:
    names = [item.metadata.name for item in registry.list(Namespace)]
    assert names == ["default", "kube-node-lease", "kube-public", "kube-system"]
    assert registry.get(Namespace, "default").spec.finalizers == ("kubernetes",)


def test_starting_again_writes_nothing(virtual: Any, clock: Any, store: MemoryStore) -> None:
    for _ in range(2):
        virtual.run_until_complete(Registry(store, clock, Ids(Random(1))).start())
        assert store.revision == FIRST_WRITES


@pytest.mark.parametrize(("ready", "taints"), [("True", 0), ("False", 1), ("", 1)])
def test_a_node_that_is_not_ready_is_born_with_the_taint_for_it(
    virtual: Any, registry: Registry, make: Any, ready: str, taints: int
) -> None:
    conditions = [{"type": "Ready", "status": ready}] if ready else []
    node = make("Node", "n", "", status={"conditions": conditions})
    found = virtual.run_until_complete(registry.create(node)).spec.taints
    told = [(taint.key, taint.effect) for taint in found]
    assert told == [("node.kubernetes.io/not-ready", "NoSchedule")] * taints


def test_content_needs_its_namespace(virtual: Any, registry: Registry, make: Any) -> None:
    error = refuses(virtual, registry.create(make("ConfigMap", "c", "nowhere")))
    assert (error.code, error.message) == (404, 'namespaces "nowhere" not found')


def test_an_equal_update_writes_nothing(
    virtual: Any, registry: Registry, store: MemoryStore, make: Any
) -> None:
    created = virtual.run_until_complete(registry.create(make("ConfigMap", "c", data={"a": "1"})))
    before = store.revision
    again = virtual.run_until_complete(registry.update(make("ConfigMap", "c", data={"a": "1"})))
    assert again is created
    assert store.revision == before


def test_a_stale_update_conflicts_and_the_newest_stays(
    virtual: Any, registry: Registry, make: Any
) -> None:
    first = virtual.run_until_complete(registry.create(make("ConfigMap", "c", data={"a": "1"})))
    virtual.run_until_complete(registry.update(first.replace(data={"a": "2"})))
    error = refuses(virtual, registry.update(first.replace(data={"a": "3"})))
    assert error.message == (
        'Operation cannot be fulfilled on configmaps "c": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    assert registry.get(ConfigMap, "c", "default").data == {"a": "2"}


def test_a_status_write_leaves_the_spec_and_a_spec_write_the_status(
    virtual: Any, registry: Registry, make: Any
) -> None:
    rc = make("ReplicationController", "r", spec={"replicas": 1, "template": TEMPLATE})
    made = virtual.run_until_complete(registry.create(rc))
    forged = made.replace(
        spec=made.spec.replace(replicas=9), status=made.status.replace(replicas=1)
    )
    stored = virtual.run_until_complete(registry.update(forged, subresource="status"))
    assert (stored.spec.replicas, stored.status.replicas) == (1, 1)
    assert stored.metadata.generation == 1
    wiped = stored.replace(
        spec=stored.spec.replace(replicas=2), status=stored.status.replace(replicas=0)
    )
    stored = virtual.run_until_complete(registry.update(wiped))
    assert (stored.spec.replicas, stored.status.replicas) == (2, 1)
    assert stored.metadata.generation == 2


def test_our_own_kinds_keep_labels_out_of_status_writes(virtual: Any, registry: Registry) -> None:
    source = Source.model_validate({"metadata": {"name": "main"}, "spec": {"path": "/x"}})
    made = virtual.run_until_complete(registry.create(source))
    changed = made.replace(
        metadata=made.metadata.replace(labels={"x": "y"}),
        status=made.status.replace(phase="Ready"),
    )
    stored = virtual.run_until_complete(registry.update(changed, subresource="status"))
    assert (stored.metadata.labels, stored.status.phase) == ({}, "Ready")
    assert stored.metadata.generation == 1


def test_a_pod_ends_when_its_kubelet_says_so(virtual: Any, registry: Registry, make: Any) -> None:
    virtual.run_until_complete(registry.create(make("Pod", "p", spec=POD)))
    virtual.run_until_complete(registry.bind("p", "default", "n1"))
    marked, gone = virtual.run_until_complete(registry.delete(Pod, "p", "default"))
    assert not gone
    assert marked.metadata.deletion_timestamp == "2026-01-01T00:00:30Z"
    kubelet = DeleteOptions(grace_period_seconds=0)
    _, gone = virtual.run_until_complete(registry.delete(Pod, "p", "default", kubelet))
    assert gone
    assert registry.list(Pod) == []


def test_a_grace_beyond_all_times_is_as_long_as_a_duration(
    virtual: Any, registry: Registry, make: Any
) -> None:
    # 292 years: what Go's time.Duration holds.
    spec = {**POD, "nodeName": "n", "terminationGracePeriodSeconds": (1 << 63) - 1}
    virtual.run_until_complete(registry.create(make("Pod", "p", spec=spec)))
    marked, gone = virtual.run_until_complete(registry.delete(Pod, "p", "default"))
    assert (gone, marked.metadata.deletion_grace_period_seconds) == (False, 9223372036)
    assert marked.metadata.deletion_timestamp == "2318-04-12T23:47:16Z"
    shorter = DeleteOptions(grace_period_seconds=10)
    marked, _ = virtual.run_until_complete(registry.delete(Pod, "p", "default", shorter))
    assert marked.metadata.deletion_timestamp == "2026-01-01T00:00:10Z"


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_terminal_pod_goes_at_once(
    virtual: Any, registry: Registry, make: Any, phase: str
) -> None:
    virtual.run_until_complete(registry.create(make("Pod", "p", spec={**POD, "nodeName": "n"})))
    pod = registry.get(Pod, "p", "default")
    ended = pod.replace(status=pod.status.replace(phase=phase))
    virtual.run_until_complete(registry.update(ended, subresource="status"))
    _, gone = virtual.run_until_complete(registry.delete(Pod, "p", "default"))
    assert gone


def test_another_incarnation_is_not_deleted(virtual: Any, registry: Registry, make: Any) -> None:
    virtual.run_until_complete(registry.create(make("ConfigMap", "c")))
    options = DeleteOptions(uid="another")
    error = refuses(virtual, registry.delete(ConfigMap, "c", "default", options))
    assert error.reason == "Conflict"


def test_a_pod_is_bound_once_and_says_when(virtual: Any, registry: Registry, make: Any) -> None:
    made = virtual.run_until_complete(registry.create(make("Pod", "p", spec=POD)))
    pod = virtual.run_until_complete(registry.bind("p", "default", "n1", uid=made.metadata.uid))
    (condition,) = pod.status.conditions
    assert (pod.spec.node_name, condition.type, condition.status) == ("n1", "PodScheduled", "True")
    error = refuses(virtual, registry.bind("p", "default", "n1", uid="another"))
    assert "Precondition failed" in error.message


def test_nothing_is_made_in_a_namespace_that_goes(
    virtual: Any, registry: Registry, make: Any
) -> None:
    virtual.run_until_complete(registry.create(make("Namespace", "n", "")))
    virtual.run_until_complete(registry.delete(Namespace, "n"))
    assert registry.get(Namespace, "n").status.phase == "Terminating"
    assert refuses(virtual, registry.create(make("ConfigMap", "c", "n"))).code == 403
    emptied = registry.get(Namespace, "n")
    released = emptied.replace(spec=emptied.spec.replace(finalizers=()))
    virtual.run_until_complete(registry.update(released, subresource="finalize"))
    assert refuses(virtual, registry.create(make("ConfigMap", "c", "n"))).code == 404


def test_nothing_new_is_made_in_a_namespace_that_rests(
    virtual: Any, registry: Registry, make: Any
) -> None:
    until = {"annotations": {REMOVE_AT: "2026-01-01T01:00:00Z"}}
    virtual.run_until_complete(registry.create(make("Namespace", "n", "", metadata=until)))
    refused = refuses(virtual, registry.create(make("ConfigMap", "c", "n")))
    assert refused.code == 403
    assert "undelete Namespace/n" in refused.message
    owner = {"apiVersion": "v1", "kind": "ReplicationController", "name": "c", "uid": "u"}
    follows = {"ownerReferences": [{**owner, "controller": True}]}
    virtual.run_until_complete(registry.create(make("Pod", "p", "n", metadata=follows, spec=POD)))
    undeleted = registry.get(Namespace, "n")
    back = undeleted.replace(metadata=undeleted.metadata.replace(annotations={}))
    virtual.run_until_complete(registry.update(back))
    virtual.run_until_complete(registry.create(make("ConfigMap", "c", "n")))


def test_generated_names_do_not_collide(virtual: Any, registry: Registry, make: Any) -> None:
    maker = make("ConfigMap", "", metadata={"generateName": "g-"})
    names = {virtual.run_until_complete(registry.create(maker)).metadata.name for _ in range(200)}
    assert len(names) == 200


def test_a_generated_name_fits_a_label(virtual: Any, registry: Registry, make: Any) -> None:
    maker = make("ConfigMap", "", metadata={"generateName": "g" * 80})
    made = virtual.run_until_complete(registry.create(maker))
    assert len(made.metadata.name) == 63


def test_a_dry_run_reserves_and_writes_nothing(
    virtual: Any, registry: Registry, store: MemoryStore, make: Any
) -> None:
    before = store.revision
    ip = {"clusterIP": "10.96.3.3", "ports": [{"port": 80}]}
    for _ in range(2):
        service = make("Service", "s", spec=ip)
        made = virtual.run_until_complete(registry.create(service, dry_run=True))
        assert made.spec.cluster_ip == "10.96.3.3"
    assert store.revision == before


def test_orphans_by_default_only_where_kubernetes_does(
    virtual: Any, registry: Registry, make: Any
) -> None:
    rc = make("ReplicationController", "r", spec={"template": TEMPLATE})
    virtual.run_until_complete(registry.create(rc))
    obj, gone = virtual.run_until_complete(registry.delete(ReplicationController, "r", "default"))
    assert (obj.metadata.finalizers, gone) == (("orphan",), False)
    background = DeleteOptions(propagation="Background")
    _, gone = virtual.run_until_complete(
        registry.delete(ReplicationController, "r", "default", background)
    )
    assert gone


def test_apply_creates_then_changes_only_what_differs(
    virtual: Any, registry: Registry, store: MemoryStore
) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "metadata": {"name": "r", "namespace": "default"},
        "spec": {"replicas": 2, "template": TEMPLATE},
    }
    made = virtual.run_until_complete(registry.apply(manifest, manager="m", force=True))
    before = store.revision
    again = virtual.run_until_complete(registry.apply(manifest, manager="m", force=True))
    assert again is made
    assert store.revision == before
    scaled = made.replace(spec=made.spec.replace(replicas=7))
    virtual.run_until_complete(registry.update(scaled, manager="kubectl"))
    back = virtual.run_until_complete(registry.apply(manifest, manager="m", force=True))
    assert back.spec.replicas == 2
    assert [entry.manager for entry in back.metadata.managed_fields] == ["m"]


def test_controllers_status_writes_are_not_tracked(virtual: Any, registry: Registry) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "metadata": {"name": "r", "namespace": "default"},
        "spec": {"template": TEMPLATE},
    }
    made = virtual.run_until_complete(registry.apply(manifest, manager="m"))
    status = made.replace(status=made.status.replace(replicas=1))
    stored = virtual.run_until_complete(registry.update(status, subresource="status"))
    assert stored.metadata.managed_fields == made.metadata.managed_fields


def test_apply_of_a_bad_manifest_is_refused_whole(
    virtual: Any, registry: Registry, store: MemoryStore
) -> None:
    before = store.revision
    meta = {"name": "c", "namespace": "default"}
    for manifest, code in (
        ({"apiVersion": "v1", "kind": "Nothing", "metadata": meta}, 400),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}, 400),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "dta": {}}, 400),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"/": "x"}}, 422),
    ):
        assert refuses(virtual, registry.apply(manifest, manager="m")).code == code
    assert store.revision == before


def test_times_are_those_of_the_clock(
    virtual: Any, clock: Any, registry: Registry, make: Any
) -> None:
    clock.jump = timedelta(hours=1, microseconds=5)
    made = virtual.run_until_complete(registry.create(make("ConfigMap", "c")))
    assert made.metadata.creation_timestamp == "2026-01-01T01:00:00Z"


def test_readers_of_one_record_share_one_object(
    virtual: Any, registry: Registry, make: Any
) -> None:
    made = virtual.run_until_complete(registry.create(make("ConfigMap", "c")))
    assert registry.get(ConfigMap, "c", "default") is made
    assert registry.list(ConfigMap)[0] is made


async def test_unconditional_writers_all_win_in_some_order(tmp_path: Path, make: Any) -> None:
    store = await open_store(tmp_path / "state.db")
    registry = Registry(store, SystemClock(), Ids())
    await registry.start()
    await registry.create(make("ConfigMap", "c", data={"a": "0"}))
    await asyncio.gather(
        *(registry.update(make("ConfigMap", "c", data={"a": str(n)})) for n in range(1, 30))
    )
    assert registry.get(ConfigMap, "c", "default").data != {"a": "0"}
    assert registry.revision == FIRST_WRITES + 1 + 29
    await store.close()


async def test_many_appliers_of_other_fields_lose_nothing(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "state.db")
    registry = Registry(store, SystemClock(), Ids())
    await registry.start()
    base = {"apiVersion": "v1", "kind": "ConfigMap"}
    meta = {"name": "c", "namespace": "default"}
    await asyncio.gather(
        *(
            registry.apply({**base, "metadata": meta, "data": {f"k{n}": "v"}}, manager=f"m{n}")
            for n in range(12)
        )
    )
    assert len(registry.get(ConfigMap, "c", "default").data) == 12
    await store.close()


async def test_many_creates_under_one_quota_are_counted_one_by_one(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "state.db")
    registry = Registry(store, SystemClock(), Ids())
    await registry.start()
    hard = {"count/configmaps": "40"}
    meta = ObjectMeta(name="q", namespace="default")
    quota = ResourceQuota(metadata=meta, spec=ResourceQuotaSpec(hard=hard))
    made = await registry.create(quota)
    told = ResourceQuotaStatus(hard=hard, used={"count/configmaps": "0"})
    await registry.update(made.replace(status=told), subresource="status")
    maps = [ConfigMap(metadata=ObjectMeta(name=f"m{n}", namespace="default")) for n in range(50)]
    results = await asyncio.gather(*map(registry.create, maps), return_exceptions=True)
    refused = [each for each in results if isinstance(each, StatusError)]
    assert {error.code for error in refused} == {403}
    assert len(refused) == 10
    assert registry.get(ResourceQuota, "q", "default").status.used == {"count/configmaps": "40"}
    await store.close()
