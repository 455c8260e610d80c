"""Both faces of the container runtime behind one fixture."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from reconciler.core.clock import SystemClock
from reconciler.kubelet.docker import DockerRuntime
from reconciler.kubelet.fake import FakeRuntime
from reconciler.kubelet.runtime import ContainerRuntime
from tests.integration.engineproxy import NewerEngine
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


_REAL = ("docker", "docker-newer")


@pytest.fixture(
    params=["fake", *(pytest.param(each, marks=pytest.mark.integration) for each in _REAL)]
)
async def runtime(
    request: pytest.FixtureRequest, label: str, tmp_path: Path
) -> AsyncIterator[ContainerRuntime]:
    if request.param == "fake":
        fake = FakeRuntime(SystemClock(), (BUSYBOX,))
        yield fake
        await fake.close()
        return
    if not docker_answers():
        pytest.skip("no Docker engine answers")
    ensure_busybox()
    with ExitStack() as stack:
        engine = Path("/var/run/docker.sock")
        if request.param == "docker-newer":
            door = tmp_path / "docker.sock"
            stack.enter_context(NewerEngine(door, engine))
            engine = door
        docker = DockerRuntime(engine)
        yield docker
        for container in await docker.list(label):
            await docker.remove(container.id)
        await docker.close()
