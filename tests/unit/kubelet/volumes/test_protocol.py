"""A kind of volume of the test's own shows when the kubelet calls which verb."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from reconciler.kubelet.files import PodFiles
from reconciler.kubelet.runtime import RuntimeFailure
from reconciler.kubelet.volumes.protocol import Place, Ready, Reference, Request, VolumeError
from reconciler.kubelet.volumes.volumes import Volumes
from reconciler.model.config import ConfigMap
from reconciler.model.volume import Volume
from tests.unit.kubelet.builders import pod
from tests.unit.kubelet.node import Node, inline, ready


class Recorded:
    """Keeps what it was asked; made of the ConfigMap that the claim names."""

    source = "persistent_volume_claim"
    folder = "test~recorded"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refuse = ""

    def references(self, volume: Volume) -> Iterable[Reference]:
        yield Reference(ConfigMap, volume.persistent_volume_claim.claim_name)

    async def prepare(self, request: Request) -> Ready:
        self._note("prepare")
        request.place.disk.mkdir(parents=True, exist_ok=True)
        return Ready(engine_volume="vol-1", read_only=True)

    async def update(self, request: Request) -> None:
        self._note("update")

    async def teardown(self, place: Place) -> None:
        self.asked.append(f"teardown {place.uid} {place.name}")

    def _note(self, verb: str) -> None:
        self.asked.append(verb)
        if self.refuse:
            raise VolumeError(self.refuse)


CLAIM = {"name": "data", "persistentVolumeClaim": {"claimName": "c"}}
MOUNT = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}


@pytest.fixture
def kind(node: Node) -> Recorded:
    kind = Recorded()
    node.kubelet._volumes.__init__(PodFiles(node.root / "state", node.root / "run", inline), [kind])
    return kind


async def change(node: Node, **data: str) -> None:
    manifest = {"metadata": {"name": "c", "namespace": "default"}, "data": data}
    await node.client.create(ConfigMap.model_validate_json(json.dumps(manifest)))


def test_a_volume_is_made_ready_updated_and_let_go(
    node: Node, play: Callable[..., Any], kind: Recorded
) -> None:
    async def scene() -> None:
        made = await node.create(volumes=[CLAIM], container=MOUNT)
        await node.until(ready)
        assert kind.asked == ["prepare"]
        spec = node.runtime._specs[(await node.app()).id]
        mount = next(m for m in spec.mounts if m.target == "/data")
        assert (mount.source, mount.volume, mount.read_only) == ("vol-1", True, True)

        kind.asked.clear()
        await change(node, key="value")
        await node.until(lambda _: "update" in kind.asked)
        await node.client.delete(type(made), "web", "default")
        await node.until_gone()
        uid = made.metadata.uid
        assert kind.asked == ["update", f"teardown {uid} data"]

    play(scene())


def test_a_volume_is_made_ready_again_only_when_a_start_failed_or_all_is_compared(
    node: Node, play: Callable[..., Any], kind: Recorded
) -> None:
    async def scene() -> None:
        await node.create(volumes=[CLAIM], container=MOUNT)
        await node.until(ready)
        node.runtime.end((await node.app()).id, 1)
        await node.until(lambda pod: ready(pod) and _restarts(pod) == 1)
        assert kind.asked == ["prepare"]

        start = node.runtime.start

        async def lost(_container: str) -> None:
            node.runtime.start = start
            raise RuntimeFailure("bind source path does not exist")

        node.runtime.start = lost
        node.runtime.end((await node.app()).id, 1)
        await node.until(lambda pod: ready(pod) and node.runtime.start is start)
        assert kind.asked == ["prepare"] * 2

        await asyncio.sleep(2 * node.options.relist)
        node.runtime.end((await node.app()).id, 1)
        await node.until(lambda pod: ready(pod) and _restarts(pod) == 3)
        assert kind.asked[-1] == "prepare"

    play(scene())


def _restarts(pod: Any) -> int:
    return pod.status.container_statuses[0].restart_count


def test_a_volume_that_cannot_be_had_is_told_and_healed_when_its_object_comes(
    node: Node, play: Callable[..., Any], kind: Recorded
) -> None:
    async def scene() -> None:
        kind.refuse = 'no claim "c"'
        await node.create(volumes=[CLAIM], container=MOUNT)
        await node.until(lambda _: "FailedMount" in node.events.reasons())
        told = next(event for event in node.events.told if event[2] == "FailedMount")
        assert told[3] == 'MountVolume.SetUp failed for volume "data" : no claim "c"'
        assert await node.containers() == []
        waiting = (await node.pod()).status.container_statuses[0].state.waiting
        assert waiting.reason == "ContainerCreating"

        kind.refuse = ""
        began = node.clock.monotonic()
        await change(node, key="value")
        await node.until(ready)
        assert node.clock.monotonic() - began < 0.5

    play(scene())


async def test_after_a_crash_teardown_finds_the_kind_by_its_folder(tmp_path: Path) -> None:
    files, kind = PodFiles(tmp_path / "state", tmp_path / "run"), Recorded()
    files.prepare()
    manifest = pod(volumes=[CLAIM])
    await Volumes(files, [kind]).prepare(manifest)
    kind.asked.clear()
    reborn = Volumes(files, [kind])
    assert reborn.outdated(manifest)
    await reborn.teardown("uid-1")
    assert kind.asked == ["teardown uid-1 data"]
    assert files.uids() == frozenset()
    await reborn.teardown("uid-1")
    assert kind.asked == ["teardown uid-1 data"]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ({"csi": {"driver": "x"}}, "a Docker host has no drivers of its type"),
        ({"image": {"reference": "x"}}, "the engine cannot mount an image as a volume"),
    ],
)
async def test_a_kind_that_nobody_serves_is_told(
    tmp_path: Path, source: dict[str, Any], why: str
) -> None:
    files = PodFiles(tmp_path / "state", tmp_path / "run")
    with pytest.raises(VolumeError, match=f'volume "data" : {why}'):
        await Volumes(files, []).prepare(pod(volumes=[{"name": "data", **source}]))
