"""What changes nothing touches no container: each such change in turn, on real Docker."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pyrage
import pytest
import yaml

from tests.integration.conftest import Launch
from tests.integration.harness import (
    ROOT,
    Daemon,
    Engine,
    Manifests,
    holds,
    namespace_manifest,
    sleepers,
    wait_for,
)
from tests.integration.images import ensure_busybox
from tests.unit.desired.test_sops import SOPS, needs_sops

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

MANIFEST = """apiVersion: v1
kind: Secret
metadata: {name: key, namespace: test}
stringData: {password: hunter2}
"""
USES = """          env:
            - {name: PASSWORD, valueFrom: {secretKeyRef: {name: key, key: password}}}
            - {name: TOKEN, valueFrom: {secretKeyRef: {name: token, key: password}}}
"""


@pytest.fixture
def identity() -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.generate()


def sealed(identity: pyrage.x25519.Identity) -> bytes:
    """Return the Secret encrypted, each time to other bytes."""
    return pyrage.encrypt(MANIFEST.encode(), [identity.to_public()])


def seal_with_sops(path: Path, identity: pyrage.x25519.Identity) -> bytes:
    """Write another Secret as the real sops encrypts it, each time to other bytes."""
    path.write_text(MANIFEST.replace("name: key", "name: token"))
    subprocess.run(
        [SOPS, "--disable-version-check", "encrypt", "-i", "--encrypted-regex", "^stringData$",
         "--age", str(identity.to_public()), str(path)],
        check=True, timeout=60,
    )  # fmt: skip
    return path.read_bytes()


def settled(daemon: Daemon, commit: str) -> bool:
    head, *more = daemon.command("status").stdout.splitlines()
    return bool(more) and commit[:12] in more[0] and head.split()[-1] == "Healthy"


def ids(engine: Engine) -> dict[str, str]:
    return {each.id: each.name for each in engine.containers("test")}


@needs_sops
def test_no_container_is_touched(
    manifests: Manifests,
    launch: Launch,
    engine: Engine,
    identity: pyrage.x25519.Identity,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = tmp_path / "age.key"
    keys.write_text(f"{identity}\n")
    monkeypatch.setenv("RECONCILER_AGE_KEY_FILE", str(keys))
    web = sleepers("web", 2, ensure_busybox()) + USES
    manifests.write("namespace.yaml", namespace_manifest("test"))
    manifests.write("web.yaml", web)
    (manifests.folder / "key.yaml.age").write_bytes(sealed(identity))
    token = seal_with_sops(manifests.folder / "token.yaml", identity)
    first = manifests.commit("Run two pods with a secret")
    daemon = launch(manifests.folder)
    wait_for(lambda: settled(daemon, first), "a healthy revision")
    before = ids(engine)
    assert len(before) == 4

    def untouched(title: str) -> None:
        commit = manifests.commit(title)
        wait_for(lambda: settled(daemon, commit), title)
        assert ids(engine) == before, title

    manifests.write("note.txt", "no manifest")
    untouched("a commit without a manifest")
    body = yaml.safe_load(web)
    document = json.dumps(dict(reversed(list(body.items()))), indent=2) + "\n"
    manifests.write("web.yaml", document)
    untouched("another order")
    manifests.write("web.yaml", f"# why\n{document}")
    untouched("a comment")
    (manifests.folder / "key.yaml.age").write_bytes(sealed(identity))
    untouched("another encryption of the same")
    assert seal_with_sops(manifests.folder / "token.yaml", identity) != token
    untouched("another encryption of the same by sops")
    manifests.delete("web.yaml")
    manifests.write("moved/web.yaml", web)
    untouched("another file")

    daemon.stop()
    daemon.start()
    wait_for(lambda: settled(daemon, ""), "a restarted daemon")
    holds(lambda: ids(engine) == before, "the containers after a restart", 3)

    daemon.stop()
    monkeypatch.setenv("PYTHONPATH", str(upgraded(tmp_path / "next")))
    daemon.start()
    wait_for(lambda: settled(daemon, ""), "an upgraded daemon")
    wait_for(lambda: "v99.0" in version(daemon), "the version of the new code")
    holds(lambda: ids(engine) == before, "the containers after an upgrade", 3)


def upgraded(place: Path) -> Path:
    """Return a folder with the program as a later version: other sources, another number."""
    shutil.copytree(
        ROOT / "reconciler", place / "reconciler", ignore=shutil.ignore_patterns("__pycache__")
    )
    for room in ("admission", "desired", "model", "sync"):
        with (place / "reconciler" / room / "__init__.py").open("a") as source:
            source.write("\n# a later version\n")
    record = place / "reconciler-99.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: reconciler\nVersion: 99.0\n")
    return place


def version(daemon: Daemon) -> str:
    """Return what the node says of its kubelet."""
    files = daemon.state_dir.glob("store.db*")
    told = any(b'"kubeletVersion":"v99.0"' in file.read_bytes() for file in files)
    return "v99.0" if told else ""
