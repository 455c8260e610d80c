"""Init containers, sidecars, hooks and deadlines on the simulated engine and a virtual clock."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from reconciler.model.container import EphemeralContainer
from reconciler.model.pod import Pod
from reconciler.model.podstatus import ContainerStatus
from tests.unit.kubelet.node import IMAGE, Node, ready, waits


def one(name: str, *command: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": IMAGE, "command": list(command), **fields}


def began(node: Node, name: str = "web") -> list[str]:
    return [
        message.removeprefix("Started container ")
        for pod, _kind, reason, message in node.events.told
        if pod == name and reason == "Started"
    ]


def test_init_containers_end_before_the_next_begins(node: Node, play: Any) -> None:
    async def scene() -> None:
        inits = [one("a", "sleep", "5"), one("b", "sleep", "7")]
        start = node.clock.monotonic()
        await node.create(initContainers=inits)
        await node.until(lambda pod: pod.status.phase == "Pending")
        pod = await node.until(ready)
        assert 12 <= node.clock.monotonic() - start < 13
        assert began(node) == ["a", "b", "app"]
        assert [s.ready for s in pod.status.init_container_statuses] == [True, True]

    play(scene())


def test_an_init_container_that_fails_for_good_fails_the_pod(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create(initContainers=[one("a", "false")], restartPolicy="Never")
        await node.until(lambda pod: pod.status.phase == "Failed")
        assert began(node) == ["a"]

    play(scene())


def test_an_init_container_backs_off(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create(initContainers=[one("a", "false")])
        pod = await node.until(
            lambda pod: _restarts(pod.status.init_container_statuses) == 2, limit=60
        )
        assert pod.status.phase == "Pending"
        assert "BackOff" in node.events.reasons()

    play(scene())


def test_a_sidecar_runs_beside_and_ends_after(node: Node, play: Any) -> None:
    async def scene() -> None:
        side = one("side", "serve", restartPolicy="Always")
        last = one("last", "serve", restartPolicy="Always")
        await node.create(
            initContainers=[side, last],
            container={"command": ["sleep", "3"]},
            restartPolicy="Never",
        )
        await node.until(lambda pod: pod.status.phase == "Succeeded")
        assert began(node) == ["side", "last", "app"]
        killed = [message for _, _, reason, message in node.events.told if reason == "Killing"]
        assert sorted(killed) == ["Stopping container last", "Stopping container side"]
        ended = {c.name.split("_")[1]: c.finished for c in await node.containers()}
        times = [ended["app"], ended["last"], ended["side"]]
        assert times == sorted(times, key=str)

    play(scene())


def test_a_post_start_hook_holds_readiness_back(node: Node, play: Any) -> None:
    async def scene() -> None:
        start = node.clock.monotonic()
        hook = {"postStart": {"exec": {"command": ["sleep", "4"]}}}
        await node.create(container={"lifecycle": hook})
        pod = await node.until(ready)
        assert 4 <= node.clock.monotonic() - start < 5
        assert pod.status.container_statuses[0].restart_count == 0

    play(scene())


def test_a_failed_post_start_hook_restarts_the_container(node: Node, play: Any) -> None:
    async def scene() -> None:
        hooks = {
            "postStart": {"exec": {"command": ["false"]}},
            "preStop": {"sleep": {"seconds": 3}},
        }
        await node.create(container={"lifecycle": hooks})

        def over(pod: Pod) -> bool:
            assert not ready(pod), "it serves although it never started"
            return waits(pod) == "CrashLoopBackOff"

        pod = await node.until(over)
        assert pod.status.container_statuses[0].restart_count >= 1
        told = [(reason, message) for _, _, reason, message in node.events.told]
        assert ("FailedPostStartHook", "PostStartHook failed: command exited with 1") in told
        assert ("Killing", "FailedPostStartHook") in told

    play(scene())


def _restarts(statuses: tuple[ContainerStatus, ...]) -> int:
    return sum(status.restart_count for status in statuses)


def test_a_pre_stop_hook_is_over_before_the_signal(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create(container={"lifecycle": {"preStop": {"sleep": {"seconds": 8}}}})
        await node.until(ready)
        await node.client.delete(Pod, "web", "default")
        assert 8 <= await node.until_gone() < 9

    play(scene())


def test_a_pre_stop_hook_that_takes_too_long_is_cut_off(node: Node, play: Any) -> None:
    async def scene() -> None:
        hook = {"preStop": {"exec": {"command": ["sleep", "500"]}}}
        await node.create(container={"lifecycle": hook})
        await node.until(ready)
        await node.client.delete(Pod, "web", "default")
        await asyncio.sleep(3)
        await node.client.delete(Pod, "web", "default", grace_period_seconds=6)
        assert 2.9 < await node.until_gone() < 3.5
        assert await node.containers() == []

    play(scene())


def test_a_failed_pre_stop_hook_is_told_and_delays_nothing(node: Node, play: Any) -> None:
    async def scene() -> None:
        hook = {"preStop": {"exec": {"command": ["false"]}}}
        await node.create(container={"lifecycle": hook})
        await node.until(ready)
        await node.client.delete(Pod, "web", "default")
        assert await node.until_gone() < 1
        assert "FailedPreStopHook" in node.events.reasons()

    play(scene())


def test_a_pod_past_its_active_deadline_fails(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create(activeDeadlineSeconds=20)
        await node.until(ready)
        pod = await node.until(lambda pod: pod.status.phase == "Failed")
        assert pod.status.reason == "DeadlineExceeded"
        assert "DeadlineExceeded" in node.events.reasons()
        assert [c for c in await node.containers() if c.phase == "running"] == []

    play(scene())


POLITE = ["sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.1; done"]


@pytest.mark.parametrize(("command", "phase"), [(POLITE, "Succeeded"), (["serve"], "Failed")])
def test_a_deleted_pod_that_is_held_says_how_it_ended(
    node: Node, play: Any, command: list[str], phase: str
) -> None:
    """Kubernetes' getPhase of a terminal pod: its restart policy no longer counts."""

    async def scene() -> None:
        container = {"command": command}
        await node.create(
            container=container, finalizers=["example.com/hold"], terminationGracePeriodSeconds=3
        )
        await node.until(ready)
        await node.client.delete(Pod, "web", "default")
        pod = await node.until(lambda pod: pod.status.phase == phase)
        (status,) = pod.status.container_statuses
        assert status.state.terminated is not None
        assert not ready(pod)

    play(scene())


def test_a_deleted_pod_that_never_began_has_failed(node: Node, play: Any) -> None:
    async def scene() -> None:
        missing = {"image": "missing:1"}
        await node.create(container=missing, finalizers=["example.com/hold"])
        await node.until(lambda pod: pod.status.phase == "Pending" and bool(pod.status.pod_ip))
        await node.client.delete(Pod, "web", "default")
        pod = await node.until(lambda pod: pod.status.phase == "Failed")
        (app,) = pod.status.container_statuses
        assert app.state.to_dict() == {
            "terminated": {
                "exitCode": 137,
                "reason": "ContainerStatusUnknown",
                "message": "The container could not be located when the pod was terminated",
                "startedAt": None,
                "finishedAt": None,
            }
        }
        made = "PodReadyToStartContainers"
        await node.until(
            lambda pod: any(c.type == made and c.status == "False" for c in pod.status.conditions)
        )
        assert await node.containers() == []

    play(scene())


def test_a_liveness_probe_brings_its_own_grace(node: Node, play: Any) -> None:
    async def scene() -> None:
        probe = {
            "exec": {"command": ["false"]},
            "periodSeconds": 1,
            "failureThreshold": 1,
            "terminationGracePeriodSeconds": 4,
        }
        stubborn, start = ["sh", "-c", "trap '' TERM; sleep 600"], node.clock.monotonic()
        await node.create(container={"command": stubborn, "livenessProbe": probe})
        pod = await node.until(lambda pod: _restarts(pod.status.container_statuses) == 1)
        last = pod.status.container_statuses[0].last_state.terminated
        assert last is not None
        assert last.exit_code == 137
        killing = "Container app failed liveness probe, will be restarted"
        assert killing in [message for *_, message in node.events.told]
        assert node.clock.monotonic() - start < 12

    play(scene())


def test_containers_start_side_by_side(node: Node, play: Any) -> None:
    async def scene() -> None:
        hook = {"postStart": {"exec": {"command": ["sleep", "3"]}}}
        start = node.clock.monotonic()
        containers = [one(name, "serve", lifecycle=hook) for name in ("a", "b", "c")]
        await node.create(containers=containers)
        await node.until(ready)
        assert node.clock.monotonic() - start < 4

    play(scene())


def test_a_sidecars_probes_are_asked(node: Node, play: Any) -> None:
    async def scene() -> None:
        probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 3}
        side = one("side", "serve", restartPolicy="Always", startupProbe=probe)
        await node.create(initContainers=[side])
        pod = await node.until(
            lambda pod: _restarts(pod.status.init_container_statuses) == 1, limit=60
        )
        assert pod.status.phase == "Pending"
        assert began(node).count("app") == 0
        assert "Init container side failed startup probe" in [m for *_, m in node.events.told]

    play(scene())


def test_a_container_that_is_not_restarted_fails_its_pod_with_its_probe(
    node: Node, play: Any
) -> None:
    async def scene() -> None:
        probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
        await node.create(container={"livenessProbe": probe}, restartPolicy="Never")
        await node.until(lambda pod: pod.status.phase == "Failed")
        assert "Container app failed liveness probe" in [m for *_, m in node.events.told]

    play(scene())


def test_a_sidecar_of_a_pod_that_ends_serves_on_and_is_not_asked_whether_it_lives(
    node: Node, play: Any
) -> None:
    """Liveness is off for sidecars too: they wait for their turn with their service up."""

    async def scene() -> None:
        def probe(command: str) -> dict[str, Any]:
            return {"exec": {"command": [command]}, "periodSeconds": 1, "failureThreshold": 1}

        probes = {"livenessProbe": probe("look"), "readinessProbe": probe("ask")}
        side = one("side", "serve", restartPolicy="Always", **probes)
        slow = {"command": ["sh", "-c", "trap '' TERM; sleep 600"]}
        await node.create(initContainers=[side], container=slow, terminationGracePeriodSeconds=20)
        pod = await node.until(ready)
        await node.client.delete(type(pod), "web", "default")
        node.runtime.failing.add("look")
        await asyncio.sleep(10)
        pod = await node.until(ready)
        assert _restarts(pod.status.init_container_statuses) == 0
        node.runtime.failing.add("ask")
        pod = await node.until(lambda pod: not ready(pod), limit=2)
        assert pod.status.init_container_statuses[0].state.running is not None
        await node.until_gone()

    play(scene())


def test_an_ephemeral_container_runs_beside_the_others(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create()
        pod = await node.until(ready)
        debug = EphemeralContainer(
            name="debug", image=IMAGE, command=("sleep", "3"), target_container_name="app"
        )
        spec = pod.spec.replace(ephemeral_containers=(debug,))
        await node.client.update(pod.replace(spec=spec), subresource="ephemeralcontainers")
        pod = await node.until(lambda pod: _ended(pod.status.ephemeral_container_statuses))
        assert ready(pod)
        await asyncio.sleep(100)
        assert began(node) == ["app", "debug"]

    play(scene())


def _ended(statuses: tuple[ContainerStatus, ...]) -> bool:
    return any(status.state.terminated is not None for status in statuses)


def test_a_wall_clock_that_is_set_neither_prolongs_nor_shortens_a_grace(
    node: Node, play: Any
) -> None:
    async def scene() -> None:
        for jump in (-3600, 3600):
            await node.create(
                containers=[one("app", "sh", "-c", "trap '' TERM; serve")],
                terminationGracePeriodSeconds=20,
            )
            await node.until(ready)
            await node.client.delete(Pod, "web", "default")
            await asyncio.sleep(5)
            node.clock.jump += timedelta(seconds=jump)
            assert 14 <= await node.until_gone() < 18

    play(scene())


def test_a_wall_clock_set_back_does_not_hold_up_a_restart(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create(containers=[one("app", "sh", "-c", "sleep 1; exit 1")])
        await node.until(lambda pod: _restarts(pod.status.container_statuses) == 1)
        node.clock.jump -= timedelta(hours=1)
        await node.until(lambda pod: _restarts(pod.status.container_statuses) == 2, limit=30)

    play(scene())
