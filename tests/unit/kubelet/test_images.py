"""Pulls: one for all who wait, with back-off, accounts and words about their progress."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from reconciler.kubelet.dockerpull import PullProgress
from reconciler.kubelet.runtime import Credentials
from reconciler.model.config import Secret
from reconciler.model.pod import Pod
from tests.unit.kubelet.node import Node, ready

REMOTE = "registry.example.com/app:1"


def reason(pod: Pod) -> str:
    waiting = [s.state.waiting for s in pod.status.container_statuses]
    return waiting[0].reason if waiting and waiting[0] else ""


def told(node: Node, reason: str) -> list[str]:
    return [message for _, _, told, message in node.events.told if told == reason]


def test_many_pods_wait_for_one_pull(node: Node, play: Any) -> None:
    async def scene() -> None:
        node.runtime.registry.add(REMOTE)
        node.runtime.pull_seconds = 25
        names = [f"pod-{number}" for number in range(20)]
        for name in names:
            await node.create(name, container={"image": REMOTE, "imagePullPolicy": "Always"})
        for name in names:
            await node.until(ready, name)
        assert node.runtime.pulls == [REMOTE]
        pulling = told(node, "Pulling")
        assert pulling.count(f'Pulling image "{REMOTE}"') == 20
        assert f'Pulling image "{REMOTE}": 1 of 2 layers' in pulling
        assert told(node, "Pulled")[0].startswith(f'Successfully pulled image "{REMOTE}" in 25.')

    play(scene())


def test_a_failed_pull_backs_off(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create(container={"image": REMOTE})
        await node.until(lambda pod: reason(pod) == "ErrImagePull")
        pod = await node.until(lambda pod: reason(pod) == "ImagePullBackOff")
        assert pod.status.phase == "Pending"
        await asyncio.sleep(40)
        assert 2 <= len(node.runtime.pulls) <= 4
        node.runtime.registry.add(REMOTE)
        await node.until(ready, limit=400)

    play(scene())


def test_an_image_is_told_before_what_fails_with_it(node: Node, play: Any) -> None:
    """As the kubelet does: how a container's image came is said though it cannot be started."""

    async def scene() -> None:
        node.runtime.registry.add(REMOTE)
        reference = {"configMapKeyRef": {"name": "none", "key": "k"}}
        env = [{"name": "A", "valueFrom": reference}]
        await node.create(container={"image": REMOTE, "env": env})
        await node.until(lambda pod: reason(pod) == "CreateContainerConfigError")
        assert node.events.reasons()[:3] == ["Pulling", "Pulled", "Failed"]
        assert told(node, "Pulled")[0].startswith("Successfully pulled image")
        await node.create("wrong", container={"command": ["missing"]}, restartPolicy="Never")
        await node.until(lambda pod: pod.status.phase == "Failed", "wrong")
        assert node.events.reasons("wrong") == ["Pulled", "Created", "Failed"]

    play(scene())


def test_an_image_that_must_be_there_is_not_pulled(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create(container={"image": REMOTE, "imagePullPolicy": "Never"})
        await node.until(lambda pod: reason(pod) == "ErrImageNeverPull")
        assert node.runtime.pulls == []

    play(scene())


def test_a_name_that_is_none_is_told(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create(container={"image": "registry.example.com/App"})
        pod = await node.until(lambda pod: reason(pod) == "InvalidImageName")
        waiting = pod.status.container_statuses[0].state.waiting
        assert waiting is not None
        assert "invalid reference format" in waiting.message
        assert told(node, "InspectFailed")

    play(scene())


@pytest.mark.parametrize("right", [True, False])
def test_accounts_are_tried_in_turn(node: Node, play: Any, right: bool) -> None:
    async def scene() -> None:
        node.runtime.registry.add(REMOTE)
        node.runtime.accounts[REMOTE] = Credentials("good", "p")
        users = ["good", "bad"] if right else ["bad"]
        for user in users:
            await node.client.create(_secret(user))
        names = [{"name": f"s-{user}"} for user in ("bad", "good")]
        await node.create(container={"image": REMOTE}, imagePullSecrets=names)
        if right:
            await node.until(ready)
            assert told(node, "FailedToRetrieveImagePullSecret") == []
        else:
            await node.until(lambda pod: reason(pod) == "ErrImagePull")
            assert "(s-good)" in told(node, "FailedToRetrieveImagePullSecret")[0]
        assert "p4ss" not in str(node.events.told)

    play(scene())


def _secret(user: str) -> Secret:
    server = "registry.example.com" + ("/app" if user == "bad" else "")
    auths = {"auths": {server: {"username": user, "password": "p" if user == "good" else "p4ss"}}}
    manifest = {
        "metadata": {"name": f"s-{user}", "namespace": "default"},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(json.dumps(auths).encode()).decode()},
    }
    return Secret.model_validate_json(json.dumps(manifest))


def test_the_progress_of_a_pull_in_words() -> None:
    progress = PullProgress()
    progress.take({"status": "Pulling from library/app", "id": "1"})
    progress.take({"status": "Already exists", "id": "a"})
    progress.take({"status": "Pulling fs layer", "id": "b"})
    detail = {"current": 2_500_000, "total": 10_000_000}
    progress.take({"status": "Downloading", "id": "b", "progressDetail": detail})
    assert progress.text() == "1 of 2 layers done, 2.5 of 10.0 MB downloaded"
    progress.take({"status": "Download complete", "id": "b"})
    progress.take({"status": "Extracting", "id": "b", "progressDetail": {"current": 1}})
    assert progress.text() == "1 of 2 layers done, 10.0 of 10.0 MB downloaded"
    progress.take({"status": "Pull complete", "id": "b"})
    progress.take({"status": "Digest: sha256:0"})
    assert progress.text() == "2 of 2 layers done, 10.0 of 10.0 MB downloaded"
