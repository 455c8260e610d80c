"""Claims and volumes: who gets which, and what becomes of both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.client.protocol import ApiError
from reconciler.controllers.volumes.binder import Informers, VolumeBinder
from reconciler.controllers.volumes.claimplan import Lose, View, Wait, plan_claim
from reconciler.controllers.volumes.ephemeral import EphemeralVolumes
from reconciler.controllers.volumes.protection import VolumeProtection
from reconciler.core.clock import Clock
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.event import Event
from reconciler.model.meta import ObjectMeta
from reconciler.model.node import Node
from reconciler.model.pod import Pod
from reconciler.model.storage import PersistentVolume
from reconciler.model.storageclass import (
    StorageClass,
    TopologySelectorLabelRequirement,
    TopologySelectorTerm,
    allows,
)
from reconciler.model.volumebinding import (
    BIND_COMPLETED,
    DRIVER,
    ENGINE_FINALIZER,
    SELECTED_NODE,
    best_match,
    mismatch,
)
from tests.unit.controllers.world import World

RWO = ("ReadWriteOnce",)


def claim(name: str = "data", size: str = "1Gi", cls: str | None = "", **spec: Any) -> Any:
    body = {"accessModes": list(RWO), "resources": {"requests": {"storage": size}}, **spec}
    if cls is not None:
        body["storageClassName"] = cls
    meta = {"name": name, "namespace": "default", "uid": f"uid-{name}"}
    return PersistentVolumeClaim.model_validate({"metadata": meta, "spec": _frozen(body)})


def volume(name: str = "pv", size: str = "1Gi", phase: str = "Available", **spec: Any) -> Any:
    body = {
        "accessModes": list(RWO),
        "capacity": {"storage": size},
        "hostPath": {"path": "/data"},
        **spec,
    }
    labels = {"name": name}
    return PersistentVolume.model_validate(
        {"metadata": {"name": name, "labels": labels}, "spec": _frozen(body),
         "status": {"phase": phase}}
    )  # fmt: skip


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(each) for each in value)
    return {k: _frozen(v) for k, v in value.items()} if isinstance(value, dict) else value


def chosen(wish: PersistentVolumeClaim, *volumes: PersistentVolume, prebound: bool = False) -> str:
    found = best_match(wish, volumes, prebound_only=prebound)
    return found.metadata.name if found is not None else ""


def test_the_smallest_volume_that_fits_is_chosen() -> None:
    volumes = [volume("big", "5Gi"), volume("small", "1Gi"), volume("middle", "2Gi")]
    assert chosen(claim(size="2Gi"), *volumes) == "middle"
    assert chosen(claim(size="6Gi"), *volumes) == ""


def test_fewer_access_modes_come_before_a_smaller_size() -> None:
    many = volume("many", "1Gi", accessModes=["ReadWriteOnce", "ReadWriteMany"])
    assert chosen(claim(), many, volume("one", "9Gi")) == "one"
    shared = claim(accessModes=["ReadWriteMany"])
    assert chosen(shared, many, volume("one")) == "many"
    assert chosen(claim(accessModes=["ReadWriteOncePod"]), many) == ""


def test_a_volume_bound_beforehand_wins_and_is_nobody_elses() -> None:
    mine = volume("mine", "9Gi", claimRef={"namespace": "default", "name": "data"})
    assert chosen(claim(), volume("small"), mine) == "mine"
    assert chosen(claim(), volume("small"), mine, prebound=True) == "mine"
    assert chosen(claim("other"), mine) == ""
    stale = {"namespace": "default", "name": "data", "uid": "of-before"}
    assert chosen(claim(), volume("old", claimRef=stale)) == ""


@pytest.mark.parametrize(
    ("wish", "serves"),
    [
        ({"cls": "fast"}, True),
        ({"selector": {"matchLabels": {"name": "other"}}}, True),
        ({"size": "2Gi"}, False),
        ({"volumeMode": "Block"}, False),
        ({"accessModes": ["ReadWriteMany"]}, False),
    ],
)
def test_a_volume_bound_beforehand_has_to_do(wish: dict[str, Any], serves: bool) -> None:
    mine = volume("mine", claimRef={"namespace": "default", "name": "data"})
    assert chosen(claim(**wish), mine) == ("mine" if serves else "")
    meta = mine.metadata.replace(deletion_timestamp="2026-01-01T00:00:00Z")
    assert chosen(claim(**wish), mine.replace(metadata=meta)) == ""


@pytest.mark.parametrize(
    ("wish", "offer", "reason"),
    [
        ({"cls": "fast"}, {}, "storageClassName does not match"),
        ({}, {"storageClassName": "fast"}, "storageClassName does not match"),
        ({"volumeMode": "Block"}, {}, "incompatible volumeMode"),
        ({"size": "2Gi"}, {}, "requested PV is too small"),
        ({"accessModes": ["ReadWriteMany"]}, {}, "incompatible accessMode"),
    ],
)
def test_what_does_not_fit_is_named(
    wish: dict[str, Any], offer: dict[str, Any], reason: str
) -> None:
    assert mismatch(volume(**offer), claim(**wish)) == reason
    assert chosen(claim(**wish), volume(**offer)) == ""


def test_the_selector_and_the_phase_count() -> None:
    wish = claim(selector={"matchLabels": {"name": "b"}})
    assert chosen(wish, volume("a"), volume("b", "7Gi")) == "b"
    assert chosen(claim(), volume("a", phase="Released"), volume("c", phase="Pending")) == ""


SIZES = st.sampled_from(["1Gi", "2Gi", "3Gi"])
MODES = st.sampled_from([["ReadWriteOnce"], ["ReadWriteOnce", "ReadOnlyMany"], ["ReadOnlyMany"]])
VOLUMES = st.lists(
    st.builds(
        lambda name, size, modes: volume(name, size, accessModes=modes),
        st.sampled_from("abcdef"), SIZES, MODES,
    ),
    unique_by=lambda each: each.metadata.name,
)  # fmt: skip


@given(VOLUMES, SIZES, MODES)
def test_the_choice_fits_and_ignores_the_order(
    volumes: list[PersistentVolume], size: str, modes: list[str]
) -> None:
    wish = claim(size=size, accessModes=modes)
    found = best_match(wish, volumes, prebound_only=False)
    assert found == best_match(wish, reversed(volumes), prebound_only=False)
    assert (found is None) == all(mismatch(each, wish) for each in volumes)
    assert found is None or not mismatch(found, wish)


def test_a_bound_claim_without_its_volume_is_lost() -> None:
    wish = claim(volumeName="pv")
    marked = wish.replace(metadata=wish.metadata.replace(annotations={BIND_COMPLETED: "yes"}))
    alone = View((), None, None, "", ())
    assert isinstance(plan_claim(marked, alone), Lose)
    assert plan_claim(wish, alone) == Wait("Warning", "FailedBinding", 'volume "pv" not found')
    other = volume(claimRef={"namespace": "default", "name": "x", "uid": "u"})
    misbound = plan_claim(marked, View((), other, None, "", ()))
    assert isinstance(misbound, Lose)
    assert misbound.reason == "ClaimMisbound"


class Cluster(World):
    async def __aenter__(self) -> Self:
        await super().__aenter__()
        claims, volumes = self.informer(PersistentVolumeClaim), self.informer(PersistentVolume)
        classes, nodes, pods = (self.informer(k) for k in (StorageClass, Node, Pod))
        on = Informers(claims, volumes, classes, nodes)
        self.start(VolumeBinder(self.client, on, self.events).run)
        self.start(VolumeProtection(self.client, claims, volumes, pods).run)
        self.start(EphemeralVolumes(self.client, pods, claims, self.events).run)
        await self.add_node()
        await self.until(lambda: bool(self.registry.list(StorageClass)))
        return self

    def claim(self, name: str = "data") -> PersistentVolumeClaim:
        return self.registry.get(PersistentVolumeClaim, name, "default")

    def phases(self) -> dict[str, str]:
        return {v.metadata.name: v.status.phase for v in self.registry.list(PersistentVolume)}

    def told(self, reason: str) -> list[str]:
        return [e.message for e in self.registry.list(Event) if e.reason == reason]

    async def pod(self, name: str, volumes: list[dict[str, Any]], node: str = "n1") -> Pod:
        made = Pod.model_validate(
            {"metadata": {"name": name, "namespace": "default"},
             "spec": _frozen({"containers": [{"name": "c", "image": "i"}], "volumes": volumes})}
        )  # fmt: skip
        stored = await self.client.create(made)
        if node:
            await self.client.bind(name, "default", node, uid=stored.metadata.uid)
        return stored

    async def select(self, name: str, node: str) -> None:
        live = self.claim(name)
        notes = {**live.metadata.annotations, SELECTED_NODE: node}
        await self.client.update(live.replace(metadata=live.metadata.replace(annotations=notes)))


@pytest.fixture
async def cluster(virtual: None, clock: Clock) -> AsyncIterator[Cluster]:
    async with Cluster(clock) as world:
        yield world


async def test_a_claim_and_a_volume_find_each_other(cluster: Cluster) -> None:
    await cluster.client.create(claim())
    await cluster.until(lambda: cluster.told("FailedBinding") != [])
    assert cluster.claim().status.phase == "Pending"
    await cluster.client.create(volume(size="3Gi"))
    await cluster.until(lambda: cluster.claim().status.phase == "Bound")
    bound = cluster.claim()
    assert (bound.spec.volume_name, bound.status.capacity) == ("pv", {"storage": "3Gi"})
    await cluster.until(lambda: cluster.phases() == {"pv": "Bound"})
    versions = [
        o.metadata.resource_version for o in (bound, cluster.registry.get(PersistentVolume, "pv"))
    ]
    await cluster.settle()
    again = (cluster.claim(), cluster.registry.get(PersistentVolume, "pv"))
    assert [o.metadata.resource_version for o in again] == versions


async def test_a_retained_volume_is_released_and_not_given_again(cluster: Cluster) -> None:
    await cluster.client.create(volume())
    await cluster.client.create(claim())
    await cluster.until(lambda: cluster.phases() == {"pv": "Bound"})
    await cluster.client.delete(PersistentVolumeClaim, "data", "default")
    await cluster.until(lambda: cluster.phases() == {"pv": "Released"})
    await cluster.client.create(claim())
    await cluster.settle()
    assert cluster.claim().status.phase == "Pending"


@pytest.mark.parametrize(
    ("policy", "event"), [("Recycle", "VolumeFailedRecycle"), ("Delete", "VolumeFailedDelete")]
)
async def test_what_cannot_be_reclaimed_fails_and_stays(
    cluster: Cluster, policy: str, event: str
) -> None:
    await cluster.client.create(volume(persistentVolumeReclaimPolicy=policy))
    await cluster.client.create(claim())
    await cluster.until(lambda: cluster.phases() == {"pv": "Bound"})
    await cluster.client.delete(PersistentVolumeClaim, "data", "default")
    await cluster.until(lambda: cluster.phases() == {"pv": "Failed"})
    await cluster.until(lambda: cluster.told(event) != [])


async def test_a_claim_without_a_class_gets_the_default_and_waits_for_its_pod(
    cluster: Cluster,
) -> None:
    await cluster.client.create(claim(cls=None))
    await cluster.until(lambda: cluster.told("WaitForFirstConsumer") != [])
    assert cluster.claim().spec.storage_class_name == "docker"
    assert cluster.phases() == {}
    await cluster.select("data", "n1")
    await cluster.until(lambda: cluster.claim().status.phase == "Bound")
    (made,) = cluster.registry.list(PersistentVolume)
    assert made.spec.csi
    assert made.spec.csi.volume_attributes["node"] == "n1"
    assert made.spec.persistent_volume_reclaim_policy == "Delete"
    await cluster.client.delete(PersistentVolumeClaim, "data", "default")

    def left() -> PersistentVolume:
        return cluster.registry.get(PersistentVolume, made.metadata.name)

    await cluster.until(lambda: left().metadata.finalizers == (ENGINE_FINALIZER,))
    assert left().metadata.deletion_timestamp


async def test_an_immediate_class_needs_no_pod_and_a_lost_node_is_chosen_anew(
    cluster: Cluster,
) -> None:
    immediate = {"metadata": {"name": "now"}, "provisioner": "docker.reconciler.dev",
                 "reclaimPolicy": "Retain"}  # fmt: skip
    await cluster.client.create(StorageClass.model_validate(immediate))
    await cluster.client.create(claim(cls="now"))
    await cluster.until(lambda: cluster.claim().status.phase == "Bound")
    await cluster.client.create(claim("late", cls="docker"))
    await cluster.select("late", "gone")
    await cluster.until(lambda: SELECTED_NODE not in cluster.claim("late").metadata.annotations)
    assert cluster.told("ProvisioningFailed") == ['node "gone" not found']


async def test_a_claim_in_use_stays_until_its_last_pod_is_gone(cluster: Cluster) -> None:
    await cluster.client.create(volume())
    await cluster.client.create(claim())
    uses = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
    await cluster.pod("user", uses)
    await cluster.pod("waiting", uses, node="")
    await cluster.until(lambda: cluster.phases() == {"pv": "Bound"})
    await cluster.client.delete(PersistentVolumeClaim, "data", "default")
    await cluster.client.delete(PersistentVolume, "pv")
    await cluster.settle()
    assert cluster.claim().metadata.deletion_timestamp
    assert cluster.phases() == {"pv": "Bound"}
    await cluster.client.delete(Pod, "user", "default", grace_period_seconds=0)
    await cluster.until(lambda: not cluster.registry.list(PersistentVolumeClaim))
    await cluster.until(lambda: not cluster.registry.list(PersistentVolume))


async def test_an_ephemeral_volume_gets_a_claim_that_its_pod_owns(cluster: Cluster) -> None:
    spec = {"accessModes": list(RWO), "resources": {"requests": {"storage": "1Gi"}}}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": spec}
    volumes = [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}]
    pod = await cluster.pod("job", volumes, node="")
    await cluster.until(lambda: bool(cluster.registry.list(PersistentVolumeClaim)))
    made = cluster.claim("job-scratch")
    assert made.metadata.labels == {"a": "b"}
    assert [owner.uid for owner in made.metadata.owner_references] == [pod.metadata.uid]
    await cluster.client.create(claim("other-scratch"))
    await cluster.pod("other", volumes, node="")
    await cluster.until(lambda: any("not the owner" in t for t in cluster.told("FailedBinding")))


async def test_a_claim_grows_only_where_its_class_lets_it(cluster: Cluster) -> None:
    await cluster.client.create(volume())
    await cluster.client.create(claim())
    await cluster.until(lambda: cluster.claim().status.phase == "Bound")
    live = cluster.claim()
    more = live.spec.resources.replace(requests={"storage": "2Gi"})
    with pytest.raises(ApiError, match="only dynamically provisioned pvc can be resized"):
        await cluster.client.update(live.replace(spec=live.spec.replace(resources=more)))


async def test_the_class_docker_is_the_default_only_where_no_other_is(
    virtual: None, clock: Clock
) -> None:
    async with World(clock) as world:
        meta = ObjectMeta(
            name="mine", annotations={"storageclass.kubernetes.io/is-default-class": "true"}
        )
        await world.client.create(StorageClass(metadata=meta, provisioner="example.com/x"))
        on = Informers(
            world.informer(PersistentVolumeClaim), world.informer(PersistentVolume),
            world.informer(StorageClass), world.informer(Node),
        )  # fmt: skip
        world.start(VolumeBinder(world.client, on, world.events).run)
        await world.until(lambda: len(world.registry.list(StorageClass)) == 2)
        await world.client.create(claim(cls=None))
        made = world.registry.get(PersistentVolumeClaim, "data", "default")
        assert made.spec.storage_class_name == "mine"


async def test_an_immediate_class_makes_volumes_in_its_topologies_alone(cluster: Cluster) -> None:
    zone = TopologySelectorLabelRequirement(key="kubernetes.io/hostname", values=("n2",))
    term = TopologySelectorTerm(match_label_expressions=(zone,))
    await cluster.client.create(
        StorageClass(
            metadata=ObjectMeta(name="there"),
            provisioner=DRIVER,
            volume_binding_mode="Immediate",
            allowed_topologies=(term,),
        )
    )
    await cluster.client.create(claim(cls="there"))
    words = "there is no ready node in the class's allowedTopologies to make the volume on"
    await cluster.until(lambda: words in cluster.told("ProvisioningFailed"))
    node = await cluster.add_node("n2")
    labels = {"kubernetes.io/hostname": "n2"}
    await cluster.client.update(node.replace(metadata=node.metadata.replace(labels=labels)))
    await cluster.until(lambda: cluster.claim().status.phase == "Bound")
    (made,) = cluster.registry.list(PersistentVolume)
    assert made.spec.csi is not None
    assert made.spec.csi.volume_attributes["node"] == "n2"


@pytest.mark.parametrize(
    ("terms", "labels", "expected"),
    [
        ((), {}, True),
        ((TopologySelectorTerm(),), {"zone": "a"}, False),
        ((("zone", ("a", "b")),), {"zone": "b"}, True),
        ((("zone", ("a",)),), {"zone": "b"}, False),
        ((("zone", ("a",)),), {}, False),
        ((("zone", ("a",)), ("zone", ("b",))), {"zone": "b"}, True),
    ],
)
def test_topologies_of_a_class(terms: Any, labels: dict[str, str], expected: bool) -> None:
    def term(held: Any) -> TopologySelectorTerm:
        if isinstance(held, TopologySelectorTerm):
            return held
        need = TopologySelectorLabelRequirement(key=held[0], values=held[1])
        return TopologySelectorTerm(match_label_expressions=(need,))

    found = StorageClass(allowed_topologies=tuple(map(term, terms)))
    assert allows(found, labels) == expected
