"""Each law of the simulation, given the effects that break it, says so; and is silent before."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from reconciler.core.clock import SystemClock
from reconciler.kubelet import labels
from reconciler.kubelet.podnetwork import link_name
from reconciler.kubelet.roster import spec_hash
from reconciler.kubelet.runtime import ContainerSpec
from reconciler.model.config import ConfigMap
from reconciler.model.meta import ObjectKey
from reconciler.model.pod import Container, Pod
from reconciler.model.replication import ReplicationController
from reconciler.store.protocol import Change, Event, Record
from tests.sim.engine import Host
from tests.sim.laws import Laws
from tests.sim.manifests import SECRET

READY = {"conditions": [{"type": "Ready", "status": "True"}]}
SOURCE = "Source.gitops.reconciler.dev"


class Witness:
    """The laws, a host, and effects in short words; `told` are the laws that were broken."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.told: list[str] = []
        self.laws = Laws(lambda: self.time, lambda what: self.told.append(what.partition(":")[0]))
        self.host = Host(0, SystemClock(), ("app:1",), self._happened, self._attached)
        self.host.engine.deliver = lambda _queue, _event: None
        self.laws.hosts = [self.host]
        self._revision = 0
        self._live: dict[ObjectKey, Record] = {}

    def _happened(self, what: str, state: Any) -> None:
        self.laws.happened(self.host, what, state)

    def _attached(self, address: str, link: str) -> None:
        self.laws.attached(self.host, address, link)

    def write(self, kind: str, name: str, namespace: str = "default", **body: Any) -> None:
        """Store an object, with its metadata given as `meta`."""
        meta = {"name": name, "namespace": namespace, "uid": f"uid-{name}", **body.pop("meta", {})}
        value = orjson.dumps({"kind": kind, "metadata": meta, **body})
        key = ObjectKey(kind, namespace, name)
        self._revision += 1
        before = self._live.get(key)
        self._live[key] = Record(key, self._revision, value)
        change = Change.MODIFIED if before else Change.ADDED
        event = Event(change, self._live[key], before)
        self.laws.written(event, before.revision if before else 0)

    def remove(self, kind: str, name: str, namespace: str = "default") -> None:
        before = self._live.pop(ObjectKey(kind, namespace, name))
        self._revision += 1
        gone = Record(before.key, self._revision, before.value)
        self.laws.written(Event(Change.DELETED, gone, before), before.revision)

    def controller(self, name: str, replicas: int) -> None:
        self.write("ReplicationController", name, spec={"replicas": replicas})

    def pod(
        self, name: str, owner: str = "", *, ready: bool = True, image: str = "app:1", **meta: Any
    ) -> None:
        owners = [{"uid": f"uid-{owner}", "controller": True}] if owner else []
        spec = {
            "nodeName": "node0",
            "terminationGracePeriodSeconds": 2,
            "containers": [{"name": "main", "image": image}],
        }
        status = {"phase": "Running", **(READY if ready else {}), "containerStatuses": []}
        self.write("Pod", name, meta={"ownerReferences": owners, **meta}, spec=spec, status=status)

    def service(self, name: str, address: str, port: int) -> None:
        self.write("Service", name, spec={"clusterIP": address, "ports": [{"nodePort": port}]})

    async def run(
        self, pod: str, container: str = "main", *, attempt: int = 0, env: str = "", box: str = ""
    ) -> str:
        """Start a container of a pod, or "POD", its sandbox, on the engine; return its name."""
        sandbox = container == labels.SANDBOX
        marks = {
            labels.MANAGED: "yes",
            labels.POD_NAME: pod,
            labels.POD_NAMESPACE: "default",
            labels.POD_UID: f"uid-{pod}",
            labels.CONTAINER_NAME: container,
            labels.SANDBOX_ID: box,
            labels.TYPE: "podsandbox" if sandbox else "container",
            labels.SPEC_HASH: spec_hash(Container(name=container, image="app:1")),
        }
        name = f"k8s_{container}_{pod}_{attempt}"
        spec = ContainerSpec(name, "app:1", marks, environment=(("WORD", env),))
        made = await self.host.engine.create(spec)
        await self.host.engine.start(made)
        return name


@pytest.fixture
def seen() -> Witness:
    return Witness()


def record(revision: int, name: str = "a") -> Record:
    return Record(ObjectKey("ConfigMap", "default", name), revision, b'{"metadata":{}}')


def test_revisions_grow(seen: Witness) -> None:
    seen.laws.written(Event(Change.ADDED, record(5), None), 0)
    assert seen.told == []
    seen.laws.written(Event(Change.ADDED, record(5, "b"), None), 0)
    assert seen.told == ["revisions grow"]


def test_the_history_is_whole(seen: Witness) -> None:
    seen.laws.written(Event(Change.MODIFIED, record(5), record(4)), 0)
    assert seen.told == ["the history is whole"]


def test_a_stale_write_is_refused(seen: Witness) -> None:
    seen.laws.written(Event(Change.ADDED, record(1), None), 0)
    seen.laws.written(Event(Change.MODIFIED, record(2), record(1)), 1)
    assert seen.told == []
    seen.laws.written(Event(Change.MODIFIED, record(3), record(2)), 1)
    assert seen.told == ["a stale write is refused"]


@pytest.mark.parametrize("got", [(1, 3), (1, 1), (2, 1)], ids=["left out", "twice", "disordered"])
def test_each_change_once_and_in_order(seen: Witness, got: tuple[int, int]) -> None:
    watcher = object()
    seen.laws.watched(watcher, ConfigMap, 0)
    for revision in (1, 2, 3):
        seen.laws.written(Event(Change.ADDED, record(revision, f"a{revision}"), None), 0)
    for revision in got:
        seen.laws.watched(watcher, ConfigMap, revision)
    assert set(seen.told) == {"each change once and in order"}


def test_finalizers_hold_an_object(seen: Witness) -> None:
    seen.write("ConfigMap", "held", meta={"finalizers": ["example.com/hold"]})
    seen.remove("ConfigMap", "held")
    assert seen.told == ["finalizers hold an object"]


async def test_secrets_stay_secret_in_objects_logs_engine_and_on_the_disk(seen: Witness) -> None:
    seen.write("Secret", "key", data={"word": SECRET})
    assert seen.told == []
    seen.write("ConfigMap", "copy", data={"word": SECRET})
    seen.laws.told(f"info sync it.failed {SECRET}")
    seen.laws.sealed(ObjectKey("Secret", "default", "key"), SECRET.encode())
    await seen.run("web", env=SECRET)
    assert seen.told == ["secrets stay secret"] * 4


def test_never_more_pods_than_surge_allows(seen: Witness) -> None:
    seen.controller("web", 1)
    seen.pod("one", "web")
    seen.pod("two", "web")
    assert seen.told == []
    seen.pod("three", "web")
    assert seen.told == ["never more pods than surge allows"]


def test_never_fewer_ready_than_unavailable_allows(seen: Witness) -> None:
    seen.controller("web", 1)
    seen.pod("one", "web")
    seen.pod("new", "web", ready=False)
    seen.time += 100
    seen.laws.deleting("replication", Pod, "new", "default", None)
    assert seen.told == []
    seen.laws.deleting("replication", Pod, "one", "default", None)
    assert seen.told == ["never fewer ready than unavailable allows"]


def test_no_address_used_twice(seen: Witness) -> None:
    seen.service("a", "10.96.0.5", 30001)
    seen.service("b", "10.96.0.6", 30002)
    assert seen.told == []
    seen.service("c", "10.96.0.5", 30003)
    seen.service("d", "10.96.0.7", 30001)
    seen.host.network.attached["rec1"] = (1, "10.244.0.3")
    seen.laws.attached(seen.host, "10.244.0.3", "rec1")
    assert seen.told == ["no address used twice"] * 2
    seen.laws.attached(seen.host, "10.244.0.3", "rec2")
    assert seen.told == ["no address used twice"] * 3


def test_services_have_addresses_of_their_range(seen: Witness) -> None:
    seen.service("first", "10.96.0.1", 30001)
    seen.service("last", "10.96.0.14", 30002)
    assert seen.told == []
    seen.service("broadcast", "10.96.0.15", 30003)
    assert seen.told == ["services have addresses of their range"]


def test_nothing_deleted_that_no_rule_deletes(seen: Witness) -> None:
    seen.laws.always_declared = {("ConfigMap", "default", "settings")}
    seen.write("Namespace", "shop", "")
    seen.pod("one")
    seen.time += 100
    seen.laws.deleting("sync", ConfigMap, "other", "default", None)
    assert seen.told == []
    seen.laws.deleting("sync", ConfigMap, "settings", "default", None)
    seen.laws.deleting("namespace", ConfigMap, "a", "shop", None)
    seen.laws.deleting("nodelifecycle", Pod, "one", "default", None)
    assert seen.told == ["nothing deleted that no rule deletes"] * 3


def test_what_is_pruned_rests_first(seen: Witness) -> None:
    seen.laws.keep = 15.0
    seen.controller("web", 1)
    seen.laws.deleting("sync", ReplicationController, "web", "default", None)
    assert seen.told == ["what is pruned rests first"]


async def test_a_pods_object_outlives_its_containers(seen: Witness) -> None:
    seen.pod("web")
    await seen.run("web")
    seen.remove("Pod", "web")
    assert seen.told == ["a pod's object outlives its containers"]


def test_a_pod_ends_within_its_grace(seen: Witness) -> None:
    seen.pod("web", deletionTimestamp="2026-01-01T00:00:00Z")
    seen.time += 100
    seen.remove("Pod", "web")
    assert seen.told == ["a pod ends within its grace"]


async def test_no_needless_restart(seen: Witness) -> None:
    seen.pod("web")
    box = await seen.run("web", labels.SANDBOX)
    (state,) = seen.host.engine.containers()
    name = await seen.run("web", box=state.id)
    seen.laws.ending(seen.host, name, "signal")
    assert seen.told == [], "its sandbox has no link"
    await seen.host.network.attach(state.state.pid, "10.244.0.3", link_name(box))
    other = await seen.run("web", "side", box=state.id)
    seen.laws.ending(seen.host, other, "signal")
    assert seen.told == [], "the pod has no such container"
    seen.laws.ending(seen.host, await seen.run("web", attempt=1, box=state.id), "signal")
    assert seen.told[-1:] == ["no needless restart"]


@pytest.mark.parametrize(("since", "law"), [(1, []), (6, ["no needless restart"])])
async def test_an_image_that_is_taken_back_reaches_the_kubelet_late(
    seen: Witness, since: float, law: list[str]
) -> None:
    box = await seen.run("web", labels.SANDBOX)
    (state,) = seen.host.engine.containers()
    await seen.host.network.attach(state.state.pid, "10.244.0.3", link_name(box))
    name = await seen.run("web", box=state.id)
    for image in ("app:1", "app:2", "app:1"):
        seen.pod("web", image=image)
    seen.time += since
    seen.laws.ending(seen.host, name, "signal")
    assert seen.told == law


async def test_no_two_containers_for_one_pods_container(seen: Witness) -> None:
    await seen.run("web")
    await seen.run("web", labels.SANDBOX)
    assert seen.told == []
    await seen.run("web", attempt=1)
    assert seen.told == ["no two containers for one pod's container"]


async def test_nothing_of_others_is_touched(seen: Witness) -> None:
    await seen.host.engine.remove(await seen.host.engine.create(ContainerSpec("theirs", "app:1")))
    assert seen.told == ["nothing of others is touched"]


def test_a_source_that_cannot_be_read_says_so(seen: Witness) -> None:
    blind = [{"type": "Fetched", "status": "False"}]
    seen.write(SOURCE, "main", status={"phase": "Degraded", "conditions": blind})
    assert seen.told == []
    seen.write(SOURCE, "main", status={"phase": "Healthy", "conditions": blind})
    assert seen.told == ["a source that cannot be read says so"]


def test_a_bad_or_rewritten_revision_is_not_applied(seen: Witness) -> None:
    seen.laws.sound = lambda revision: revision != "bad"
    seen.laws.related = lambda _one, other: other != "elsewhere"
    for revision in ("one", "two"):
        seen.write(SOURCE, "main", status={"appliedRevision": revision})
    assert seen.told == []
    seen.write(SOURCE, "main", status={"appliedRevision": "bad"})
    seen.write(SOURCE, "main", status={"appliedRevision": "elsewhere"})
    assert seen.told == [
        "a bad file rejects its revision whole",
        "a rewritten history waits for a person",
    ]


async def test_what_serves_is_not_cut_off(seen: Witness) -> None:
    seen.pod("web")
    await seen.run("web", labels.SANDBOX)
    await seen.run("web")
    seen.pod("web", ready=False)
    assert seen.told == ["what serves is not cut off"]
