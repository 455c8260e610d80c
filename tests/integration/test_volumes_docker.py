"""Volumes on real Docker: what a container sees of them, and what no container may reach."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from reconciler.kubelet.volumes import subpath
from reconciler.kubelet.volumes.gitclone import GitLimits
from reconciler.kubelet.volumes.mounts import mounts_below, unmount_below
from reconciler.kubelet.volumes.protocol import Ready, VolumeError
from reconciler.kubelet.volumes.removal import remove_tree
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.container import VolumeMount
from reconciler.model.pod import Pod
from tests.integration.realnode import SERVER, RealNode, docker
from tests.unit.kubelet.node import ready

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]


async def run(node: RealNode, volumes: list[Any], mounts: list[Any], **spec: Any) -> Pod:
    more = spec.pop("container", {})
    container = {"command": SERVER, "volumeMounts": mounts, **more}
    await node.create(volumes=volumes, container=container, **spec)
    return await node.until(ready)


async def run_in(node: RealNode, script: str) -> str:
    result = await node.runtime.exec((await node.app()).id, ("sh", "-c", script), 10)
    assert result.exit_code == 0, result.output
    return result.output.decode()


async def make(node: RealNode, kind: type[Any], name: str, **data: str) -> Any:
    field = "stringData" if kind is Secret else "data"
    manifest = {"metadata": {"name": name, "namespace": "default"}, field: data}
    return await node.client.create(kind.model_validate_json(json.dumps(manifest)))


async def test_contents_reach_the_container_change_and_stay_in_memory(node: RealNode) -> None:
    await make(node, Secret, "s", key="s3cret")
    made = await make(node, ConfigMap, "c", colour="green")
    await run(
        node,
        [
            {"name": "secret", "secret": {"secretName": "s", "defaultMode": 0o400}},
            {"name": "config", "configMap": {"name": "c"}},
        ],
        [{"name": "secret", "mountPath": "/s"}, {"name": "config", "mountPath": "/c"}],
        securityContext={"fsGroup": 2000, "runAsUser": 1000},
    )
    assert await run_in(node, "cat /s/key /c/colour") == "s3cretgreen"
    assert (await run_in(node, "ls -lnL /s/key")).startswith("-r--r-----")
    assert " 2000 " in await run_in(node, "ls -lnL /s/key")
    assert await run_in(node, "touch /s/x 2>/dev/null || echo refused") == "refused\n"
    assert "s3cret" not in docker("inspect", (await node.app()).id)
    for file in (node.root / "state").rglob("*"):
        assert not file.is_file() or b"s3cret" not in file.read_bytes()

    await node.client.update(made.replace(data={"colour": "red"}))
    async with asyncio.timeout(5):
        while await run_in(node, "cat /c/colour") != "red":  # noqa: ASYNC110 - no event inside
            await asyncio.sleep(0.05)
    assert (await node.pod()).status.container_statuses[0].restart_count == 0


async def test_an_empty_dir_outlives_the_container_and_not_the_pod(node: RealNode) -> None:
    await run(
        node,
        [
            {"name": "disk", "emptyDir": {}},
            {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        ],
        [{"name": "disk", "mountPath": "/d"}, {"name": "memory", "mountPath": "/m"}],
        container={"command": SERVER, "securityContext": {"runAsUser": 1000}},
    )
    assert "tmpfs" in await run_in(node, "grep ' /m ' /proc/mounts")
    assert "size=1024k" in await run_in(node, "grep ' /m ' /proc/mounts")
    script = "head -c 2000000 /dev/zero >/m/big 2>/dev/null; wc -c </m/big; rm /m/big"
    assert int(await run_in(node, script)) == 1 << 20
    await run_in(node, "echo 1 >/d/kept; echo 2 >/m/kept")
    await node.stop()  # a crash of the daemon in between loses nothing
    await node.start()
    docker("kill", (await node.app()).id)
    await node.until(lambda p: ready(p) and p.status.container_statuses[0].restart_count == 1)
    assert await run_in(node, "cat /d/kept /m/kept") == "1\n2\n"
    assert len(mounts_below(node.root)) == 1

    await node.client.delete(Pod, "web", "default", grace_period_seconds=1)
    await node.until_gone()
    assert mounts_below(node.root) == []
    assert [list((node.root / place / "pods").iterdir()) for place in ("state", "run")] == [[], []]


async def test_parts_of_volumes_are_mounted_and_taken_away_with_the_pod(node: RealNode) -> None:
    await make(node, ConfigMap, "c", colour="green", size="9")
    host = node.root / "host"
    (host / "inside").mkdir(parents=True)
    (host / "inside" / "file").write_text("kept")
    await run(
        node,
        [
            {"name": "config", "configMap": {"name": "c"}},
            {"name": "data", "emptyDir": {}},
            {"name": "host", "hostPath": {"path": str(host), "type": "Directory"}},
        ],
        [
            {"name": "config", "mountPath": "/etc/colour", "subPath": "colour"},
            {"name": "data", "mountPath": "/logs", "subPathExpr": "logs/$(NAME)"},
            {"name": "data", "mountPath": "/all"},
            {"name": "host", "mountPath": "/h", "subPath": "inside"},
        ],
        container={
            "command": SERVER,
            "env": [{"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        },
    )
    assert await run_in(node, "cat /etc/colour /h/file") == "greenkept"
    assert await run_in(node, "touch /logs/x && ls /all/logs/web") == "x\n"
    assert (await run_in(node, "ls -ld /logs")).startswith("drwxrwxrwx")
    docker("kill", (await node.app()).id)
    await node.until(lambda p: ready(p) and p.status.container_statuses[0].restart_count == 1)
    assert await run_in(node, "ls /logs") == "x\n"
    assert len(mounts_below(node.root)) == 3
    await node.stop()  # the mounts are found again after a crash
    await node.start()
    await node.client.delete(Pod, "web", "default", grace_period_seconds=1)
    await node.until_gone()
    assert mounts_below(node.root) == []
    assert (host / "inside" / "file").read_text() == "kept"


async def test_a_sub_path_that_leads_out_is_refused(node: RealNode) -> None:
    host = node.root / "host"
    host.mkdir()
    (node.root / "treasure").mkdir()
    (host / "link").symlink_to(node.root / "treasure")
    await node.create(
        volumes=[{"name": "host", "hostPath": {"path": str(host)}}],
        container={
            "command": SERVER,
            "volumeMounts": [{"name": "host", "mountPath": "/h", "subPath": "link/new"}],
        },
    )
    pod = await node.until(
        lambda p: (
            bool(p.status.container_statuses)
            and p.status.container_statuses[0].state.waiting is not None
            and p.status.container_statuses[0].state.waiting.reason == "CreateContainerConfigError"
        )
    )
    message = pod.status.container_statuses[0].state.waiting.message
    assert 'subPath "link/new": it leads out of the volume' in message
    assert list((node.root / "treasure").iterdir()) == []


@pytest.mark.parametrize("inside", ["../treasure", "a/../../treasure", "up/treasure", "absolute"])
def test_no_way_leads_out_of_a_volume(tmp_path: Path, inside: str) -> None:
    volume, treasure = tmp_path / "volume", tmp_path / "treasure"
    (volume / "a").mkdir(parents=True)
    treasure.mkdir()
    (volume / "up").symlink_to("..")
    (volume / "absolute").symlink_to(treasure)
    mount = VolumeMount(name="v", mount_path="/v", sub_path=inside)
    with pytest.raises(VolumeError, match="leads out of the volume"):
        subpath.bind(Ready(volume), mount, inside, tmp_path / "target")
    assert mounts_below(tmp_path) == []


def test_a_link_that_is_swapped_during_the_mount_gains_nothing(tmp_path: Path) -> None:
    volume, treasure, target = tmp_path / "volume", tmp_path / "treasure", tmp_path / "target"
    (volume / "real").mkdir(parents=True)
    (volume / "real" / "mine").touch()
    treasure.mkdir()
    (treasure / "gold").touch()
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            for goal in (treasure, "real"):
                (volume / "new").symlink_to(goal)
                (volume / "new").replace(volume / "sub")

    (volume / "sub").symlink_to("real")
    thread = threading.Thread(target=swap)
    thread.start()
    seen: set[str] = set()
    try:
        for number in range(300):
            place = target / str(number)
            mount = VolumeMount(name="v", mount_path="/v", sub_path="sub")
            try:
                subpath.bind(Ready(volume), mount, "sub", place)
            except (VolumeError, OSError):
                continue  # refused: what it pointed to just then is not in the volume
            seen |= {entry.name for entry in place.iterdir()}
    finally:
        over.set()
        thread.join()
        remove_tree(target)
    assert seen == {"mine"}
    assert (treasure / "gold").exists()


def test_removal_never_enters_a_mount(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "file").write_text("kept")
    target = tmp_path / "pod" / "bound"
    mount = VolumeMount(name="v", mount_path="/v")
    subpath.bind(Ready(volume), mount, "", target)
    subpath.bind(Ready(volume), mount, "", target / "..")  # stacked above it
    remove_tree(tmp_path / "pod")
    assert (volume / "file").read_text() == "kept"
    assert mounts_below(tmp_path) == []


async def test_a_mount_is_read_only_to_the_last_one_below_it(node: RealNode) -> None:
    host = node.root / "host"
    (host / "below").mkdir(parents=True)
    mount = VolumeMount(name="v", mount_path="/v")
    other = node.root / "other"
    other.mkdir()
    (host / "below").rmdir()
    subpath.bind(Ready(other), mount, "", host / "below")
    try:
        await run(
            node,
            [{"name": "host", "hostPath": {"path": str(host)}}],
            [
                {"name": "host", "mountPath": "/plain", "readOnly": True},
                {
                    "name": "host",
                    "mountPath": "/deep",
                    "readOnly": True,
                    "recursiveReadOnly": "Enabled",
                },
            ],
        )
        probe = "touch {0} 2>/dev/null && echo written || echo refused"
        assert await run_in(node, probe.format("/plain/x")) == "refused\n"
        assert await run_in(node, probe.format("/plain/below/x")) == "written\n"
        assert await run_in(node, probe.format("/deep/x")) == "refused\n"
        assert await run_in(node, probe.format("/deep/below/x")) == "refused\n"
    finally:
        await node.client.delete(Pod, "web", "default", grace_period_seconds=1)
        await node.until_gone()
        remove_tree(host / "below")


async def test_mounts_of_the_host_reach_a_container_that_wants_them(node: RealNode) -> None:
    host = node.root / "host"
    host.mkdir()
    other = node.root / "other"
    other.mkdir()
    (other / "file").write_text("seen")
    subpath.bind(Ready(host), VolumeMount(), "", host)
    await asyncio.to_thread(subprocess.run, ["mount", "--make-shared", host], check=True)
    mounts = [
        {"name": "host", "mountPath": "/slave", "mountPropagation": "HostToContainer"},
        {"name": "host", "mountPath": "/private"},
    ]
    await run(node, [{"name": "host", "hostPath": {"path": str(host)}}], mounts)
    try:
        subpath.bind(Ready(other), VolumeMount(), "", host / "late")
        assert await run_in(node, "cat /slave/late/file; ls /private/late") == "seen"
    finally:
        unmount_below(host)


async def test_a_repository_is_cloned_before_the_pod_starts(node: RealNode, tmp_path: Path) -> None:
    node.kubelet._volumes._by_source["git_repo"]._limits = GitLimits(file=True)
    script = """
        git init -q -b main app && cd app && echo hello >file && git add . &&
        git -c user.name=t -c user.email=t@example.org commit -qm one &&
        git checkout -q -b next && echo later >file &&
        git -c user.name=t -c user.email=t@example.org commit -qam two
    """
    await asyncio.to_thread(subprocess.run, ["sh", "-c", script], cwd=tmp_path, check=True)
    repository = {"repository": f"file://{tmp_path}/app", "revision": "main", "directory": "."}
    await run(
        node,
        [{"name": "git", "gitRepo": repository}],
        [{"name": "git", "mountPath": "/g"}, {"name": "git", "mountPath": "/f", "subPath": "file"}],
        securityContext={"fsGroup": 2000},
    )
    assert await run_in(node, "cat /g/file /f") == "hello\nhello\n"
    assert " 2000 " in await run_in(node, "ls -ln /g/file")
    assert "FailedMount" not in node.events.reasons()


async def test_a_pod_that_fills_its_volume_is_evicted(node: RealNode) -> None:
    await run(
        node,
        [{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}],
        [{"name": "v", "mountPath": "/v"}],
    )
    await run_in(node, "head -c 3000000 /dev/zero >/v/big")
    pod = await node.until(
        lambda p: (
            p.status.phase == "Failed"
            and p.status.container_statuses[0].state.terminated is not None
        ),
        limit=30,
    )
    assert pod.status.reason == "Evicted"
    assert 'EmptyDir volume "v" exceeds the limit "1Mi"' in pod.status.message
    async with asyncio.timeout(10):
        while list((node.root / "state" / "pods").rglob("big")):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
