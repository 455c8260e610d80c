"""A real registry on this host that wants to know who asks."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.images import ensure_busybox
from tests.integration.realnode import docker

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


@contextmanager
def running_registry(tmp_path: Path) -> Iterator[Registry]:
    """Run a registry until the end of the block; skip the test where there is no program."""
    if shutil.which("docker-registry") is None:
        pytest.skip("needs Debian's docker-registry")
    tmp_path.mkdir()
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


def pull_secret_manifest(kind: str, address: str, password: str = PASSWORD) -> dict[str, Any]:
    """Return a Secret `pull` with the account for a registry, of the type kubernetes.io/`kind`."""
    entry = {address: {"username": USER, "password": password}}
    content = {"auths": entry} if kind == "dockerconfigjson" else entry
    data = {f".{kind}": base64.b64encode(json.dumps(content).encode()).decode()}
    metadata = {"name": "pull", "namespace": "default"}
    return {
        "apiVersion": "v1", "kind": "Secret", "metadata": metadata,
        "type": f"kubernetes.io/{kind}", "data": data,
    }  # fmt: skip
