"""Both faces of the container runtime behind one fixture."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator

import pytest

from reconciler.core.clock import SystemClock
from reconciler.kubelet.docker import DockerRuntime
from reconciler.kubelet.fake import FakeRuntime
from reconciler.kubelet.runtime import ContainerRuntime
from tests.integration.images import BUSYBOX, ensure_busybox

LABEL = "reconciler-test/contract"


def docker_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0


@pytest.fixture
def label() -> str:
    """A label that only this test's containers have."""
    return f"{LABEL}={uuid.uuid4().hex}"


@pytest.fixture(params=["fake", pytest.param("docker", marks=pytest.mark.integration)])
async def runtime(request: pytest.FixtureRequest, label: str) -> AsyncIterator[ContainerRuntime]:
    if request.param == "fake":
        fake = FakeRuntime(SystemClock(), (BUSYBOX,))
        yield fake
        await fake.close()
        return
    if not docker_answers():
        pytest.skip("no Docker engine answers")
    ensure_busybox()
    docker = DockerRuntime()
    yield docker
    for container in await docker.list(label):
        await docker.remove(container.id)
    await docker.close()
