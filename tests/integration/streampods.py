"""A daemon with three pods that run, for the tests of what is streamed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.leftovers import find_leftovers
from tests.integration.harness import Daemon, Manifests, wait_for
from tests.integration.images import BUSYBOX, ensure_busybox
from tests.integration.kubectls import Kubectl, kubectls

MANIFEST = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: streams}}
---
apiVersion: v1
kind: Secret
metadata: {{name: s, namespace: streams}}
stringData: {{word: xyzzy}}
---
apiVersion: v1
kind: Pod
metadata: {{name: web, namespace: streams, labels: {{app: web}}}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: web
    image: {BUSYBOX}
    command: [sh, -c, "echo one; echo two; echo three; echo page >/www/index.html;
      exec httpd -f -p 127.0.0.1:8080 -h /www"]
    env:
    - {{name: WORD, valueFrom: {{secretKeyRef: {{name: s, key: word}}}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: open, namespace: streams, labels: {{app: open}}}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: open
    image: {BUSYBOX}
    command: [sh, -c, "echo hello >/www/index.html; exec httpd -f -p 8081 -h /www"]
    ports: [{{name: http, containerPort: 8081}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: talk, namespace: streams}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: talk
    image: {BUSYBOX}
    stdin: true
    command: [sh, -c, "while read line; do echo got $line; done"]
---
apiVersion: v1
kind: Service
metadata: {{name: open, namespace: streams}}
spec:
  selector: {{app: open}}
  ports: [{{name: web, port: 80, targetPort: http}}]
"""


@contextmanager
def streaming(folder: Path) -> Iterator[Path]:
    """Run the daemon on `MANIFEST`; yield its kubeconfig. Nothing may be left of it."""
    assert find_leftovers([]) == [], "this host is in use by another daemon"
    ensure_busybox()
    manifests = Manifests(folder / "manifests", git=False)
    manifests.write("all.yaml", MANIFEST)
    daemon = Daemon(manifests.folder, folder)
    try:
        daemon.start("--listen", "127.0.0.1:16443")
        wait_for(lambda: len(_running()) == 3, "three pods run")
        file = folder / "kubeconfig"
        shown = daemon.command("kubeconfig", "--listen", "127.0.0.1:16443")
        file.write_text(shown.stdout)
        wait_for(lambda: _ready(file), "the API tells that the pods are ready")
        yield file
        assert not [each for each in daemon.events() if each.get("event") == "api.crashed"]
    finally:
        assert daemon.clean() == []


def _running() -> list[str]:
    label = "io.kubernetes.pod.namespace=streams"
    listed = ["docker", "ps", "--format", "{{.Names}}", "--filter", f"label={label}"]
    names = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split()
    return [name for name in names if not name.startswith("k8s_POD_")]


def _ready(config: Path) -> bool:
    path = 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}'
    told = Kubectl(kubectls()[0], config, "streams").run("get", "pods", "-o", path)
    return told.stdout.split() == ["True"] * 3
