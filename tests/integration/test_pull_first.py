"""No pod stops for a revision whose images are not there, on real Docker with a real registry."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.integration.conftest import Launch
from tests.integration.harness import (
    Daemon,
    Engine,
    Manifests,
    holds,
    namespace_manifest,
    sleepers,
    wait_for,
)
from tests.integration.images import ensure_busybox
from tests.integration.registries import Registry, pull_secret_manifest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def phase(daemon: Daemon) -> str:
    head = daemon.command("status", check=False).stdout.splitlines()
    return head[0].split()[-1] if head and head[0].startswith("source ") else ""


def ids(engine: Engine) -> set[str]:
    return {each.id for each in engine.containers("test") if each.running}


def test_images_are_pulled_with_the_account_of_the_same_commit_before_any_pod_stops(
    manifests: Manifests, launch: Launch, engine: Engine, registry: Registry
) -> None:
    local = ensure_busybox()
    manifests.write("namespace.yaml", namespace_manifest("test"))
    manifests.write("web.yaml", sleepers("web", 1, local))
    manifests.commit("Run an image that is here")
    daemon = launch(manifests.folder)
    wait_for(lambda: phase(daemon) == "Healthy", "a healthy revision")
    before = ids(engine)
    missing = f"{registry.address}/team/app:2"
    secret = pull_secret_manifest("dockerconfigjson", registry.address)
    secret["metadata"]["namespace"] = "test"
    manifests.write("pull.yaml", json.dumps(secret))
    private = sleepers("web", 1, missing).replace(
        "    spec:\n", "    spec:\n      imagePullSecrets: [{name: pull}]\n"
    )
    manifests.write("web.yaml", private)
    manifests.commit("Run an image that nobody has pushed yet")
    wait_for(lambda: phase(daemon) == "Failed", "a failed revision")
    status = daemon.command("status").stdout
    assert "what ran keeps running" in " ".join(status.split())
    holds(lambda: ids(engine) == before, "the old pod", 3)
    assert daemon.command("plan", check=False).returncode == 2  # not even the Secret was written
    try:
        assert registry.push("team/app:2") == missing
        wait_for(lambda: phase(daemon) == "Healthy", "a healed revision", 60)
        assert registry.pulls("team/app:2") == 1
        assert not ids(engine) & before
        history = daemon.command("history").stdout
        assert "Pulled " in history
        assert "pa55word" not in history + daemon.tail()
    finally:
        subprocess.run(["docker", "rmi", "-f", missing], check=False, capture_output=True)
