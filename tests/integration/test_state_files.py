"""What the daemon keeps on the host is for root alone, whatever the umask it was started with."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import Launch
from tests.integration.harness import Engine, Manifests, wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

# pods' volumes, their termination messages, and what starts a container with secret variables
MOUNTED = {"volumes", "containers", "launch"}
WORD = "plugh-hunter2-xyzzy"
MANIFESTS = """
apiVersion: v1
kind: Namespace
metadata: {name: test}
---
apiVersion: v1
kind: Secret
metadata: {name: word, namespace: test}
stringData: {word: SESAME}
---
apiVersion: v1
kind: Pod
metadata: {name: one, namespace: test}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: "IMAGE"
    command: [sleep, "1000"]
    env: [{name: WORD, valueFrom: {secretKeyRef: {name: word, key: word}}}]
    volumeMounts: [{name: word, mountPath: /word}, {name: empty, mountPath: /empty}]
  volumes:
  - {name: word, secret: {secretName: word}}
  - {name: empty, emptyDir: {}}
"""


def test_others_than_root_may_read_nothing_of_the_state(
    manifests: Manifests, launch: Launch, engine: Engine, busybox: str
) -> None:
    manifests.write("all.yaml", MANIFESTS.replace("IMAGE", busybox).replace("SESAME", WORD))
    manifests.commit("A pod with a secret")
    before = os.umask(0)
    try:
        daemon = launch(manifests.folder)
    finally:
        os.umask(before)
    wait_for(lambda: engine.running("one", "test"), "the pod")
    wait_for(lambda: "Healthy" in daemon.command("status", check=False).stdout, "health")
    assert stat.S_IMODE(daemon.state_dir.stat().st_mode) == 0o700
    found = list(files(daemon.state_dir))
    assert {"store.db", "store.keys"} <= {file.name for file in found}
    assert [f"{file} {file.stat().st_mode:o}" for file in found if is_open(file)] == []
    assert [file for file in found if WORD.encode() in file.read_bytes()] == []


def files(state: Path) -> Iterator[Path]:
    """Yield every file but those that containers of any user have to use where they are mounted."""
    for file in state.rglob("*"):
        parts = file.relative_to(state).parts
        if stat.S_ISREG(file.lstat().st_mode) and not MOUNTED.intersection(parts):
            yield file


def is_open(file: Path) -> bool:
    state = file.stat()
    return bool(state.st_mode & (stat.S_IRWXG | stat.S_IRWXO)) or state.st_uid != 0
