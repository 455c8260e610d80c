"""emptyDirs that outgrow their limit evict their pod; volumes of a pod that is done go."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reconciler.kubelet.eviction import INTERVAL, evicted_status
from reconciler.kubelet.storagelimits import excess, is_limited
from reconciler.kubelet.volumes.usage import Limit, folder_usage, size_limits
from reconciler.model.pod import Pod
from reconciler.model.podstatus import PodCondition
from tests.unit.kubelet.builders import pod
from tests.unit.kubelet.node import Node, ready

Play = Callable[..., Any]
NOW_TEXT = "2026-01-01T12:00:00Z"
MOUNT = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}


def limited(size: str = "1Mi", **more: Any) -> list[dict[str, Any]]:
    return [{"name": "v", "emptyDir": {"sizeLimit": size, **more}}]


async def folder(node: Node) -> Path:
    mounts = node.runtime._specs[(await node.app()).id].mounts
    return Path(next(m.source for m in mounts if m.target == "/v"))


def test_only_limits_on_the_disk_are_watched() -> None:
    assert size_limits(pod(volumes=limited("1Mi"))) == {"v": Limit("1Mi", 1 << 20)}
    assert size_limits(pod(volumes=limited("0"))) == {}
    assert size_limits(pod(volumes=limited(medium="Memory"))) == {}
    assert size_limits(pod(volumes=[{"name": "v", "emptyDir": {}}])) == {}


def test_usage_counts_blocks_links_once_and_hidden_depths(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(1 << 20))
    os.link(tmp_path / "a", tmp_path / "b")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    assert 1 << 20 <= folder_usage(tmp_path) < 2 << 20
    at = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(200):  # deeper than any path name can be
        os.mkdir("deep" * 10, dir_fd=at)
        below = os.open("deep" * 10, os.O_RDONLY | os.O_DIRECTORY, dir_fd=at)
        os.close(at)
        at = below
    descriptor = os.open("hidden", os.O_WRONLY | os.O_CREAT, dir_fd=at)
    os.write(descriptor, bytes(1 << 20))
    os.close(descriptor)
    os.close(at)
    assert folder_usage(tmp_path) > 2 << 20


def test_a_pod_that_outgrows_its_limit_is_evicted(node: Node, play: Play) -> None:
    async def scene() -> None:
        await node.create(volumes=limited(), container=MOUNT, terminationGracePeriodSeconds=300)
        await node.until(ready)
        root = await folder(node)
        (root / "big").write_bytes(bytes(2 << 20))
        gone = await node.until(
            lambda p: (
                p.status.phase == "Failed"
                and p.status.container_statuses[0].state.terminated is not None
                and not root.exists()
            )
        )
        message = 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". '
        assert (gone.status.reason, gone.status.message) == ("Evicted", message)
        target = next(c for c in gone.status.conditions if c.type == "DisruptionTarget")
        assert (target.status, target.reason) == ("True", "TerminationByKubelet")
        assert ("web", "Warning", "Evicted", message) in node.events.told
        assert [c for c in await node.containers() if c.phase == "running"] == []

    play(scene())


STORAGE = {"resources": {"limits": {"ephemeral-storage": "1Mi"}}}
TOO_MUCH = "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. "


def test_a_container_that_writes_too_much_has_its_pod_evicted(node: Node, play: Play) -> None:
    async def scene() -> None:
        await node.create(container=STORAGE)
        await node.until(ready)
        node.runtime.written["app"] = 2 << 20
        gone = await node.until(lambda p: p.status.phase == "Failed")
        assert (gone.status.reason, gone.status.message) == ("Evicted", TOO_MUCH)

    play(scene())


def test_volumes_count_for_the_limit_of_the_pod(node: Node, play: Play) -> None:
    async def scene() -> None:
        await node.create(volumes=[{"name": "v", "emptyDir": {}}], container=MOUNT | STORAGE)
        await node.until(ready)
        ((await folder(node)) / "big").write_bytes(bytes(2 << 20))
        gone = await node.until(lambda p: p.status.phase == "Failed")
        assert gone.status.message == TOO_MUCH

    play(scene())


def test_each_container_has_its_own_limit_too() -> None:
    containers = [
        {"name": "a", "image": "i"} | STORAGE,
        {"name": "b", "image": "i", "resources": {"limits": {"ephemeral-storage": "9Mi"}}},
    ]
    two = pod(containers=containers)
    assert excess(two, {"a": 1 << 20, "b": 5 << 20}, 1 << 20) == ""
    assert excess(two, {"a": 2 << 20, "b": 0}, 0) == (
        'Container a exceeded its local ephemeral storage limit "1Mi". '
    )
    assert excess(two, {"a": 0, "b": 9 << 20}, 2 << 20) == (
        "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. "
    )
    assert not is_limited(pod())


def test_a_pod_within_its_limit_stays(node: Node, play: Play) -> None:
    async def scene() -> None:
        await node.create(volumes=limited(), container=MOUNT)
        await node.until(ready)
        ((await folder(node)) / "small").write_bytes(bytes(1 << 18))
        end = node.clock.monotonic() + 3 * INTERVAL
        await node.until(lambda _: node.clock.monotonic() > end)
        assert ready(await node.pod())
        assert "Evicted" not in node.events.reasons()

    play(scene())


def test_volumes_of_a_pod_that_is_done_go_and_its_last_words_stay(node: Node, play: Play) -> None:
    async def scene() -> None:
        container = {**MOUNT, "command": ["sleep", "5"]}
        made = await node.create(volumes=limited(), container=container, restartPolicy="Never")
        await node.until(lambda p: p.status.phase == "Running")
        root = await folder(node)
        await node.until(lambda p: p.status.phase == "Succeeded" and not root.exists())
        logs = node.root / "state" / "pods" / made.metadata.uid / "containers"
        assert [entry.name for entry in logs.iterdir()] == ["app_0"]
        await node.client.delete(Pod, "web", "default")
        await node.until_gone()

    play(scene())


def test_an_eviction_keeps_what_the_status_said() -> None:
    before = pod().status.replace(conditions=(PodCondition(type="Ready", status="True"),))
    after = evicted_status(evicted_status(before, "a", NOW_TEXT), "b", NOW_TEXT)
    assert [c.type for c in after.conditions] == ["Ready", "DisruptionTarget"]
    assert (after.phase, after.reason, after.message) == ("Failed", "Evicted", "b")
