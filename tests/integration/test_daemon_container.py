"""The daemon as a container: the command of docs/container.md does the same demo."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.leftovers import find_leftovers
from tests.integration.harness import ROOT, Engine, Manifests, fetch, holds, wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

NAME = "reconciler-test-daemon"
IMAGE = "reconciler:latest"


def documented_command(folder: Path, source: Path) -> list[str]:
    """Return the page's `docker run`, with this test's name and folders instead of the page's."""
    page = (ROOT / "docs" / "container.md").read_text()
    found = re.search(r"^docker run --detach --name reconciler(?:.|\n)*?[^\\]$", page, re.MULTILINE)
    assert found is not None, "docs/container.md has no docker run"
    text = found.group().replace("\\\n", " ")
    for old, new in {
        "--name reconciler ": f"--name {NAME} ",
        "--restart unless-stopped ": "",
        "/srv/manifests": str(source),
        "/var/lib/reconciler": str(folder / "state"),
        "/run/reconciler": str(folder / "run"),
    }.items():
        assert old in text, f"the documented command has no {old!r}"
        text = text.replace(old, new)
    directories = ["--state-dir", str(folder / "state"), "--run-dir", str(folder / "run")]
    return [*shlex.split(text), *directories]


@contextmanager
def shared_tmpfs(folder: Path) -> Iterator[None]:
    """Prepare the run directory as docs/container.md says for a host whose /run is no tmpfs."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", folder], check=True)
    subprocess.run(["mount", "--make-shared", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--recursive", folder], check=False)


@pytest.fixture
def container(tmp_path: Path, guestbook: Manifests, engine: Engine) -> Iterator[str]:
    """The daemon's container, started on the guestbook; nothing of it is left after the test."""
    state, run = tmp_path / "state", tmp_path / "run"
    state.mkdir()
    assert find_leftovers([]) == [], "this host is in use by another daemon"
    with shared_tmpfs(run):
        command = documented_command(tmp_path, guestbook.folder)
        subprocess.run(command, check=True, capture_output=True)
        yield NAME
        logs = docker("logs", NAME)
        docker("rm", "--force", NAME)
        down = command.index(IMAGE) + 1
        end = [*(each for each in command[:down] if each != "--detach"), "down", *command[-4:]]
        removed = subprocess.run(end, capture_output=True, text=True, check=False)
        docker("rm", "--force", NAME)
        assert removed.returncode == 0, f"{removed.stdout}{removed.stderr}\n{logs}"
    assert find_leftovers([]) == []


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_it_serves_the_guestbook_and_stops_in_order(container: str, engine: Engine) -> None:
    def page() -> bool:
        if engine.api.inspect_container(container)["State"]["Running"] is not True:
            raise RuntimeError(docker("logs", "--tail", "40", container))
        return fetch().status == 200 and len(engine.running("frontend")) == 3

    flags = engine.api.inspect_container(container)["Args"][-4:]
    status = ("exec", container, "reconciler", "status", *flags)
    wait_for(page, "the page and three frontends")
    wait_for(lambda: "Healthy" in docker(*status), "health")
    before = set(engine.running(""))
    docker("stop", "--time", "20", container)
    state = engine.api.inspect_container(container)["State"]
    assert (state["Running"], state["ExitCode"]) == (False, 0), docker("logs", container)
    holds(lambda: set(engine.running("")) == before, "the pods keep running", 1)
    assert fetch().status == 200

    docker("start", container)
    wait_for(lambda: "Healthy" in docker(*status), "health")
    assert set(engine.running("")) == before


def test_it_has_only_the_capabilities_that_it_needs(container: str, engine: Engine) -> None:
    host = engine.api.inspect_container(container)["HostConfig"]
    assert host["Privileged"] is False
    assert host["CapDrop"] == ["ALL"]
    assert host["ReadonlyRootfs"] is True
    assert "CAP_SYS_RESOURCE" not in host["CapAdd"]
