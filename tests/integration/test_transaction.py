"""A commit as a transaction on real Docker: undone, held, suspended; and no churn without cause."""

from __future__ import annotations

import json

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

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

CRASH = 'command: ["sh", "-c", "echo broken >/dev/termination-log; echo its last line; exit 7"]'
WAIT = """command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"]"""


def config(name: str, value: str) -> str:
    return (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: test\n"
        f'data:\n  key: "{value}"\n'
    )


@pytest.fixture
def running(
    manifests: Manifests, host: None, launch: Launch, engine: Engine
) -> tuple[Manifests, Daemon, Engine]:
    """Two pods that wait, and a few settings; everything is healthy."""
    image = ensure_busybox()
    manifests.write("namespace.yaml", namespace_manifest("test"))
    patient = '  annotations:\n    reconciler.dev/min-ready-seconds: "5"\nspec:\n  replicas: 2'
    first = sleepers("first", 2, image).replace("spec:\n  replicas: 2", patient)
    manifests.write("first.yaml", first)
    for name in ("a", "b"):
        manifests.write(f"{name}.yaml", config(name, "1"))
    manifests.commit("Run two pods")
    daemon = launch(manifests.folder)
    wait_for(lambda: phase(daemon) == "Healthy", "a healthy revision")
    return manifests, daemon, engine


def phase(daemon: Daemon) -> str:
    """Return the source's phase as `status` prints it."""
    head = daemon.command("status", check=False).stdout.splitlines()
    return head[0].split()[-1] if head and head[0].startswith("source ") else ""


def ids(engine: Engine) -> dict[str, str]:
    return {each.id: each.name for each in engine.containers("test") if each.running}


def test_a_crashing_commit_is_undone_and_the_old_pods_never_stop(
    running: tuple[Manifests, Daemon, Engine],
) -> None:
    manifests, daemon, engine = running
    before = ids(engine)
    manifests.replace("first.yaml", WAIT, CRASH)
    manifests.write("b.yaml", config("b", "2"))
    manifests.commit("Break it")
    wait_for(lambda: phase(daemon) == "RolledBack", "a roll back", 90)
    wait_for(lambda: ids(engine) == before, "the pods that ran before, and no other")
    assert "RolledBack" in daemon.command("history").stdout
    told = "last with exit code 7"
    wait_for(lambda: told in daemon.command("history").stdout, "what became of the container")
    history = daemon.command("history").stdout
    assert "4 restarts: broken\n" in history or "3 restarts: broken\n" in history
    assert "  | its last line" in history
    daemon.stop()
    daemon.start()
    wait_for(lambda: phase(daemon) == "RolledBack", "the quarantine after a restart")
    holds(lambda: ids(engine) == before, "the quarantine", 3)
    manifests.replace("first.yaml", CRASH, WAIT)
    manifests.commit("Mend it")
    wait_for(lambda: phase(daemon) == "Healthy", "a mended revision")
    assert ids(engine) == before


def test_a_commit_that_deletes_much_waits_for_approval_and_suspend_stops_all(
    running: tuple[Manifests, Daemon, Engine],
) -> None:
    manifests, daemon, engine = running
    before = ids(engine)
    manifests.delete("first.yaml")
    manifests.delete("a.yaml")
    commit = manifests.commit("Delete half of it")
    wait_for(lambda: phase(daemon) == "Held", "a held revision")
    assert ids(engine) == before
    assert daemon.command("approve", "nothing", check=False).returncode == 1
    daemon.command("suspend")
    wait_for(lambda: phase(daemon) == "Suspended", "a suspended source")
    daemon.command("approve", commit[:10])
    holds(lambda: ids(engine) == before, "the suspension", 2)
    daemon.command("resume")
    wait_for(lambda: ids(engine) == {}, "no pod")
    wait_for(lambda: phase(daemon) == "Healthy", "a healthy revision")


def test_nothing_is_touched_without_cause(running: tuple[Manifests, Daemon, Engine]) -> None:
    manifests, daemon, engine = running
    before = ids(engine)
    manifests.write("note.txt", "no manifest")
    manifests.commit("Change nothing")
    text = (manifests.folder / "first.yaml").read_text()
    document = reordered(text)
    manifests.write("first.yaml", document)
    manifests.commit("Order the keys otherwise")
    manifests.write("first.yaml", f"# a comment\n{document}")
    head = manifests.commit("Explain it")
    wait_for(lambda: head[:12] in daemon.command("history").stdout, "the last commit")
    wait_for(lambda: phase(daemon) == "Healthy", "a healthy revision")
    assert ids(engine) == before
    daemon.stop()
    daemon.start()
    wait_for(lambda: daemon.events() and phase(daemon) == "Healthy", "a restarted daemon")
    holds(lambda: ids(engine) == before, "the same containers", 3)


def reordered(text: str) -> str:
    """Return the YAML document as JSON, which is YAML too, its keys in another order."""
    import yaml

    body = yaml.safe_load(text)
    return json.dumps(dict(reversed(list(body.items()))), indent=2) + "\n"
