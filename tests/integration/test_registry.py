"""Images from a real registry that wants to know who asks."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.config import Secret
from reconciler.model.pod import Pod
from tests.integration.images import ensure_busybox
from tests.integration.realnode import SERVER, RealNode, docker
from tests.unit.kubelet.node import ready

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

USER, PASSWORD = "puller", "pa55word"
# The password above, hashed as htpasswd does.
_HASH = "$2b$04$5R7SH7j9Nc79fCM6HSwP7O6QXyGS3VRkGej2ZCovkYTVPBZVnIZbi"


@dataclass
class Registry:
    """A registry on this host, and the log of what it was asked."""

    address: str
    log: Path
    configuration: Path

    def push(self, name: str) -> str:
        """Put an image there; return its name. It is not on this host any more."""
        image = f"{self.address}/{name}"
        docker("tag", ensure_busybox(), image)
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        (self.configuration / "config.json").write_text(
            json.dumps({"auths": {self.address: {"auth": login}}})
        )
        docker("--config", str(self.configuration), "push", "-q", image)
        docker("rmi", image)
        return image

    def pulls(self, name: str) -> int:
        """Return how often the image was asked for by its tag, which each pull begins with."""
        wanted = f"HEAD /v2/{name.replace(':', '/manifests/')} "
        return sum(wanted in line and '" 200 ' in line for line in self.log.read_text().split("\n"))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    if shutil.which("docker-registry") is None:
        pytest.skip("needs Debian's docker-registry")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (tmp_path / "htpasswd").write_text(f"{USER}:{_HASH}\n")
    (tmp_path / "registry.yml").write_text(
        json.dumps(
            {
                "version": 0.1,
                "storage": {"filesystem": {"rootdirectory": str(tmp_path / "images")}},
                "http": {"addr": address},
                "auth": {"htpasswd": {"realm": "test", "path": str(tmp_path / "htpasswd")}},
            }
        )
    )
    log = tmp_path / "registry.log"
    with log.open("w") as out:
        command = ["docker-registry", "serve", str(tmp_path / "registry.yml")]
        process = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ)
        try:
            _await(address)
            configuration = tmp_path / "docker"
            configuration.mkdir()
            yield Registry(address, log, configuration)
        finally:
            process.terminate()
            process.wait()


def _await(address: str) -> None:
    host, _, port = address.partition(":")
    deadline = time.monotonic() + 15
    while True:
        try:
            socket.create_connection((host, int(port)), 1).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)  # a foreign program: nothing else tells when it listens
        else:
            return


def pull_secret(kind: str, address: str, password: str) -> Secret:
    entry = {address: {"username": USER, "password": password}}
    content = {"auths": entry} if kind == "dockerconfigjson" else entry
    data = {f".{kind}": base64.b64encode(json.dumps(content).encode()).decode()}
    metadata = {"name": "pull", "namespace": "default"}
    manifest = {"metadata": metadata, "type": f"kubernetes.io/{kind}", "data": data}
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
