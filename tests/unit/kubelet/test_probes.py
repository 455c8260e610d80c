"""Probes of pods on the simulated engine: they decide readiness and life, and prove a container."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from reconciler.model.podstatus import LIVENESS_UNPROVEN
from tests.unit.kubelet.node import Node, ready, waits


def test_an_exec_probe_decides_readiness_and_life(node: Node, play: Any) -> None:
    async def scene() -> None:
        probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 2}
        await node.create(container={"readinessProbe": probe})
        pod = await node.until(lambda p: p.status.phase == "Running")
        await asyncio.sleep(5)
        assert not ready(await node.pod() or pod)
        assert "Unhealthy" in node.events.reasons()
        await node.create("sick", container={"livenessProbe": probe})
        await node.until(
            lambda p: (
                p.status.container_statuses[0].restart_count == 1
                if p.status.container_statuses
                else False
            ),
            "sick",
        )
        assert "Killing" in node.events.reasons("sick")

    play(scene())


def test_a_liveness_probe_that_never_succeeds_leaves_its_pod_unproven_until_it_loops(
    node: Node, play: Any
) -> None:
    async def scene() -> None:
        probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 2}
        await node.create(container={"livenessProbe": probe})
        pod = await node.until(ready)
        while _restarts(pod) < 3:
            assert _unproven(pod) or not ready(pod)
            pod = await node.until(partial(_differs, pod))
        assert waits(await node.until(waits)) == "CrashLoopBackOff"

    play(scene())


def test_a_liveness_probe_proves_a_container_once_and_a_new_kubelet_believes_it(
    node: Node, play: Any
) -> None:
    async def scene() -> None:
        probe = {"exec": {"command": ["true"]}, "periodSeconds": 5, "initialDelaySeconds": 20}
        await node.create(container={"livenessProbe": probe})
        pod = await node.until(ready)
        assert _unproven(pod) == "no liveness probe has succeeded yet of [app]"
        began = node.clock.monotonic()
        proven = await node.until(lambda p: not _unproven(p))
        assert ready(proven)
        assert 19 < node.clock.monotonic() - began < 21
        await node.stop()
        await node.start()
        await asyncio.sleep(3)
        assert await node.pod() == proven

    play(scene())


def _unproven(pod: Any) -> str:
    return next((c.message for c in pod.status.conditions if c.type == LIVENESS_UNPROVEN), "")


def _restarts(pod: Any) -> int:
    return sum(each.restart_count for each in pod.status.container_statuses)


def _differs(pod: Any, other: Any) -> bool:
    return bool(other != pod)


def test_a_probe_that_nobody_can_ask_says_nothing(node: Node, play: Any) -> None:
    """Found by the simulation: a pod left its services as the engine was away for three periods."""

    async def scene() -> None:
        probe = {"exec": {"command": ["true"]}, "periodSeconds": 1, "failureThreshold": 2}
        await node.create(container={"readinessProbe": probe, "livenessProbe": probe})
        await node.until(ready)
        node.runtime.away = True
        await asyncio.sleep(10)
        node.runtime.away = False
        pod = await node.pod()
        assert pod is not None
        assert ready(pod)
        await asyncio.sleep(5)
        assert (await node.until(ready)).status.container_statuses[0].restart_count == 0
        assert "Unhealthy" in node.events.reasons()

    play(scene())


def test_a_pod_that_ends_is_ready_as_long_as_its_probe_says_so(node: Node, play: Any) -> None:
    async def scene() -> None:
        def probe(command: str) -> dict[str, Any]:
            return {"exec": {"command": [command]}, "periodSeconds": 1, "failureThreshold": 1}

        container = {
            "command": ["sh", "-c", "trap '' TERM; sleep 600"],
            "readinessProbe": probe("ask"),
            "livenessProbe": {**probe("look"), "failureThreshold": 2},
        }
        await node.create(container=container, terminationGracePeriodSeconds=20)
        pod = await node.until(ready)
        await node.client.delete(type(pod), "web", "default")
        node.runtime.failing.add("look")  # life is asked for no more
        await asyncio.sleep(5)
        pod = await node.until(ready)
        assert pod.status.container_statuses[0].restart_count == 0
        node.runtime.failing.add("ask")
        await node.until(lambda p: not ready(p), limit=2)
        assert await node.until_gone() > 10

    play(scene())
