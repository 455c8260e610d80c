"""Claims from their wish to the end of their data, on the simulated engine.

Everything but the engine is real: registry, volume controllers, provisioner, kubelet. The same on
Docker is in `tests/integration/test_persistent_docker.py`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from reconciler.client.events import EventRecorder
from reconciler.client.informer import Informer
from reconciler.controllers.volumes.binder import Informers, VolumeBinder
from reconciler.controllers.volumes.protection import VolumeProtection
from reconciler.core.ids import Ids
from reconciler.kubelet.volumes.engine import EngineVolumes
from reconciler.kubelet.volumes.provisioner import NodeVolumes
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.meta import KubeObject
from reconciler.model.node import Node as NodeObject
from reconciler.model.pod import Pod
from reconciler.model.storage import PersistentVolume
from reconciler.model.storageclass import StorageClass
from reconciler.model.volumebinding import DRIVER, ENGINE_FINALIZER, SELECTED_NODE
from tests.unit.kubelet.node import NODE, Node, ready

T = TypeVar("T", bound=KubeObject)
Play = Callable[..., Any]

MOUNT = {"volumeMounts": [{"name": "v", "mountPath": "/data"}]}
CLAIM = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
READ_ONLY = [{"name": "v", "persistentVolumeClaim": {"claimName": "data", "readOnly": True}}]


def made(kind: type[T], name: str, **body: Any) -> T:
    meta = {"name": name, "namespace": "default" if kind is PersistentVolumeClaim else ""}
    return kind.model_validate_json(json.dumps({"metadata": meta, **body}))


def claim(name: str = "data", **spec: Any) -> PersistentVolumeClaim:
    wish = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return made(PersistentVolumeClaim, name, spec={**wish, **spec})


def volume(name: str = "pv", **spec: Any) -> PersistentVolume:
    offer = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}}
    return made(PersistentVolume, name, spec={**offer, **spec})


def engine_volume(name: str = "pv", node: str = NODE, **attributes: str) -> PersistentVolume:
    """A volume as the class `docker` makes them."""
    csi = {"driver": DRIVER, "volumeHandle": name, "volumeAttributes": {"node": node, **attributes}}
    found = volume(name, csi=csi, persistentVolumeReclaimPolicy="Delete", storageClassName="docker")
    return found.replace(metadata=found.metadata.replace(finalizers=(ENGINE_FINALIZER,)))


@asynccontextmanager
async def storage(node: Node) -> AsyncIterator[None]:
    """Run the controllers of claims and this node's provisioner."""
    kinds = (PersistentVolumeClaim, PersistentVolume, StorageClass, NodeObject, Pod)
    informers: list[Informer[Any]] = [Informer(node.client, kind) for kind in kinds]
    claims, volumes, classes, nodes, pods = informers
    events = EventRecorder(node.client, node.clock, Ids(), "test")
    engine = EngineVolumes(node.offload, node.runtime, node.client, {}, node.options.scope)
    on = Informers(claims, volumes, classes, nodes)
    runs = [
        *(informer.run() for informer in informers),
        VolumeBinder(node.client, on, events).run(),
        VolumeProtection(node.client, claims, volumes, pods).run(),
        NodeVolumes(node.client, volumes, node.runtime, engine, node.events, NODE).run(),
    ]
    await node.client.create(made(NodeObject, NODE))
    tasks = [asyncio.ensure_future(run) for run in runs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], Any]) -> None:
    """Wait on the virtual clock."""
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("not within 300 seconds")


async def disks(node: Node) -> list[str]:
    return [each.name for each in await node.runtime.volumes()]


async def select(node: Node, name: str = "data") -> None:
    """Do the scheduler's part for a claim that waits for its first consumer."""
    await until(lambda: node.registry.get(PersistentVolumeClaim, name, "default").spec)
    live = node.registry.get(PersistentVolumeClaim, name, "default")
    notes = {**live.metadata.annotations, SELECTED_NODE: NODE}
    await node.client.update(live.replace(metadata=live.metadata.replace(annotations=notes)))


def volumes(node: Node) -> list[PersistentVolume]:
    return node.registry.list(PersistentVolume)


async def why(node: Node) -> str:
    """Return what a pod that cannot have its volume tells."""
    told = node.events.told
    await until(lambda: any(reason == "FailedMount" for _, _, reason, _ in told))
    return next(message for _, _, reason, message in told if reason == "FailedMount")


def test_a_volume_is_made_for_its_first_consumer_and_goes_with_its_claim(
    node: Node, play: Play
) -> None:
    async def scene() -> None:
        async with storage(node):
            await until(lambda: node.registry.list(StorageClass))
            await node.client.create(claim())
            await asyncio.sleep(5)
            assert not await disks(node), "nobody uses it yet"
            await node.create(container=MOUNT, volumes=CLAIM)
            await select(node)
            await node.until(ready)
            (disk,) = await disks(node)
            spec = node.runtime._specs[(await node.app()).id]
            assert [m.target for m in spec.mounts if m.volume and m.source == disk] == ["/data"]
            await node.client.delete(PersistentVolumeClaim, "data", "default")
            await asyncio.sleep(30)
            assert await disks(node) == [disk], "a pod uses it"
            await node.client.delete(Pod, "web", "default")
            await until(lambda: not volumes(node))
            assert not await disks(node)

    play(scene())


def test_data_stay_when_the_pod_goes_and_when_the_kubelet_starts_anew(
    node: Node, play: Play
) -> None:
    async def scene() -> None:
        async with storage(node):
            await until(lambda: node.registry.list(StorageClass))
            await node.client.create(claim())
            await select(node)
            await node.create(container=MOUNT, volumes=CLAIM)
            await node.until(ready)
            kept = await disks(node)
            await node.client.delete(Pod, "web", "default")
            await node.until_gone()
            await node.stop()
            await node.start()
            await node.create("next", container=MOUNT, volumes=READ_ONLY)
            await node.until(ready, "next")
            assert await disks(node) == kept
            (mount,) = (
                m for m in node.runtime._specs[(await node.app()).id].mounts if m.target == "/data"
            )
            assert (mount.source, mount.read_only) == (kept[0], True)

    play(scene())


@pytest.mark.parametrize(("policy", "left"), [("Retain", ["pv"]), ("Delete", [])])
def test_only_the_reclaim_policy_lets_data_go(
    node: Node, play: Play, policy: str, left: list[str]
) -> None:
    async def scene() -> None:
        async with storage(node):
            offered = engine_volume()
            spec = offered.spec.replace(persistent_volume_reclaim_policy=policy)
            await node.client.create(offered.replace(spec=spec))
            await node.client.create(claim(storageClassName="docker", volumeName="pv"))
            await until(lambda: volumes(node)[0].status.phase == "Bound")
            assert await disks(node) == ["pv"]
            await node.client.delete(PersistentVolumeClaim, "data", "default")
            if policy == "Retain":
                await until(lambda: volumes(node)[0].status.phase == "Released")
                await node.client.delete(PersistentVolume, "pv")
            await until(lambda: not volumes(node))
            assert await disks(node) == left

    play(scene())


def test_a_volume_of_another_node_is_none_of_ours(node: Node, play: Play) -> None:
    async def scene() -> None:
        async with storage(node):
            await node.client.create(engine_volume(node="elsewhere"))
            await asyncio.sleep(30)
            assert not await disks(node)

    play(scene())


def test_what_the_engine_will_not_make_or_remove_is_told_and_tried_again(
    node: Node, play: Play
) -> None:
    async def scene() -> None:
        async with storage(node):
            node.runtime.away = True
            await node.client.create(engine_volume())
            await until(lambda: "ProvisioningFailed" in node.events.reasons("pv"))
            node.runtime.away = False
            await asyncio.sleep(60)
            assert await disks(node) == ["pv"]
            node.runtime.away = True
            await node.client.delete(PersistentVolume, "pv")
            await until(lambda: "VolumeFailedDelete" in node.events.reasons("pv"))
            assert volumes(node), "the object stays as long as the data"
            node.runtime.away = False
            await until(lambda: not volumes(node))
            assert not await disks(node)

    play(scene())


def test_a_volume_of_the_host_is_mounted_where_its_folder_is(
    node: Node, play: Play, tmp_path: Path
) -> None:
    async def scene() -> None:
        path = tmp_path / "disk"
        async with storage(node):
            match = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]}
            terms = {"required": {"nodeSelectorTerms": [{"matchExpressions": [match]}]}}
            local = volume(local={"path": str(path)}, nodeAffinity=terms, storageClassName="")
            await node.client.create(local)
            await node.client.create(claim(storageClassName=""))
            await until(lambda: volumes(node)[0].status.phase == "Bound")
            await node.create(container=MOUNT, volumes=CLAIM)
            assert f'path "{path}" does not exist' in await why(node)
            path.mkdir()
            await node.until(ready)
            spec = node.runtime._specs[(await node.app()).id]
            assert str(path) in [mount.source for mount in spec.mounts]

    play(scene())


def test_a_pod_says_what_its_claim_lacks(node: Node, play: Play) -> None:
    """First there is none, then it is unbound, then its volume is another's, then all is well."""

    async def scene() -> None:
        async def tell(words: str) -> None:
            told = node.events.told
            await until(lambda: any(words in message for *_, message in told))

        await node.create(container=MOUNT, volumes=CLAIM)
        await tell("failed to fetch PVC from API server")
        await node.client.create(claim(storageClassName="", volumeName="pv"))
        await tell("PVC is not bound")
        wish = node.registry.get(PersistentVolumeClaim, "data", "default")
        bound = wish.replace(status=wish.status.replace(phase="Bound"))
        await node.client.update(bound, subresource="status")
        await tell("failed to fetch PV pv from API server")
        other = {"namespace": "default", "name": "other", "uid": "1"}
        await node.client.create(volume(hostPath={"path": str(node.root)}, claimRef=other))
        await tell("PV pv is bound to another claim")
        live = volumes(node)[0]
        reference = live.spec.claim_ref
        assert reference is not None
        mine = reference.replace(name="data", uid=wish.metadata.uid)
        await node.client.update(live.replace(spec=live.spec.replace(claim_ref=mine)))
        await node.until(ready)

    play(scene())
