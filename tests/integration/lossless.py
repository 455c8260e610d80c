"""The proof that rollouts lose no request: `python -m tests.integration.lossless` runs it in full.

The real daemon on real Docker, an HTTP server that ends at once when it gets SIGTERM, no preStop
hook, and clients that open a connection for each request: through the node port, and through the
cluster address from the host and from a pod. `test_lossless.py` runs a short form.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
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
from tests.integration.load import Failure, Load, Route

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


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that Docker said of a pod's container or sandbox."""

    at: float
    pod: str
    what: str
    address: str


@dataclass(frozen=True, slots=True)
class Kill:
    """A pod that was killed, and how: when the order was given, when it was carried out."""

    pod: str
    address: str
    way: str
    ordered: float
    done: float


@dataclass(slots=True)
class Timeline:
    """What Docker says of our containers, as it happens."""

    seen: list[Happened] = field(default_factory=list)

    @contextmanager
    def follow(self) -> Iterator[None]:
        command = ["docker", "events", "--format", "{{json .}}"]
        command += ["--filter", f"label=io.kubernetes.pod.namespace={NAMESPACE}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            thread = threading.Thread(target=self._read, args=(process,))
            thread.start()
            try:
                yield
            finally:
                process.terminate()
                thread.join()

    def _read(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            event = json.loads(line)
            labels = event["Actor"]["Attributes"]
            what = f"{labels.get('io.kubernetes.container.name', 'sandbox')} {event['Action']}"
            if signal := labels.get("signal"):
                what += f" {signal}"
            pod, address = labels["io.kubernetes.pod.name"], labels.get("reconciler.dev/pod-ip", "")
            self.seen.append(Happened(event["timeNano"] / 1e9, pod, what, address))

    def explain(self, failure: Failure) -> str:
        """Return what had happened, or soon did, to the pod that a failed request went to."""
        at = failure.began
        pods = {e.pod for e in self.seen if e.address == failure.backend and e.at < failure.ended}
        told = [
            f"{each.what} at {(each.at - at) * 1000:+.0f} ms"
            for each in self.seen
            if failure.backend and each.pod in pods and abs(each.at - at) < 1
        ]
        return f"{failure}; {', '.join(told) or 'nothing happened to a pod of that address'}"


@dataclass(slots=True)
class Outcome:
    """What one part of the proof saw."""

    title: str
    load: Load
    seconds: float = 0.0
    kills: list[Kill] = field(default_factory=list)

    def lost(self) -> list[Failure]:
        """Return the failures that no kill excuses."""
        return [each for each in self.load.failures if self._killed(each) is None]

    def late(self) -> list[Failure]:
        """Return the failures of connections to a killed pod that were opened after its kill."""
        return [
            each
            for each in self.load.failures
            if (kill := self._killed(each)) is not None and each.began > kill.done
        ]

    def windows(self) -> list[float]:
        """Return for how many seconds after each kill connections still came to the dead pod."""
        last = {each.done: 0.0 for each in self.kills}
        for failure in self.late():
            kill = self._killed(failure)
            if kill is not None:
                last[kill.done] = max(last[kill.done], failure.began - kill.done)
        return sorted(last.values())

    def _killed(self, failure: Failure) -> Kill | None:
        by = [each for each in self.kills if each.address == failure.backend]
        after = bisect([each.ordered for each in by], failure.ended)
        return by[after - 1] if after else None

    def report(self, timeline: Timeline) -> Iterator[str]:
        """Yield a line for the whole, and one for each request that failed."""
        yield self.summary()
        yield from (f"   {timeline.explain(failure)}" for failure in self.load.failures)

    def summary(self) -> str:
        load = self.load
        sent = f"{load.sent} requests in {self.seconds:.1f} s ({load.sent / self.seconds:.0f}/s)"
        failed = f"{len(load.failures)} failed, {len(self.lost())} of them without a kill"
        late = ""
        if windows := self.windows():
            middle, longest = median(windows) * 1000, windows[-1] * 1000
            late = f", {len(self.late())} on connections opened after one,"
            late += f" for {middle:.0f} ms (median), {longest:.0f} ms at most"
        slowest = f"slowest answer {load.slowest * 1000:.0f} ms"
        return f"{self.title}: {sent}, {failed}{late}, {load.unsent} not sent, {slowest}"


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
        inspected = self._engine.api.inspect_container(next(iter(client.values())).id)
        self._routes = [
            Route("node port", "127.0.0.1", NODE_PORT),
            Route("cluster address from the host", ADDRESS, PORT),
            Route("cluster address from a pod", ADDRESS, PORT, inspected["State"]["Pid"]),
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
        address, ordered = self._address(sandbox), time.time()
        if way == "force":
            self._kubectl("delete", "pod", name, "--force", "--grace-period=0")
        for each in boxes:
            if way in ("both", "sandbox" if each.sandbox else "container"):
                self._engine.api.kill(each.id, "SIGKILL")
        kill = Kill(name, address, way, ordered, time.time())
        if way != "force":
            self._wait_for_ready(name, ordered)
        return kill

    def _kubectl(self, *arguments: str) -> None:
        config = self._daemon.folder / "kubeconfig"
        config.write_text(self._daemon.command("kubeconfig").stdout)
        command = ["kubectl", "--kubeconfig", str(config), "--namespace", NAMESPACE, *arguments]
        subprocess.run(command, check=True, capture_output=True)

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
        daemon, engine, timeline = Daemon(manifests.folder, Path(folder)), Engine(), Timeline()
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
