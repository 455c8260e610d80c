"""Images from a real registry that wants to know who asks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.model.config import Secret
from reconciler.model.pod import Pod
from tests.integration.realnode import SERVER, RealNode, docker
from tests.integration.registries import PASSWORD, Registry, pull_secret_manifest
from tests.unit.kubelet.node import ready

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]


def pull_secret(kind: str, address: str, password: str) -> Secret:
    manifest = pull_secret_manifest(kind, address, password)
    return Secret.model_validate_json(json.dumps(manifest))


def reason(pod: Pod) -> str:
    waiting = [s.state.waiting for s in pod.status.container_statuses]
    return waiting[0].reason if waiting and waiting[0] else ""


SECRETS: dict[str, Any] = {"imagePullSecrets": [{"name": "pull"}]}


@pytest.mark.parametrize("kind", ["dockerconfigjson", "dockercfg"])
async def test_many_pods_pull_once_with_their_account(
    node: RealNode, registry: Registry, kind: str
) -> None:
    image = registry.push(f"team/{kind}:1")
    await node.client.create(pull_secret(kind, registry.address, PASSWORD))
    before = registry.pulls(f"team/{kind}:1")
    container = {"image": image, "command": SERVER, "imagePullPolicy": "IfNotPresent"}
    names = [f"pod-{number}" for number in range(5)]
    try:
        for name in names:
            await node.create(name, container=container, **SECRETS)
        for name in names:
            pod = await node.until(ready, name, limit=40)
        status = pod.status.container_statuses[0]
        assert status.image_id.startswith(
            f"docker-pullable://{registry.address}/team/{kind}@sha256:"
        )
        assert registry.pulls(f"team/{kind}:1") == before + 1
        assert any(reason == "Pulling" for _, _, reason, _ in node.events.told)
        assert PASSWORD not in str(node.events.told)
    finally:
        for name in names:
            await node.client.delete(Pod, name, "default", grace_period_seconds=1)
        for name in names:
            await node.until_gone(name, limit=30)
        docker("rmi", "-f", image)


async def test_a_wrong_password_is_told_until_it_is_mended(
    node: RealNode, registry: Registry
) -> None:
    image = registry.push("team/closed:1")
    await node.client.create(pull_secret("dockerconfigjson", registry.address, "wrong-one"))
    await node.create(container={"image": image, "command": SERVER}, **SECRETS)
    pod = await node.until(lambda pod: reason(pod) == "ErrImagePull", limit=20)
    waiting = pod.status.container_statuses[0].state.waiting
    assert waiting is not None
    assert "wrong-one" not in waiting.message
    await node.until(lambda pod: reason(pod) == "ImagePullBackOff", limit=20)
    mended = await node.client.get(Secret, "pull", "default")
    right = pull_secret("dockerconfigjson", registry.address, PASSWORD)
    await node.client.update(mended.replace(data=right.data))
    try:
        await node.until(ready, limit=30)
    finally:
        await node.client.delete(Pod, "web", "default", grace_period_seconds=1)
        await node.until_gone(limit=30)
        docker("rmi", "-f", image)
