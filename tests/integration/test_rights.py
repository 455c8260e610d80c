"""The daemon's container needs each of its capabilities: without one, something is lost, and said.

The documented command runs with all of them but one, on a pod that makes use of each.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.leftovers import find_leftovers
from tests.integration.harness import Engine, fetch, wait_for
from tests.integration.images import BUSYBOX, ensure_busybox
from tests.integration.test_daemon_container import (
    IMAGE,
    NAME,
    docker,
    documented_command,
    shared_tmpfs,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

PORT = 30084
OTHERS = 1234  # owns the files of the volume before any pod comes

MANIFESTS = """\
apiVersion: v1
kind: Namespace
metadata: {name: rights}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: kept}
spec:
  accessModes: [ReadWriteOnce]
  capacity: {storage: 1Gi}
  storageClassName: ""
  claimRef: {namespace: rights, name: kept}
  local: {path: FOLDER}
  nodeAffinity:
    required:
      nodeSelectorTerms:
      - matchExpressions: [{key: kubernetes.io/os, operator: In, values: [linux]}]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: kept, namespace: rights}
spec: {accessModes: [ReadWriteOnce], storageClassName: "", resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: rights}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: PORT}]}
"""

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: rights, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  securityContext: {runAsUser: 1000, runAsGroup: 1000, fsGroup: 2000}
  containers:
  - name: web
    image: IMAGE
    imagePullPolicy: Never
    command: [sh, -ec]
    args:
    - |
      cat /kept/old
      rm -f /kept/new
      echo new >/kept/new
      test "$(busybox stat -c %g /kept/new)" = 2000
      mkdir -m 0700 /scratch/closed; touch /scratch/closed/file
      busybox cp /kept/old /scratch/index.html
      exec httpd -f -p 8080 -h /scratch
    volumeMounts:
    - {name: kept, mountPath: /kept}
    - {name: scratch, mountPath: /scratch}
  volumes:
  - {name: kept, persistentVolumeClaim: {claimName: kept}}
  - {name: scratch, emptyDir: {}}
"""

LOST = {
    "NET_ADMIN": "daemon.failed",
    "NET_BIND_SERVICE": "daemon.failed",
    "SYS_ADMIN": "the pod",
    "SYS_PTRACE": "the pod",
    "CHOWN": "the pod",
    "FOWNER": "the pod",
    "FSETID": "the pod",
    "DAC_OVERRIDE": "the pod",
}


class Container:
    """The daemon in a container, on a source that uses every right."""

    def __init__(self, folder: Path) -> None:
        self.source, self.state = folder / "source", folder / "state"
        self._folder = folder
        kept = folder / "kept"
        for each in (self.source, self.state, kept):
            each.mkdir()
        (kept / "old").write_text("old\n")
        (kept / "old").chmod(0o600)
        shutil.chown(kept / "old", OTHERS, OTHERS)
        text = MANIFESTS.replace("FOLDER", str(kept)).replace("PORT", str(PORT))
        (self.source / "all.yaml").write_text(text)
        (self.source / "pod.yaml").write_text(POD.replace("IMAGE", BUSYBOX))

    def start(self, without: str = "") -> None:
        """Run the documented command, but for the capability `without`."""
        command = documented_command(self._folder, self.source)
        if without:
            at = command.index(without)
            del command[at - 1 : at + 1]
        kept = self._folder / "kept"
        at = command.index(IMAGE)
        keep = ["--env", "RECONCILER_PRUNE_KEEP_SECONDS=0"]
        command[at:at] = ["--volume", f"{kept}:{kept}", *keep]
        subprocess.run(command, check=True, capture_output=True)

    def down(self) -> None:
        """Remove everything with a daemon that has all rights."""
        docker("rm", "--force", NAME)
        command = [
            each for each in documented_command(self._folder, self.source) if each != "--detach"
        ]
        at = command.index(IMAGE) + 1
        done = subprocess.run(
            [*command[:at], "down", *command[-4:]], capture_output=True, text=True, check=False
        )
        docker("rm", "--force", NAME)
        assert done.returncode == 0, done.stdout + done.stderr

    def log(self) -> list[dict[str, str]]:
        """Return the lines that the daemon has logged."""
        return [json.loads(line) for line in docker("logs", NAME).splitlines() if line[:1] == "{"]

    def said(self, event: str, word: str) -> bool:
        """Return whether a line of that event has `word` in its reason."""
        return any(line["event"] == event and word in line.get("reason", "") for line in self.log())

    def why(self) -> str:
        """Return what `status` says of the pod."""
        command = ["exec", NAME, "reconciler", "status"]
        return " ".join(
            docker(*command, *documented_command(self._folder, self.source)[-4:]).split()
        )


@pytest.fixture
def container(tmp_path: Path, engine: Engine) -> Iterator[Container]:
    ensure_busybox()
    assert find_leftovers([]) == [], "this host is in use by another daemon"
    with shared_tmpfs(tmp_path / "run"):
        made = Container(tmp_path)
        try:
            yield made
        finally:
            made.down()
    assert find_leftovers([]) == []


def served() -> bool:
    return fetch("/index.html", PORT).status == 200


def closed_folders(state: Path) -> list[Path]:
    return list(state.rglob("closed"))


def test_with_all_of_them_the_pod_serves_and_leaves_nothing(container: Container) -> None:
    container.start()
    wait_for(served, "the page")
    assert closed_folders(container.state)
    (container.source / "pod.yaml").unlink()
    wait_for(lambda: not closed_folders(container.state), "the pod's volumes to go")


@pytest.mark.parametrize("name", LOST)
def test_without_one_something_is_lost_and_the_daemon_says_which(
    container: Container, name: str
) -> None:
    container.start(without=name)
    wait_for(
        lambda: container.said("kubelet.host_limited", f"CAP_{name} is missing"), "a word of it"
    )
    if LOST[name] == "daemon.failed":
        wait_for(lambda: container.said("daemon.failed", f"CAP_{name}"), "the end")
    else:
        wait_for(lambda: refused(container.why()), "the reason on the pod")


def refused(status: str) -> bool:
    """Return whether the pod cannot start, or its own look at the volume fails."""
    words = ("not permitted", "Permission denied", "exit code 1")
    return any(word in status for word in words)
