"""Volumes made of objects: their files, their modes, what is missing; sizes in memory."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.kubelet.volumes.emptydir import huge_page, memory_size
from reconciler.kubelet.volumes.protocol import VolumeError
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.pod import Pod
from reconciler.model.volume import EmptyDirVolumeSource
from tests.unit.kubelet.builders import pod
from tests.unit.kubelet.node import Node, ready

Play = Callable[..., Any]


async def secret(node: Node, **data: str) -> Secret:
    manifest = {"metadata": {"name": "s", "namespace": "default"}, "stringData": data}
    return await node.client.create(Secret.model_validate_json(json.dumps(manifest)))


async def config(node: Node, **data: str) -> ConfigMap:
    manifest = {
        "metadata": {"name": "c", "namespace": "default"},
        "data": data,
        "binaryData": {"bytes": "AP8="},
    }
    return await node.client.create(ConfigMap.model_validate_json(json.dumps(manifest)))


async def run(node: Node, source: dict[str, Any], **spec: Any) -> Path:
    """Run a pod with the volume; return the folder that it mounts."""
    mounts = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    await node.create(volumes=[{"name": "v", **source}], container=mounts, **spec)
    await node.until(ready)
    mounted = node.runtime._specs[(await node.app()).id].mounts
    mount = next(m for m in mounted if m.target == "/v")
    assert mount.read_only
    return Path(mount.source)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if not path.name.startswith(".."))


def test_a_secret_lies_in_memory_with_the_modes_that_are_asked_for(node: Node, play: Play) -> None:
    async def scene() -> None:
        await secret(node, a="1", b="2")
        items = [{"key": "a", "path": "x/y", "mode": 0o400}, {"key": "b", "path": "b"}]
        source = {"secretName": "s", "items": items, "defaultMode": 0o440}
        root = await run(node, {"secret": source})
        assert root.is_relative_to(node.root / "run")
        assert ((root / "x/y").read_text(), mode(root / "x/y")) == ("1", 0o400)
        assert ((root / "b").read_text(), mode(root / "b")) == ("2", 0o440)
        assert names(root) == ["b", "x"]
        assert list((node.root / "state" / "pods").rglob("kubernetes.io~secret")) == []

    play(scene())


def test_a_config_map_has_text_and_bytes(node: Node, play: Play) -> None:
    async def scene() -> None:
        await config(node, text="grün")
        root = await run(node, {"configMap": {"name": "c", "defaultMode": 0o644}})
        assert (root / "text").read_text() == "grün"
        assert (root / "bytes").read_bytes() == b"\0\xff"

    play(scene())


def test_the_downward_api_shows_the_pod_itself(node: Node, play: Play) -> None:
    async def scene() -> None:
        files = [
            {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}},
            {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
            {
                "path": "cpu",
                "resourceFieldRef": {"containerName": "app", "resource": "requests.cpu"},
            },
        ]
        root = await run(node, {"downwardAPI": {"items": files}})
        assert (root / "name").read_text() == "web"
        assert (root / "labels").read_text() == ""
        assert (root / "cpu").read_text() == "0"
        found = await node.pod()
        labels = {"b": "2", "a": "1"}
        await node.client.update(found.replace(metadata=found.metadata.replace(labels=labels)))
        await node.until(lambda _: (root / "labels").read_text() == 'a="1"\nb="2"')

    play(scene())


def test_sources_are_projected_into_one_volume(node: Node, play: Play) -> None:
    async def scene() -> None:
        await secret(node, word="p")
        await config(node, colour="green")
        field = {"path": "who", "fieldRef": {"fieldPath": "metadata.name"}, "mode": 0o400}
        sources = [
            {"secret": {"name": "s", "items": [{"key": "word", "path": "deep/password"}]}},
            {"configMap": {"name": "c"}},
            {"configMap": {"name": "absent", "optional": True}},
            {"downwardAPI": {"items": [field]}},
        ]
        root = await run(node, {"projected": {"sources": sources, "defaultMode": 0o440}})
        assert (root / "deep/password").read_text() == "p"
        assert ((root / "colour").read_text(), mode(root / "colour")) == ("green", 0o440)
        assert ((root / "who").read_text(), mode(root / "who")) == ("web", 0o400)
        assert root.is_relative_to(node.root / "run")

    play(scene())


def test_a_change_reaches_a_running_pod_at_once(node: Node, play: Play) -> None:
    async def scene() -> None:
        made = await config(node, colour="green")
        root = await run(node, {"configMap": {"name": "c"}})
        container = (await node.app()).id
        began = node.clock.monotonic()
        await node.client.update(made.replace(data={"colour": "red", "size": "9"}))
        await node.until(lambda _: (root / "colour").read_text() == "red")
        assert (root / "size").read_text() == "9"
        assert node.clock.monotonic() - began < 1
        assert (await node.app()).id == container

    play(scene())


def test_a_deleted_object_leaves_what_was_there_and_is_told(node: Node, play: Play) -> None:
    async def scene() -> None:
        await config(node, colour="green")
        root = await run(node, {"configMap": {"name": "c"}})
        await node.client.delete(ConfigMap, "c", "default")
        await node.until(lambda _: "FailedMount" in node.events.reasons())
        assert (root / "colour").read_text() == "green"
        await config(node, colour="blue")
        await node.until(lambda _: (root / "colour").read_text() == "blue")
        assert ready(await node.pod())

    play(scene())


def test_an_optional_object_may_come_later_and_go(node: Node, play: Play) -> None:
    async def scene() -> None:
        root = await run(node, {"configMap": {"name": "c", "optional": True}})
        assert names(root) == []
        await config(node, colour="blue")
        await node.until(lambda _: names(root) == ["bytes", "colour"])
        await node.client.delete(ConfigMap, "c", "default")
        await node.until(lambda _: names(root) == [])

    play(scene())


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"secret": {"secretName": "no"}}, 'secret "no" not found'),
        ({"configMap": {"name": "no"}}, 'configmap "no" not found'),
        (
            {"secret": {"secretName": "s", "items": [{"key": "no", "path": "no"}]}},
            "references non-existent secret key: no",
        ),
        (
            {"configMap": {"name": "c", "items": [{"key": "no", "path": "no"}]}},
            "references non-existent config key: no",
        ),
        (
            {"projected": {"sources": [{"secret": {"name": "no"}}]}},
            'secret "no" not found',
        ),
    ],
)
def test_what_is_missing_is_told_in_kubernetes_words(
    node: Node, play: Play, source: dict[str, Any], message: str
) -> None:
    async def scene() -> None:
        await secret(node, a="1")
        await config(node, a="1")
        await node.create(volumes=[{"name": "v", **source}])
        await node.until(lambda _: "FailedMount" in node.events.reasons())
        told = next(event for event in node.events.told if event[2] == "FailedMount")
        assert told[3] == f'MountVolume.SetUp failed for volume "v" : {message}'
        assert await node.containers() == []

    play(scene())


def test_missing_keys_are_left_out_when_optional(node: Node, play: Play) -> None:
    async def scene() -> None:
        await secret(node, a="1")
        items = [{"key": "no", "path": "no"}, {"key": "a", "path": "a"}]
        source = {"secretName": "s", "items": items, "optional": True}
        assert names(await run(node, {"secret": source})) == ["a"]

    play(scene())


def test_contents_are_found_and_compared_after_a_crash(node: Node, play: Play) -> None:
    async def scene() -> None:
        made = await config(node, colour="green")
        root = await run(node, {"configMap": {"name": "c"}})
        shown = (root / "..data").readlink()
        await node.stop()
        await node.start()
        await node.until(lambda p: not node.kubelet._volumes.outdated(p))
        assert (root / "..data").readlink() == shown
        await node.stop()
        await node.client.update(made.replace(data={"colour": "red"}))
        await node.start()
        await node.until(lambda _: (root / "colour").read_text() == "red")

    play(scene())


def _with_limits(*limits: str) -> Pod:
    names = [f"c{number}" for number in range(len(limits))]
    containers = [
        {"name": name, "image": "i", "resources": {"limits": {"memory": limit} if limit else {}}}
        for name, limit in zip(names, limits, strict=True)
    ]
    return pod(containers=containers)


@pytest.mark.parametrize(
    ("limits", "size_limit", "expected"),
    [
        (("",), None, 1000),
        (("100", "200"), None, 300),
        (("100", ""), None, 1000),
        (("100",), "50", 50),
        (("100",), "500", 100),
        (("",), "0", 1000),
    ],
)
def test_memory_is_bounded_by_limits_and_the_node(
    limits: tuple[str, ...], size_limit: str | None, expected: int
) -> None:
    source = EmptyDirVolumeSource(medium="Memory", size_limit=size_limit)
    assert memory_size(_with_limits(*limits), source, 1000) == expected


def test_huge_pages_are_those_that_the_host_has(tmp_path: Path) -> None:
    (tmp_path / "hugepages-2048kB").mkdir()
    limits = {"resources": {"limits": {"hugepages-2Mi": "4Mi"}}}
    two = pod(containers=[{"name": "a", "image": "i", **limits}])
    assert huge_page(two, "HugePages", tmp_path) == huge_page(two, "HugePages-2Mi", tmp_path)
    both = {"resources": {"limits": {"hugepages-2Mi": "4Mi", "hugepages-1Gi": "1Gi"}}}
    for manifest, medium, message in [
        (pod(), "HugePages", "no container requests such pages"),
        (two, "HugePages-1Gi", "no container requests such pages"),
        (pod(containers=[{"name": "a", "image": "i", **both}]), "HugePages", "multiple sizes"),
        (
            pod(containers=[{"name": "a", "image": "i", **both}]),
            "HugePages-1Gi",
            "this host has no huge pages of 1073741824 bytes",
        ),
    ]:
        with pytest.raises(VolumeError, match=message):
            huge_page(manifest, medium, tmp_path)


def test_values_are_quoted_as_go_does() -> None:
    from reconciler.kubelet.volumes.payloads import _quoted

    assert _quoted('a"b\\c\n\x01é\u2028') == r'"a\"b\\c\n\x01é\u2028"'
