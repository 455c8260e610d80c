"""The proof that rollouts lose no request: `python -m tests.integration.lossless` runs it in full.

The real daemon on real Docker, an HTTP server that ends at once when it gets SIGTERM, no preStop
hook, and clients that open a connection for each request: through the node port, and through the
cluster address from the host and from a pod. `test_lossless.py` runs a short form.
"""

from __future__ import annotations

import itertools
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.integration.harness import (
    Container,
    Daemon,
    Engine,
    Manifests,
    namespace_manifest,
    sleepers,
    wait_for,
)
from tests.integration.images import ensure_busybox
from tests.integration.load import Load, Route
from tests.integration.outcome import Kill, Outcome, Timeline

NAMESPACE = "lossless"
ADDRESS, PORT, NODE_PORT = "10.96.77.7", 80, 30077
_IMAGE = "reconciler:latest"  # it has Python
_OTHER = "reconciler-test/lossless:2"  # the same, for an update in place
_SERVER = Path(__file__).with_name("podserver.py")
# A container that dies again backs off, so its pod is the one that is removed in the next turn.
_WAYS = ("container", "sandbox", "both", "force")


@dataclass(frozen=True, slots=True)
class Size:
    """How much is proven; `rate` is requests a second, in turns through three routes."""

    rollouts: int
    updates: int
    scalings: int
    kills: int
    replicas: int = 3
    rate: float = 500.0


SHORT = Size(rollouts=2, updates=2, scalings=1, kills=4)
FULL = Size(rollouts=10, updates=10, scalings=10, kills=100)


class Proof:
    """A daemon with one service of some pods, and what is done to them under load."""

    def __init__(
        self, manifests: Manifests, daemon: Daemon, engine: Engine, timeline: Timeline, size: Size
    ) -> None:
        self._manifests, self._daemon, self._engine = manifests, daemon, engine
        self.timeline, self._size = timeline, size
        self._versions = itertools.count(1)
        self._wounded = ""
        self._routes: list[Route] = []

    def settle(self) -> None:
        """Wait until the service answers and the client's pod is there."""
        wait_for(lambda: len(self._events("revision.healthy")) > 0, "a healthy revision")
        self._wait_for_pods(self._size.replicas)
        client = self._engine.running("client", NAMESPACE)
        self._routes = [
            Route("node port", "127.0.0.1", NODE_PORT),
            Route("cluster address from the host", ADDRESS, PORT),
            Route(
                "cluster address from a pod", ADDRESS, PORT, self._pid(next(iter(client.values())))
            ),
        ]

    def rollouts(self) -> Outcome:
        """Change the template again and again; each rollout ends before the next begins."""
        return self._under_load("rollouts", self._size.rollouts, lambda _: self._roll())

    def updates(self) -> Outcome:
        """Change the image again and again, within the pods, and back in the end."""
        self._engine.api.tag(_IMAGE, *_OTHER.split(":"))
        version = next(self._versions)
        self._declare(self._size.replicas, version)
        try:
            return self._under_load(
                "updates in place", self._size.updates, lambda turn: self._update(turn, version)
            )
        finally:
            self._declare(self._size.replicas)
            self._engine.remove_image(_OTHER)

    def scalings(self) -> Outcome:
        """Scale up, and down again."""
        return self._under_load("scaling up and down", self._size.scalings, lambda _: self._scale())

    def kills(self) -> Outcome:
        """Kill one pod after the other, each when all are ready again."""
        return self._under_load("kills", self._size.kills, self._kill_one)

    def _under_load(self, title: str, times: int, act: Callable[[int], Kill | None]) -> Outcome:
        with Load(self._routes, self._size.rate) as load:
            outcome, began = Outcome(title, load), time.monotonic()
            for turn in range(times):
                kill = act(turn)
                if kill is not None:
                    outcome.kills.append(kill)
            outcome.seconds = time.monotonic() - began
        return outcome

    def _roll(self) -> None:
        self._declare(self._size.replicas)

    def _update(self, turn: int, version: int) -> None:
        boxes = {each.id for each in self._engine.containers(NAMESPACE) if each.sandbox}
        self._declare(self._size.replicas, version, _IMAGE if turn % 2 else _OTHER)
        assert boxes == {each.id for each in self._engine.containers(NAMESPACE) if each.sandbox}

    def _scale(self) -> None:
        version = next(self._versions)
        for replicas in (self._size.replicas + 3, self._size.replicas):
            self._declare(replicas, version)

    def _kill_one(self, turn: int) -> Kill:
        way = _WAYS[turn % len(_WAYS)]
        pods = sorted(self._wait_for_pods(self._size.replicas))
        name = self._wounded if way == "force" else pods[turn % len(pods)]
        if way == "container":
            self._wounded = name
        elif way != "force" and name == self._wounded:
            name = pods[(turn + 1) % len(pods)]
        boxes = [c for c in self._engine.containers(NAMESPACE) if c.pod == name and c.running]
        sandbox = next(each for each in boxes if each.sandbox)
        server = next(each for each in boxes if not each.sandbox)
        address, ordered = self._address(sandbox), time.time()
        with ThreadPoolExecutor(1) as watcher:
            died = watcher.submit(_time_of_death, self._pid(server))
            if way == "force":
                self._kubectl("delete", "pod", name, "--force", "--grace-period=0")
            for each in boxes:
                if way in ("both", "sandbox" if each.sandbox else "container"):
                    self._engine.kill(each)
        if way == "force":
            wait_for(lambda: self._is_gone(name), f"{name} gone")
        else:
            self._wait_for_ready(name, ordered)
        return Kill(name, address, way, ordered, died.result())

    def _is_gone(self, pod: str) -> bool:
        return all(each.pod != pod for each in self._engine.containers(NAMESPACE))

    def _kubectl(self, *arguments: str) -> None:
        config = self._daemon.folder / "kubeconfig"
        config.write_text(self._daemon.command("kubeconfig").stdout)
        command = ["kubectl", "--kubeconfig", str(config), "--namespace", NAMESPACE, *arguments]
        subprocess.run(command, check=True, capture_output=True)

    def _pid(self, container: Container) -> int:
        return int(self._engine.api.inspect_container(container.id)["State"]["Pid"])

    def _address(self, sandbox: Container) -> str:
        labels = self._engine.api.inspect_container(sandbox.id)["Config"]["Labels"]
        return str(labels["reconciler.dev/pod-ip"])

    def _declare(self, replicas: int, version: int | None = None, image: str = _IMAGE) -> None:
        healthy = len(self._events("revision.healthy"))
        self._manifests.write("web.yaml", web(replicas, version or next(self._versions), image))
        wait_for(lambda: len(self._events("revision.healthy")) > healthy, "a healthy revision")
        self._wait_for_pods(replicas)

    def _wait_for_pods(self, replicas: int) -> dict[str, Container]:
        """Wait until exactly so many pods are there and serve, and none that ends."""

        def there() -> dict[str, Container]:
            found = [c for c in self._engine.containers(NAMESPACE) if c.pod.startswith("web-")]
            serving = self._engine.running("web-", NAMESPACE)
            assert len(serving) == replicas, sorted(serving)
            assert {each.pod for each in found} == set(serving), found
            return serving

        return wait_for(there, f"{replicas} pods")

    def _wait_for_ready(self, pod: str, since: float) -> None:
        def again() -> bool:
            told = self._events("pod.ready")
            return any(each["name"] == pod and _epoch(each) > since for each in told)

        wait_for(again, f"{pod} ready again")

    def _events(self, name: str) -> list[dict[str, Any]]:
        return [each for each in self._daemon.events() if each["event"] == name]


def _time_of_death(pid: int) -> float:
    """Wait for the end of a process, at most a minute, and return when it was."""
    handle = os.pidfd_open(pid)
    try:
        assert select.select([handle], [], [], 60)[0], f"process {pid} lives"
        return time.time()
    finally:
        os.close(handle)


def web(replicas: int, version: int, image: str = _IMAGE) -> str:
    """Return the manifest of the servers; for another version they are made anew."""
    return f"""apiVersion: v1
kind: ReplicationController
metadata:
  name: web
  namespace: {NAMESPACE}
  annotations: {{reconciler.dev/update: in-place}}
spec:
  replicas: {replicas}
  selector: {{app: web}}
  template:
    metadata:
      labels: {{app: web}}
    spec:
      containers:
        - name: main
          image: {image}
          imagePullPolicy: IfNotPresent
          command: [python3, -I, -S, -c, {json.dumps(_SERVER.read_text())}]
          env: [{{name: VERSION, value: "{version}"}}]
          readinessProbe:
            httpGet: {{path: /, port: 8080}}
            periodSeconds: 1
"""


SERVICE = f"""apiVersion: v1
kind: Service
metadata: {{name: web, namespace: {NAMESPACE}}}
spec:
  type: NodePort
  clusterIP: {ADDRESS}
  selector: {{app: web}}
  ports: [{{port: {PORT}, targetPort: 8080, nodePort: {NODE_PORT}}}]
"""


def declare(manifests: Manifests, size: Size) -> None:
    """Write the servers, their service, and a pod for a client to be in."""
    manifests.write("namespace.yaml", namespace_manifest(NAMESPACE))
    manifests.write("service.yaml", SERVICE)
    manifests.write("web.yaml", web(size.replicas, 0))
    manifests.write("client.yaml", sleepers("client", 1, ensure_busybox(), NAMESPACE))


def _epoch(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["timestamp"]).timestamp()


def main() -> int:
    """Run the whole proof; the exit code is 1 when a request was lost."""
    with tempfile.TemporaryDirectory(prefix="lossless-") as folder:
        manifests = Manifests(Path(folder) / "source", git=False)
        daemon, engine, timeline = (
            Daemon(manifests.folder, Path(folder)),
            Engine(),
            Timeline(NAMESPACE),
        )
        declare(manifests, FULL)
        daemon.start()
        try:
            with timeline.follow():
                proof = Proof(manifests, daemon, engine, timeline, FULL)
                proof.settle()
                lost = [
                    _tell(part(), timeline)
                    for part in (proof.rollouts, proof.updates, proof.scalings, proof.kills)
                ]
        finally:
            left = daemon.clean()
            engine.close()
    return 1 if any(lost) or left else 0


def _tell(outcome: Outcome, timeline: Timeline) -> int:
    for line in outcome.report(timeline):
        print(line, flush=True)  # noqa: T201 - a program's output
    return len(outcome.lost())


if __name__ == "__main__":
    sys.exit(main())
