"""Fixtures of the tests that run the real daemon on this host's Docker."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from scripts.leftovers import find_leftovers
from tests.integration.harness import GUESTBOOK, Daemon, Engine, Manifests
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
