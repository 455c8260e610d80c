"""Volumes under the whole daemon: from Git into a running pod, over a crash, to the last mount."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.integration.conftest import Launch
from tests.integration.harness import Container, Engine, Manifests, namespace_manifest, wait_for
from tests.integration.images import ensure_busybox

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

POD = """
apiVersion: v1
kind: Pod
metadata: {{name: reader, namespace: test}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: app
    image: {image}
    command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
    volumeMounts:
    - {{name: config, mountPath: /config}}
    - {{name: config, mountPath: /colour, subPath: colour}}
    - {{name: secret, mountPath: /secret}}
    - {{name: fast, mountPath: /fast}}
  volumes:
  - {{name: config, configMap: {{name: settings}}}}
  - {{name: secret, secret: {{secretName: key}}}}
  - {{name: fast, emptyDir: {{medium: Memory, sizeLimit: 1Mi}}}}
"""
CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: test}
data: {colour: green, shade: dark-green}
"""
HIDDEN = """
apiVersion: v1
kind: Secret
metadata: {name: key, namespace: test}
stringData: {key: s3cret}
"""


def mounts(folder: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split()[4] for line in lines if line.split()[4].startswith(f"{folder}/")]


def test_from_git_into_a_running_pod_over_a_crash_to_the_last_mount(
    manifests: Manifests, launch: Launch, engine: Engine, host: None
) -> None:
    def app() -> Container:
        return engine.running("reader", "test")["reader"]

    def shows(path: str) -> str:
        return engine.execute(app(), "cat", path)

    manifests.write("namespace.yaml", namespace_manifest("test"))
    manifests.write("pod.yaml", POD.format(image=ensure_busybox()))
    manifests.write("config.yaml", CONFIG)
    manifests.write("secret.yaml", HIDDEN)
    manifests.commit("Run a reader")
    daemon = launch(manifests.folder)
    wait_for(lambda: engine.running("reader", "test"), "the reader runs")
    first = app()
    assert shows("/config/colour") == shows("/colour") == "green"
    engine.execute(first, "sh", "-c", "echo kept >/fast/file")
    assert len(mounts(daemon.run_dir)) == 2

    manifests.write("config.yaml", CONFIG.replace("green", "red"))
    manifests.write("secret.yaml", HIDDEN.replace("s3cret", "newer"))
    manifests.commit("Change what it reads")
    began = time.monotonic()
    wait_for(
        lambda: (shows("/config/shade"), shows("/secret/key")) == ("dark-red", "newer"),
        "the change reaches the pod",
        deadline=5,
    )
    assert time.monotonic() - began < 5

    daemon.kill()
    manifests.write("config.yaml", CONFIG.replace("green", "blue"))
    manifests.commit("Change it while nobody looks")
    daemon.start()
    wait_for(lambda: shows("/config/colour") == "blue", "the change after the crash")
    assert (app().id, shows("/fast/file")) == (first.id, "kept\n")
    assert len(mounts(daemon.run_dir)) == 2

    manifests.delete("pod.yaml")
    manifests.commit("Run it no more")
    wait_for(lambda: not engine.containers("test"), "the pod is gone")
    wait_for(lambda: not mounts(daemon.run_dir), "its mounts are gone")
    manifests.write("pod.yaml", POD.format(image=ensure_busybox()))
    manifests.commit("Run it again, and let `down` find it running")
    wait_for(lambda: engine.running("reader", "test"), "the reader runs again")
    assert len(mounts(daemon.run_dir)) == 2
