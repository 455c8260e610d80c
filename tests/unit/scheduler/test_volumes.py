"""Where a pod's claims let it go, in kube-scheduler's words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from reconciler.controllers.volumes.binder import Informers, VolumeBinder
from reconciler.core.clock import Clock
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.meta import ObjectMeta
from reconciler.model.node import Node
from reconciler.model.pod import Pod
from reconciler.model.storage import PersistentVolume
from reconciler.model.storageclass import (
    StorageClass,
    TopologySelectorLabelRequirement,
    TopologySelectorTerm,
)
from reconciler.model.volumebinding import DRIVER
from reconciler.scheduler.loop import Scheduler
from reconciler.scheduler.storage import Storage
from tests.unit.controllers.test_volumes import _frozen, claim, volume
from tests.unit.controllers.world import World


def local(name: str, node: str, **spec: Any) -> PersistentVolume:
    need = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [need]}]}}
    made = volume(name, local={"path": "/data"}, nodeAffinity=affinity, **spec)
    return made.replace(spec=made.spec.replace(host_path=None))


class Cluster(World):
    async def begin(self, *nodes: str) -> None:
        claims, volumes = self.informer(PersistentVolumeClaim), self.informer(PersistentVolume)
        classes, known, pods = (self.informer(k) for k in (StorageClass, Node, Pod))
        self.start(
            VolumeBinder(self.client, Informers(claims, volumes, classes, known), self.events).run
        )
        storage = Storage(claims, volumes, classes)
        self.start(
            Scheduler(self.client, pods, known, self.events, self.clock, storage=storage).run
        )
        for name in nodes:
            node = await self.add_node(name)
            labels = {"kubernetes.io/hostname": name}
            await self.client.update(node.replace(metadata=node.metadata.replace(labels=labels)))
        await self.until(lambda: bool(self.registry.list(StorageClass)))

    async def pod(self, name: str = "web", **source: Any) -> None:
        source = source or {"persistentVolumeClaim": {"claimName": "data"}}
        spec = {
            "containers": [{"name": "c", "image": "i"}],
            "volumes": [{"name": "v", **source}],
        }
        meta = {"name": name, "namespace": "default"}
        await self.client.create(Pod.model_validate({"metadata": meta, "spec": _frozen(spec)}))

    def node_of(self, name: str = "web") -> str:
        return self.registry.get(Pod, name, "default").spec.node_name

    def why(self, name: str = "web") -> str:
        conditions = self.registry.get(Pod, name, "default").status.conditions
        return next((c.message for c in conditions if c.type == "PodScheduled"), "")

    async def refused(self, reason: str, name: str = "web") -> None:
        await self.until(lambda: reason in self.why(name))
        told = self.why(name).partition(" preemption: ")[0]
        assert told == f"0/{len(self.registry.list(Node))} nodes are available: {reason}."


@pytest.fixture
async def cluster(virtual: None, clock: Clock) -> AsyncIterator[Cluster]:
    async with Cluster(clock) as world:
        yield world


async def test_a_pod_waits_for_its_claim_and_then_goes_to_its_volume(cluster: Cluster) -> None:
    await cluster.begin("n1", "n2")
    await cluster.pod()
    await cluster.refused('persistentvolumeclaim "data" not found')
    await cluster.client.create(claim())
    await cluster.refused("pod has unbound immediate PersistentVolumeClaims")
    await cluster.client.create(local("pv", "n2"))
    await cluster.until(lambda: cluster.node_of() == "n2")


async def test_a_volume_elsewhere_refuses_every_node(cluster: Cluster) -> None:
    await cluster.begin("n1")
    await cluster.client.create(local("pv", "n9"))
    await cluster.client.create(claim())
    await cluster.pod()
    await cluster.refused("1 node(s) had volume node affinity conflict")


async def test_the_first_consumer_decides_where_a_new_volume_is_made(cluster: Cluster) -> None:
    await cluster.begin("n1", "n2")
    await cluster.client.create(claim(cls="docker"))
    await cluster.pod()
    await cluster.until(lambda: cluster.node_of() != "")
    (made,) = cluster.registry.list(PersistentVolume)
    assert made.spec.csi
    assert made.spec.csi.volume_attributes["node"] == cluster.node_of()
    await cluster.pod("second")
    await cluster.until(lambda: cluster.node_of("second") == cluster.node_of())


async def test_volumes_that_are_there_are_bound_on_the_chosen_node(cluster: Cluster) -> None:
    await cluster.begin("n1", "n2")
    waiting = StorageClass(
        metadata=ObjectMeta(name="disks"),
        provisioner="kubernetes.io/no-provisioner",
        volume_binding_mode="WaitForFirstConsumer",
    )
    await cluster.client.create(waiting)
    await cluster.client.create(claim(cls="disks"))
    await cluster.pod()
    await cluster.refused("2 node(s) didn't find available persistent volumes to bind")
    await cluster.client.create(local("pv", "n2", storageClassName="disks"))
    await cluster.until(lambda: cluster.node_of() == "n2")
    assert cluster.registry.get(PersistentVolumeClaim, "data", "default").spec.volume_name == "pv"


async def test_a_classes_topologies_bound_where_a_new_volume_is_made(cluster: Cluster) -> None:
    await cluster.begin("n1", "n2")
    need = TopologySelectorLabelRequirement(key="kubernetes.io/hostname", values=("n2",))
    here = TopologySelectorTerm(match_label_expressions=(need,))
    only = StorageClass(
        metadata=ObjectMeta(name="only-n2"),
        provisioner=DRIVER,
        volume_binding_mode="WaitForFirstConsumer",
        allowed_topologies=(here,),
    )
    await cluster.client.create(only)
    await cluster.client.create(claim(cls="only-n2"))
    await cluster.pod()
    await cluster.until(lambda: cluster.node_of() == "n2")


async def test_read_write_once_pod_is_one_pods(cluster: Cluster) -> None:
    await cluster.begin("n1")
    modes = ["ReadWriteOncePod"]
    await cluster.client.create(volume(accessModes=modes))
    await cluster.client.create(claim(accessModes=modes))
    await cluster.pod("first")
    await cluster.until(lambda: cluster.node_of("first") == "n1")
    await cluster.pod("second")
    reason = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod"
    await cluster.refused(f"1 {reason} access mode", "second")
    await cluster.client.delete(Pod, "first", "default", grace_period_seconds=0)
    await cluster.until(lambda: cluster.node_of("second") == "n1")


async def test_pods_that_waited_together_do_not_share_what_is_one_pods(cluster: Cluster) -> None:
    """Though the second is placed before the scheduler hears of its own binding of the first."""
    cluster.client.lag = 1
    await cluster.begin("n1")
    await cluster.client.create(claim(cls="docker", accessModes=["ReadWriteOncePod"]))
    names = ("first", "second")
    for name in names:
        await cluster.pod(name)
    await cluster.until(lambda: any(cluster.node_of(name) for name in names))
    await cluster.settle(10)
    assert sorted(cluster.node_of(name) for name in names) == ["", "n1"]


async def test_an_ephemeral_volume_waits_for_its_claim(cluster: Cluster) -> None:
    await cluster.begin("n1")
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    await cluster.pod(ephemeral={"volumeClaimTemplate": {"spec": spec}})
    await cluster.refused(
        'waiting for ephemeral volume controller to create the persistentvolumeclaim "web-v"'
    )
    await cluster.client.create(claim("web-v"))
    await cluster.until(lambda: "was not created for pod" in cluster.why())
