"""The death of a pod's process is told at once, and no longer than it matters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from reconciler.kubelet.processes import PidFds
from reconciler.model.meta import ObjectMeta
from reconciler.model.pod import Pod
from reconciler.model.service import Service, ServicePort, ServiceSpec
from tests.unit.kubelet.node import Node, ready

Play = Callable[[Coroutine[Any, Any, None]], None]
SLEEP = {"command": ["sleep", "1000"]}


async def create(node: Node, **spec: Any) -> Pod:
    """Create a pod behind a service and wait until it is ready."""
    port = ServicePort(port=80, protocol="TCP")
    service = ServiceSpec(selector={"app": "web"}, ports=(port,))
    meta = ObjectMeta(name="web", namespace="default")
    await node.client.create(Service(metadata=meta, spec=service))
    await node.create(labels={"app": "web"}, **spec)
    pod = await node.until(ready)
    await until(lambda: pod.spec.host_network or is_watched(node))
    return pod


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


def runs(node: Node) -> bool:
    """Whether the container "app" runs."""
    every = node.runtime._containers.values()
    return any("k8s_app_" in each.name and each.pid for each in every)


def restarts(pod: Pod) -> int:
    statuses = (*pod.status.init_container_statuses, *pod.status.container_statuses)
    return sum(each.restart_count for each in statuses)


def is_watched(node: Node) -> bool:
    running = {each.pid for each in node.runtime._containers.values() if each.pid}
    return running == {pid for pid, watchers in node.runtime._watchers.items() if watchers}


def lost(node: Node, pod: Pod) -> bool:
    return pod.status.pod_ip in node.casualties


def test_a_death_is_told_before_anything_else_and_until_the_pod_is_ready_again(
    node: Node, play: Play
) -> None:
    async def scene() -> None:
        pod = await create(node)
        told: list[tuple[bool, bool]] = []
        node.casualties.subscribe(lambda _: told.append((lost(node, pod), runs(node))))
        node.runtime.end((await node.app()).id, 137)
        assert lost(node, pod)
        assert ready(await node.until(lambda _: True)), "the status cannot have said so yet"
        await node.until(lambda pod: ready(pod) and restarts(pod) == 1)
        await until(lambda: not lost(node, pod))
        assert told == [(True, False), (False, True)]

    play(scene())


def test_a_container_that_the_engine_starts_again_by_itself_is_one_that_lives(
    node: Node, play: Play
) -> None:
    async def scene() -> None:
        pod = await create(node)
        app = await node.app()
        node.runtime.end(app.id, 0)
        ended = node.runtime._containers[app.id]
        node.runtime._containers[app.id] = replace(ended, phase="running", pid=app.pid + 1000)
        assert lost(node, pod)
        node.kubelet._again(next(iter(node.kubelet._cache.pods())))
        await node.until(lambda pod: ready(pod) and not lost(node, pod))

    play(scene())


def test_the_death_of_the_sandbox_and_of_a_sidecar_counts(node: Node, play: Play) -> None:
    async def scene() -> None:
        sidecar = {"name": "side", "image": node.image, "restartPolicy": "Always", **SLEEP}
        pod = await create(node, initContainers=[sidecar])
        for turn, name in enumerate(("k8s_side_", "k8s_POD_"), 1):
            running = [c for c in await node.containers() if c.phase == "running"]
            node.runtime.end(next(c.id for c in running if name in c.name), 137)
            assert lost(node, pod), name
            pod = await node.until(lambda pod, turn=turn: ready(pod) and restarts(pod) >= turn)
            await until(lambda: is_watched(node) and not node.casualties)

    play(scene())


def test_an_init_container_that_ends_is_no_loss(node: Node, play: Play) -> None:
    async def scene() -> None:
        told: list[str] = []
        node.casualties.subscribe(told.append)
        await node.create(
            initContainers=[{"name": "init", "image": node.image, "command": ["true"]}]
        )
        await node.until(ready)
        assert told == []

    play(scene())


def test_the_address_of_a_pod_that_ended_is_nobodys(node: Node, play: Play) -> None:
    async def scene() -> None:
        pod = await create(node, restartPolicy="Never")
        node.runtime.end((await node.app()).id, 0)
        assert lost(node, pod)
        await node.until(lambda pod: pod.status.phase == "Succeeded")
        await node.client.delete(Pod, "web", "default")
        await node.until_gone()
        assert not node.casualties
        assert is_watched(node), "of the dead nobody is watched"

    play(scene())


def test_a_pod_on_the_hosts_network_shares_its_address(node: Node, play: Play) -> None:
    async def scene() -> None:
        await create(node, hostNetwork=True)
        node.runtime.end((await node.app()).id, 137)
        assert not node.casualties

    play(scene())


@pytest.mark.parametrize("unwatched", [False, True])
async def test_the_kernel_tells_that_a_process_ended(unwatched: bool) -> None:
    heard = asyncio.Event()
    process = await asyncio.create_subprocess_exec("sleep", "60")
    unwatch = PidFds().watch(process.pid, heard.set)
    if unwatched:
        unwatch()
    process.kill()
    await process.wait()
    if not unwatched:
        await asyncio.wait_for(heard.wait(), 5)
    assert heard.is_set() is not unwatched
    unwatch()
    with pytest.raises(ProcessLookupError):
        PidFds().watch(process.pid, heard.set)
