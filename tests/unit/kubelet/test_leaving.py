"""Leave before you die: no signal while a service still sends to the pod."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from reconciler.model.endpointslice import EndpointSlice
from reconciler.model.gitops import ProxyState
from reconciler.model.meta import OwnerReference
from reconciler.model.pod import Pod
from reconciler.model.retirement import STOPPED
from tests.unit.kubelet.node import Node, ready

OWNERS = (
    OwnerReference(
        api_version="v1", kind="ReplicationController", name="web", uid="rc", controller=True
    ),
)


def slice_of(address: str, **conditions: bool) -> EndpointSlice:
    endpoint = {"addresses": [address], "conditions": conditions}
    meta = {"name": "web", "namespace": "default"}
    told = {"metadata": meta, "addressType": "IPv4", "endpoints": [endpoint]}
    return EndpointSlice.model_validate_json(json.dumps(told))


async def proxy_has(node: Node, version: str) -> None:
    state = await node.client.get(ProxyState, "node-1")
    status = state.status.replace(endpoints_resource_version=version)
    await node.client.update(state.replace(status=status), subresource="status")


async def served(node: Node) -> tuple[Pod, EndpointSlice]:
    """Run a pod that a service sends to, as the proxy has told."""
    await node.create()
    pod = await node.until(ready)
    listed = await node.client.create(slice_of(pod.status.pod_ip))
    proxy = b'{"metadata":{"name":"node-1"}}'
    await node.client.create(ProxyState.model_validate_json(proxy))
    await proxy_has(node, listed.metadata.resource_version)
    await asyncio.sleep(1)
    return pod, listed


def _runs(pod: Any) -> bool:
    return any(status.state.running for status in pod.status.container_statuses)


async def change(node: Node, image: str = "app:1", **notes: str) -> None:
    pod = await node.client.get(Pod, "web", "default")
    (container,) = pod.spec.containers
    spec = pod.spec.replace(containers=(container.replace(image=image),))
    meta = pod.metadata.replace(annotations=notes, owner_references=OWNERS)
    await node.client.update(pod.replace(metadata=meta, spec=spec))


def test_a_pod_ends_only_when_the_proxies_have_let_go(node: Node, play: Any) -> None:
    async def scene() -> None:
        pod, listed = await served(node)
        await node.client.delete(Pod, "web", "default")
        await asyncio.sleep(0.3)
        assert "Killing" not in node.events.reasons()
        leaving = slice_of(pod.status.pod_ip, ready=False, serving=True, terminating=True)
        left = await node.client.update(leaving.replace(metadata=listed.metadata))
        await asyncio.sleep(0.1)
        assert "Killing" not in node.events.reasons()  # the kernel still sends to it
        await proxy_has(node, left.metadata.resource_version)
        assert await node.until_gone() < 0.1

    play(scene())


def test_nobody_waits_for_a_service_that_wants_the_unready(node: Node, play: Any) -> None:
    async def scene() -> None:
        pod = await node.create()
        pod = await node.until(ready)
        address = pod.status.pod_ip  # publishNotReadyAddresses: ready to the end
        await node.client.create(slice_of(address, ready=True, serving=True, terminating=True))
        await asyncio.sleep(1)
        await node.client.delete(Pod, "web", "default")
        assert await node.until_gone() < 0.1

    play(scene())


def test_the_wait_for_the_proxies_has_an_end(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create()
        pod = await node.until(ready)
        await node.client.create(slice_of(pod.status.pod_ip))
        await asyncio.sleep(1)
        await node.client.delete(Pod, "web", "default")
        assert 1 <= await node.until_gone() < 1.2

    play(scene())


def test_a_pod_that_rests_keeps_its_sandbox_and_runs_again_when_told(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create()
        first = await node.until(ready)
        await change(node, **{STOPPED: "true"})
        rests = await node.until(lambda pod: not ready(pod) and not _runs(pod))
        assert rests.status.phase == "Running"
        assert rests.status.pod_ip == first.status.pod_ip
        await asyncio.sleep(60)
        (box,) = [c for c in await node.containers() if "k8s_POD" in c.name]
        assert box.phase == "running"
        assert not any(c.phase == "running" for c in await node.containers() if c != box)
        await node.stop()
        await node.start()
        await asyncio.sleep(60)
        assert not any(c.phase == "running" for c in await node.containers() if c != box)
        await change(node)
        again = await node.until(ready, limit=2)
        assert again.metadata.uid == first.metadata.uid
        assert again.status.pod_ip == first.status.pod_ip
        assert again.status.container_statuses[0].restart_count == 1
        assert [c.id for c in await node.containers() if "k8s_POD" in c.name] == [box.id]

    play(scene())


def test_a_container_that_was_told_to_end_is_not_ready_again_before_it_has(
    node: Node, play: Any
) -> None:
    async def scene() -> None:
        stubborn = ["sh", "-c", "trap '' TERM; sleep 600"]
        await node.create(container={"command": stubborn}, terminationGracePeriodSeconds=5)
        first = await node.until(ready)
        await change(node, **{STOPPED: "true"})
        await node.until(lambda _: "Killing" in node.events.reasons())
        await asyncio.sleep(1)
        await change(node)
        seen = await node.until(ready, limit=10)
        assert seen.status.container_statuses[0].restart_count == 1
        assert seen.metadata.uid == first.metadata.uid

    play(scene())


def test_a_pod_that_is_taken_from_its_controller_rests_no_longer(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create()
        await node.until(ready)
        await change(node, **{STOPPED: "true"})
        rests = await node.until(lambda pod: not ready(pod) and not _runs(pod))
        await asyncio.sleep(60)
        free = rests.metadata.replace(owner_references=(), resource_version="")
        await node.client.update(rests.replace(metadata=free))
        again = await node.until(ready, limit=2)
        assert again.metadata.uid == rests.metadata.uid

    play(scene())


@pytest.mark.parametrize("how", ["rests", "gets another image"])
def test_a_pod_that_comes_back_leaves_its_services_first(node: Node, play: Any, how: str) -> None:
    async def scene() -> None:
        node.runtime.registry.add("app:2")
        _, listed = await served(node)
        await (change(node, **{STOPPED: "true"}) if how == "rests" else change(node, "app:2"))
        left = await node.until(lambda p: not ready(p), limit=0.2)
        assert _runs(left)
        assert left.status.container_statuses[0].image == "app:1"
        unready = slice_of(left.status.pod_ip, ready=False)
        gone = await node.client.update(unready.replace(metadata=listed.metadata))
        await asyncio.sleep(0.1)
        assert "Killing" not in node.events.reasons()  # the kernel still sends to it
        await proxy_has(node, gone.metadata.resource_version)
        await asyncio.sleep(0.1)
        assert "Killing" in node.events.reasons()
        await asyncio.sleep(5)
        wanted = "app:1" if how == "rests" else "app:2"
        await change(node, wanted)
        assert (await node.until(ready)).status.container_statuses[0].image == wanted

    play(scene())


def test_a_pod_waits_anew_for_each_time_it_leaves(node: Node, play: Any) -> None:
    async def scene() -> None:
        node.runtime.registry |= {"app:2", "app:3"}
        await node.create()
        pod = await node.until(ready)
        await node.client.create(slice_of(pod.status.pod_ip))
        for image in ("app:2", "app:3"):
            await asyncio.sleep(5)
            await change(node, image)
            await asyncio.sleep(0.9)
            assert node.events.reasons().count("Killing") == int(image == "app:3")
            await asyncio.sleep(0.2)
            await node.until(ready)

    play(scene())
