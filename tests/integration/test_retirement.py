"""What is declared no more stops and rests on real Docker, and comes back in the same pods."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Launch
from tests.integration.harness import (
    Daemon,
    Engine,
    Manifests,
    namespace_manifest,
    sleepers,
    wait_for,
)
from tests.integration.images import ensure_busybox

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

APPROVED = "\n\nreconciler.dev/approve: prune"


def test_a_dropped_workload_rests_and_returns_without_a_new_pod(
    manifests: Manifests,
    launch: Launch,
    engine: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RECONCILER_PRUNE_KEEP_SECONDS", "3600")
    manifests.write("namespace.yaml", namespace_manifest("test"))
    web = sleepers("web", 2, ensure_busybox())
    manifests.write("web.yaml", web)
    manifests.commit("Run two pods")
    daemon = launch(manifests.folder)
    wait_for(lambda: len(engine.running("web", "test")) == 2, "two pods")
    boxes = sandboxes(engine)

    manifests.delete("web.yaml")
    (tree := tmp_path / "tree").mkdir()
    (tree / "namespace.yaml").write_text(namespace_manifest("test"))
    assert planned(daemon, tree)["retire"] == ["web"]
    manifests.commit("Drop them" + APPROVED)
    wait_for(lambda: not engine.running("web", "test"), "no container that runs")
    assert sandboxes(engine) == boxes
    status = " ".join(daemon.command("status").stdout.split())
    assert "Retired no longer declared, is removed at" in status

    manifests.write("web.yaml", web)
    manifests.commit("Want them again")
    wait_for(lambda: len(engine.running("web", "test")) == 2, "the pods again")
    assert sandboxes(engine) == boxes

    manifests.delete("web.yaml")
    manifests.commit("Drop them again" + APPROVED)
    wait_for(lambda: not engine.running("web", "test"), "no container that runs")
    assert "ReplicationController test/web" in daemon.command("undelete").stdout
    daemon.command("undelete", "web")
    wait_for(lambda: len(engine.running("web", "test")) == 2, "the pods again")
    assert sandboxes(engine) == boxes
    daemon.stop()
    daemon.start()
    wait_for(daemon.events, "a restarted daemon")
    assert sandboxes(engine) == boxes
    assert len(engine.running("web", "test")) == 2


def sandboxes(engine: Engine) -> set[str]:
    return {each.id for each in engine.containers("test") if each.sandbox and each.running}


def planned(daemon: Daemon, tree: Path) -> dict[str, list[str]]:
    """Return the names that a plan of another directory would touch, by what it would do."""
    done = daemon.command("plan", "-o", "json", "--source", str(tree), check=False)
    found: dict[str, list[str]] = {}
    body: dict[str, Any] = json.loads(done.stdout)
    for each in body["actions"]:
        found.setdefault(each["action"], []).append(each["name"])
    return found
