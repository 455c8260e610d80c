"""Pods on the simulated engine, from their object to their end, on a virtual clock."""

from __future__ import annotations

import asyncio
from typing import Any

from reconciler.kubelet.labels import MANAGED
from reconciler.kubelet.runtime import ContainerSpec
from tests.unit.kubelet.node import HOST_IP, Node, ready, waits


def test_a_pod_starts_and_says_so(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create()
        pod = await node.until(ready)
        sandbox, app = await node.sandbox(), await node.app()
        assert pod.status.phase == "Running"
        assert pod.status.host_ip == HOST_IP
        assert pod.status.pod_ip == "10.244.0.2"
        assert pod.status.qos_class == "BestEffort"
        assert pod.status.container_statuses[0].container_id == f"docker://{app.id}"
        assert [address for _pid, address in node.network.attached.values()] == ["10.244.0.2"]
        assert app.labels["io.kubernetes.sandbox.id"] == sandbox.id
        assert app.name == f"k8s_app_web_default_{pod.metadata.uid}_0"
        assert node.events.reasons() == ["Pulled", "Created", "Started"]

    play(scene())


def test_nothing_more_is_done_when_nothing_changes(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create()
        before = await node.until(ready)
        containers = await node.containers()
        await asyncio.sleep(2000)  # several relists
        assert await node.pod() == before
        assert await node.containers() == containers

    play(scene())


def test_a_deleted_pod_leaves_nothing(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create()
        await node.until(ready)
        await node.client.delete(type(await node.pod()), "web", "default")
        assert await node.until_gone() < 1
        assert await node.containers() == []
        assert node.network.attached == {}
        assert list((node.root / "state" / "pods").iterdir()) == []
        assert node.events.reasons()[-1] == "Killing"

    play(scene())


def test_a_stubborn_pod_is_killed_when_its_grace_is_over(node: Node, play: Any) -> None:
    async def scene() -> None:
        command = ["sh", "-c", "trap '' TERM; sleep 600"]
        await node.create(container={"command": command}, terminationGracePeriodSeconds=7)
        pod = await node.until(ready)
        await node.client.delete(type(pod), "web", "default")
        assert 7 <= await node.until_gone() < 8.5

    play(scene())


def test_a_pod_whose_container_vanished_without_a_word_ends_soon(node: Node, play: Any) -> None:
    """Nothing comes of a signal to a container that is not there, and no event calls back."""

    async def scene() -> None:
        await node.create(terminationGracePeriodSeconds=2)
        pod = await node.until(ready)
        del node.runtime._containers[(await node.app()).id]
        await node.client.delete(type(pod), "web", "default")
        assert await node.until_gone() < 10

    play(scene())


def test_a_second_deletion_shortens_the_grace(node: Node, play: Any) -> None:
    async def scene() -> None:
        command = ["sh", "-c", "trap '' TERM; sleep 600"]
        pod = await node.create(container={"command": command})
        await node.until(ready)
        await node.client.delete(type(pod), "web", "default")
        await asyncio.sleep(3)
        await node.client.delete(type(pod), "web", "default", grace_period_seconds=1)
        assert await node.until_gone() < 3

    play(scene())


def test_a_container_that_dies_runs_again_at_once(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create()
        await node.until(ready)
        first = await node.app()
        node.runtime.end(first.id, 3)
        pod = await node.until(lambda p: p.status.container_statuses[0].restart_count == 1, limit=1)
        status = pod.status.container_statuses[0]
        assert status.last_state.terminated is not None
        assert status.last_state.terminated.exit_code == 3
        assert status.last_state.terminated.container_id == f"docker://{first.id}"
        assert (await node.app()).id != first.id

    play(scene())


def test_a_crash_loop_backs_off_and_survives_a_restart_of_the_kubelet(
    node: Node, play: Any
) -> None:
    async def scene() -> None:
        await node.create(container={"command": ["false"]})
        looping = await node.until(lambda p: waits(p) == "CrashLoopBackOff")
        assert looping.status.phase == "Running"
        assert looping.status.container_statuses[0].restart_count == 1
        began = node.clock.monotonic()
        await node.stop()
        await node.start()
        await node.until(lambda p: p.status.container_statuses[0].restart_count == 2)
        assert 9 < node.clock.monotonic() - began < 11
        began = node.clock.monotonic()
        await node.until(lambda p: p.status.container_statuses[0].restart_count == 3)
        assert 19 < node.clock.monotonic() - began < 21
        dead = [c for c in await node.containers() if "k8s_app" in c.name]
        assert len(dead) <= 2

    play(scene())


def test_a_container_removed_by_hand_comes_back(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create()
        await node.until(ready)
        first = await node.app()
        await node.runtime.remove(first.id)
        pod = await node.until(lambda p: p.status.container_statuses[0].restart_count == 1, limit=1)
        assert pod.status.container_statuses[0].last_state.terminated.exit_code == 137
        await node.until(ready, limit=1)

    play(scene())


def test_a_sandbox_that_dies_gives_a_new_address(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create()
        before = await node.until(ready)
        await node.runtime.remove((await node.sandbox()).id)
        after = await node.until(
            lambda p: ready(p) and p.status.pod_ip != before.status.pod_ip, limit=1
        )
        assert after.status.pod_ip == "10.244.0.3"
        assert len([c for c in await node.containers() if c.phase == "running"]) == 2
        assert [address for _pid, address in node.network.attached.values()] == ["10.244.0.3"]
        assert "SandboxChanged" in node.events.reasons()

    play(scene())


def test_running_pods_outlive_the_kubelet(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create()
        before = await node.until(ready)
        containers = await node.containers()
        await node.stop()
        await node.start()
        await node.create("other")
        other = await node.until(ready, "other")
        assert await node.pod() == before
        assert [c for c in await node.containers() if "_web_" in c.name] == containers
        assert other.status.pod_ip != before.status.pod_ip

    play(scene())


def test_containers_of_pods_that_are_gone_are_removed(node: Node, play: Any) -> None:
    async def scene() -> None:
        pod = await node.create()
        await node.until(ready)
        await node.stop()
        await node.client.delete(type(pod), "web", "default", grace_period_seconds=0)
        assert await node.pod() is None
        await node.start()
        await asyncio.sleep(5)
        assert await node.containers() == []
        assert node.network.attached == {}
        assert list((node.root / "state" / "pods").iterdir()) == []

    play(scene())


def test_what_a_crash_left_of_reading_an_image_is_removed(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create()
        await node.until(ready)
        await node.stop()
        spec = ContainerSpec("left", node.image, labels={MANAGED: node.options.scope})
        await node.runtime.create(spec)
        await node.start()
        kept = await node.until(ready)
        await asyncio.sleep(1)
        assert [c.name for c in await node.containers() if c.name == "left"] == []
        assert kept.status.container_statuses[0].restart_count == 0

    play(scene())


def test_users_and_groups_of_an_image_are_read_once(node: Node, play: Any) -> None:
    async def scene() -> None:
        node.runtime.files["/etc/passwd"] = b"app:x:1000:1001::/:\n"
        strict = {"runAsUser": 1000, "supplementalGroupsPolicy": "Strict"}
        for name in ("a", "b", "c"):
            await node.create(name, securityContext=strict)
        for name in ("a", "b", "c"):
            await node.until(ready, name)
        specs = node.runtime._specs
        users = {specs[c.id].security.user for c in await node.containers() if "_app_" in c.name}
        assert users == {"1000:1001"}

    play(scene())


def test_a_job_succeeds_and_keeps_its_result(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create(container={"command": ["true"]}, restartPolicy="Never")
        pod = await node.until(lambda p: p.status.phase == "Succeeded")
        assert pod.status.container_statuses[0].state.terminated.reason == "Completed"
        await asyncio.sleep(10)
        (dead,) = await node.containers()
        assert dead.phase == "exited"
        await node.client.delete(type(pod), "web", "default")
        assert await node.until_gone() == 0  # a terminal pod's object goes at once
        await asyncio.sleep(1)
        assert await node.containers() == []

    play(scene())


def test_a_failed_job_fails(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create(container={"command": ["false"]}, restartPolicy="Never")
        pod = await node.until(lambda p: p.status.phase == "Failed")
        assert pod.status.container_statuses[0].state.terminated.exit_code == 1

    play(scene())


def test_on_failure_restarts_only_failures(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create(container={"command": ["false"]}, restartPolicy="OnFailure")
        await node.until(lambda p: waits(p) == "CrashLoopBackOff")
        await node.create("done", container={"command": ["true"]}, restartPolicy="OnFailure")
        await node.until(lambda p: p.status.phase == "Succeeded", "done")

    play(scene())


def test_an_image_is_pulled_once_and_a_missing_one_told(node: Node, play: Any) -> None:
    async def scene() -> None:
        node.runtime.registry.add("pulled:1")
        await node.create(container={"image": "pulled:1"})
        await node.until(ready)
        await node.create("bad", container={"image": "missing:1"})
        await node.until(lambda p: waits(p) == "ErrImagePull", "bad")
        await node.until(lambda p: waits(p) == "ImagePullBackOff", "bad")
        node.runtime.registry.add("missing:1")
        await node.until(ready, "bad", limit=30)
        await node.create("never", container={"image": "no:1", "imagePullPolicy": "Never"})
        await node.until(lambda p: waits(p) == "ErrImageNeverPull", "never")

    play(scene())


def test_what_cannot_be_started_says_why(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create(container={"command": ["missing"]})
        pod = await node.until(lambda p: waits(p) != "" and waits(p) != "ContainerCreating")
        ended = pod.status.container_statuses[0].last_state.terminated
        assert ended is not None
        assert ended.exit_code == 127
        assert ended.reason == "ContainerCannotRun"

    play(scene())
