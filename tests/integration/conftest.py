"""Fixtures of the tests that run the real daemon on this host's Docker."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import yaml

from scripts.leftovers import find_leftovers
from tests.integration.controlplane import Cluster
from tests.integration.harness import GUESTBOOK, Daemon, Engine, Manifests, namespace_manifest
from tests.integration.images import ensure_busybox
from tests.integration.kubectls import Kubectl, kubectls
from tests.integration.netkernel import Kernel, programmed, serving_world
from tests.integration.netns import World
from tests.integration.realnode import Line, RealNode, joined_line, real_node
from tests.integration.registries import Registry, running_registry

Launch = Callable[..., Daemon]


@pytest.fixture(scope="session")
def host() -> None:
    """Root and a Docker engine, or the test cannot run here."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if subprocess.run(["docker", "version"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs a Docker engine")


@pytest.fixture
def engine(host: None) -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.close()


@pytest.fixture
def manifests(tmp_path: Path) -> Manifests:
    """A Git repository, empty so far."""
    return Manifests(tmp_path / "repository")


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of the test's own for temporary files that a client does not remove."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def busybox(host: None) -> str:
    """The image of the tests, by its name."""
    return ensure_busybox()


@pytest.fixture
def git(manifests: Manifests) -> Manifests:
    """A Git repository with the namespace `test`, not committed yet."""
    manifests.write("namespace.yaml", namespace_manifest("test"))
    return manifests


@pytest.fixture
def launch(tmp_path: Path, host: None, request: pytest.FixtureRequest) -> Iterator[Launch]:
    """Start a daemon on a source; whatever the test does, nothing of it may be left after."""
    assert find_leftovers([]) == [], "this host is in use by another daemon"
    daemons: list[Daemon] = []

    def start(source: Path, *flags: str) -> Daemon:
        daemon = Daemon(source, tmp_path)
        daemons.append(daemon)
        daemon.start(*flags)
        return daemon

    yield start
    for daemon in daemons:
        request.node.add_report_section("teardown", "daemon log", daemon.tail())
        left = daemon.clean()
        assert left == []


@pytest.fixture
def guestbook(manifests: Manifests) -> Manifests:
    """The guestbook of this repository, committed."""
    manifests.copy(GUESTBOOK)
    manifests.commit("Run the guestbook")
    return manifests


@pytest.fixture
def registry(tmp_path: Path, host: None) -> Iterator[Registry]:
    """A registry that asks for a password."""
    with running_registry(tmp_path / "registry") as running:
        yield running


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    """A socket between kubelet and Docker that the test can cut."""
    async with joined_line(tmp_path) as line:
        yield line


@pytest.fixture
async def node(tmp_path: Path, line: Line) -> AsyncIterator[RealNode]:
    """A node on real Docker, of which nothing is left at the end."""
    async with real_node(tmp_path, line) as node:
        yield node


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of a control plane without Docker."""
    state = tmp_path_factory.mktemp("state")
    with Cluster(state) as running:
        file = state / "kubeconfig"
        file.write_text(yaml.safe_dump(running.config))
        yield file


@pytest.fixture(params=kubectls() or ["none"], ids=lambda path: Path(path).name)
def kubectl(request: pytest.FixtureRequest, cluster: Path) -> Kubectl:
    """Each kubectl of this machine, in a namespace of its own for each test."""
    if request.param == "none":
        pytest.skip("there is no kubectl on this machine")
    namespace = f"{Path(request.param).name.replace('.', '-')}-{request.node.originalname}"
    namespace = namespace.replace("_", "-").lower()[:60].rstrip("-")
    given = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    Kubectl(request.param, cluster, "default")("create", "-f", "-", given=given)
    return Kubectl(request.param, cluster, namespace)


@pytest.fixture(scope="module")
def net() -> Iterator[World]:
    """Pods that answer and one that calls, in network namespaces."""
    with serving_world() as made:
        yield made


@pytest.fixture
def kernel(net: World) -> Iterator[Kernel]:
    """The table of the world's host, told about one service at a time."""
    with programmed(net) as made:
        yield made
