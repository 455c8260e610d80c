"""The Node object: registered once, its heart beating, its trouble told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from reconciler.kubelet.cgroups import Cgroups
from reconciler.kubelet.hostfacts import HostFacts, huge_pages
from reconciler.kubelet.node import NodeAgent, NodeOptions
from reconciler.model.lease import Lease
from reconciler.model.node import Node as NodeObject
from reconciler.model.time import parse_time
from tests.unit.kubelet.node import Node

FACTS = HostFacts(
    *("m", "u", "b", "6.1", "Debian", "amd64", 4, 8 << 30, 100 << 30, "Host-1"),
    huge_pages={1 << 30: 0, 2 << 20: 1 << 30},
)
OPTIONS = NodeOptions("node-1", "192.0.2.9", "10.244.0.0/24")


@pytest.fixture
def agent(node: Node, virtual: Any) -> Any:
    made = NodeAgent(node.client, node.runtime, node.clock, FACTS, OPTIONS)
    task = virtual.create_task(made.run())
    yield made
    task.cancel()
    virtual.run_until_complete(asyncio.gather(task, return_exceptions=True))


async def registered(node: Node) -> NodeObject:
    return await node.client.get(NodeObject, "node-1")


def condition(found: NodeObject, kind: str) -> Any:
    return next(each for each in found.status.conditions if each.type == kind)


def test_a_node_says_what_it_is(node: Node, agent: Any, play: Any) -> None:
    async def scene() -> None:
        await asyncio.sleep(1)
        found = await registered(node)
        assert found.metadata.labels["kubernetes.io/hostname"] == "host-1"
        assert found.metadata.labels["kubernetes.io/arch"] == "amd64"
        assert found.spec.pod_cidr == "10.244.0.0/24"
        assert found.status.phase == "Running"
        assert found.status.capacity == {
            "cpu": "4",
            "ephemeral-storage": "100Gi",
            "hugepages-1Gi": "0",
            "hugepages-2Mi": "1Gi",
            "memory": "8Gi",
            "pods": "250",
        }
        assert found.status.allocatable == found.status.capacity | {"memory": "7Gi"}
        assert [a.address for a in found.status.addresses] == ["192.0.2.9", "Host-1"]
        assert found.status.node_info.container_runtime_version == "docker://20.10.0"
        assert condition(found, "Ready").status == "True"

    play(scene())


def test_a_ready_node_is_born_ready(node: Node, agent: Any, play: Any) -> None:
    """Or it would carry the taint of a node that is not, and pods would wait for its end."""

    async def scene() -> None:
        await asyncio.sleep(1)
        (written,) = node.registry.feed(NodeObject, since=0).read()
        born = node.registry.decode(NodeObject, written.record)
        assert condition(born, "Ready").status == "True"
        assert born.spec.taints == ()

    play(scene())


def test_a_status_is_written_when_it_says_something_new(node: Node, agent: Any, play: Any) -> None:
    async def scene() -> None:
        await asyncio.sleep(1)
        before = await registered(node)
        await asyncio.sleep(250)
        assert await registered(node) == before
        await node.runtime.import_image("late:1", b"")
        await asyncio.sleep(45)
        images = [image.names for image in (await registered(node)).status.images]
        assert ("late:1",) in images

    play(scene())


def test_only_heartbeats_change(node: Node, agent: Any, play: Any) -> None:
    async def scene() -> None:
        await asyncio.sleep(1)
        before = condition(await registered(node), "Ready")
        await asyncio.sleep(310)
        found = await registered(node)
        after = condition(found, "Ready")
        assert after.last_heartbeat_time > before.last_heartbeat_time
        assert after.last_transition_time == before.last_transition_time
        assert found.metadata.generation <= 1

    play(scene())


async def lease(node: Node) -> Lease:
    return await node.client.get(Lease, "node-1", "kube-node-lease")


def test_a_lease_is_renewed_with_every_heartbeat(node: Node, agent: Any, play: Any) -> None:
    async def scene() -> None:
        await asyncio.sleep(1)
        first, found = await lease(node), await registered(node)
        assert first.spec.holder_identity == "node-1"
        assert first.spec.lease_duration_seconds == 40
        (owner,) = first.metadata.owner_references
        assert (owner.kind, owner.uid) == ("Node", found.metadata.uid)
        await asyncio.sleep(10)
        second = await lease(node)
        assert parse_time(second.spec.renew_time) > parse_time(first.spec.renew_time)
        assert int(second.metadata.resource_version) > int(first.metadata.resource_version)

    play(scene())


def test_a_lease_that_somebody_removed_comes_back(node: Node, agent: Any, play: Any) -> None:
    async def scene() -> None:
        await asyncio.sleep(1)
        await node.client.delete(Lease, "node-1", "kube-node-lease")
        await asyncio.sleep(10)
        assert (await lease(node)).spec.holder_identity == "node-1"

    play(scene())


def test_a_node_names_its_images(node: Node, agent: Any, play: Any) -> None:
    async def scene() -> None:
        await node.runtime.import_image("late:1", b"")
        await asyncio.sleep(35)
        names = [image.names for image in (await registered(node)).status.images]
        assert ("late:1",) in names

    play(scene())


def test_what_others_wrote_stays(node: Node, agent: Any, play: Any) -> None:
    async def scene() -> None:
        await asyncio.sleep(1)
        found = await registered(node)
        labels = {**found.metadata.labels, "zone": "a"}
        del labels["kubernetes.io/os"]
        spec = found.spec.replace(unschedulable=True)
        await node.client.update(
            found.replace(metadata=found.metadata.replace(labels=labels), spec=spec)
        )
        await asyncio.sleep(15)
        found = await registered(node)
        assert found.metadata.labels["zone"] == "a"
        assert found.metadata.labels["kubernetes.io/os"] == "linux"
        assert found.spec.unschedulable

    play(scene())


def test_an_engine_that_is_away_makes_the_node_not_ready(node: Node, agent: Any, play: Any) -> None:
    async def scene() -> None:
        await asyncio.sleep(1)
        node.runtime.away = True
        await asyncio.sleep(15)
        ready = condition(await registered(node), "Ready")
        assert (ready.status, ready.reason) == ("False", "KubeletNotReady")
        assert "Docker does not answer" in ready.message
        node.runtime.away = False
        await asyncio.sleep(15)
        assert condition(await registered(node), "Ready").status == "True"

    play(scene())


def test_pools_of_huge_pages_are_read(tmp_path: Path) -> None:
    for name, pages in (("hugepages-2048kB", "512"), ("hugepages-1048576kB", "0")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "nr_hugepages").write_text(f"{pages}\n")
    limiting = Cgroups(tmp_path / "cgroup")
    (tmp_path / "cgroup" / "hugetlb").mkdir(parents=True)
    assert huge_pages(limiting, tmp_path) == {2 << 20: 1 << 30, 1 << 30: 0}
    assert huge_pages(limiting, tmp_path / "none") == {}
    unlimited = Cgroups(tmp_path / "none")
    assert huge_pages(unlimited, tmp_path) == {2 << 20: 0, 1 << 30: 0}
