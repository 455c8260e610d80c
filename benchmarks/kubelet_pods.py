"""The kubelet alone on real Docker: start, restart and removal of pods against bare Docker.

No Git, no scheduler: pods are created bound. Run as root; a bridge, an address range and a label
value of its own keep it apart from a running daemon.
"""

from __future__ import annotations

import asyncio
import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import uvloop

from benchmarks.raw_docker import SLEEPER, RawDocker
from reconciler.apiserver.registry.registry import Registry
from reconciler.client.events import EventRecorder
from reconciler.client.informer import Informer
from reconciler.client.local import LocalClient
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.kubelet.bridge import BridgeNetwork
from reconciler.kubelet.docker import DockerRuntime
from reconciler.kubelet.files import PodFiles
from reconciler.kubelet.firewall import ForwardAccept
from reconciler.kubelet.kubelet import Kubelet
from reconciler.kubelet.labels import MANAGED
from reconciler.kubelet.options import Informers, KubeletOptions
from reconciler.kubelet.podnetwork import NetworkPlan
from reconciler.kubelet.podspec import HostLimits
from reconciler.model.config import Secret
from reconciler.model.endpointslice import EndpointSlice
from reconciler.model.gitops import ProxyState
from reconciler.model.pod import Pod
from reconciler.model.service import Service
from reconciler.store.sqlite import open_store
from tests.integration.images import ensure_busybox

PODS = 30
SCOPE = "benchmark"
MEMORY = Path("/dev/shm")  # noqa: S108 - as the run directory, it must be in memory
PLAN = NetworkPlan("10.246.0.0/24", "10.98.0.0/16", "10.98.0.10")


# What a pod may well have besides: a secret, a volume of its own and a probe of each sort. They are
# asked from the host: an exec probe costs Docker as much as a start does.
FULL = {
    "command": ["httpd", "-f", "-p", "8080", "-h", "/www"],
    "env": [{"name": "S", "valueFrom": {"secretKeyRef": {"name": "bench", "key": "key"}}}],
    "volumeMounts": [{"name": "d", "mountPath": "/www"}, {"name": "s", "mountPath": "/s"}],
    "startupProbe": {"tcpSocket": {"port": 8080}},
    "livenessProbe": {"tcpSocket": {"port": 8080}},
    "readinessProbe": {"tcpSocket": {"port": 8080}},
}
VOLUMES = [{"name": "d", "emptyDir": {}}, {"name": "s", "secret": {"secretName": "bench"}}]


class Bench:
    """A kubelet with the real store, and questions to it."""

    def __init__(self, client: LocalClient, runtime: DockerRuntime, pods: Informer[Pod]) -> None:
        self.image = ensure_busybox()
        self.client, self.runtime, self.pods = client, runtime, pods
        self.full = False
        self._changed = asyncio.Event()
        pods.subscribe(lambda *_: self._changed.set())

    async def until(self, condition: Callable[[], bool]) -> float:
        """Wait for the pods to be so; return seconds."""
        begin = time.monotonic()
        while not condition():
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), 60)
        return time.monotonic() - begin

    async def create(self, name: str) -> None:
        app = {"name": "app", "image": self.image, "command": SLEEPER}
        spec = {"nodeName": "bench", "containers": [app]}
        if self.full:
            app |= FULL
            spec |= {"volumes": VOLUMES, "terminationGracePeriodSeconds": 1}
        manifest = {"metadata": {"name": name, "namespace": "default"}, "spec": spec}
        await self.client.create(Pod.model_validate_json(json.dumps(manifest)))

    async def start(self, count: int) -> tuple[float, float]:
        """Return seconds and our own CPU seconds until `count` new pods are Ready."""
        cpu = time.process_time()
        begin = time.monotonic()
        await asyncio.gather(*(self.create(f"pod-{number}") for number in range(count)))
        await self.until(lambda: sum(map(ready, self.pods.items())) >= count)
        return time.monotonic() - begin, time.process_time() - cpu

    async def remove(self) -> tuple[float, float]:
        cpu = time.process_time()
        begin = time.monotonic()
        for pod in self.pods.items():
            await self.client.delete(Pod, pod.metadata.name, "default")
        await self.until(lambda: not self.pods.items())
        return time.monotonic() - begin, time.process_time() - cpu

    async def kill(self, kind: str) -> float:
        """Kill one container of the first pod; return seconds until it is Ready again."""
        pod = min(self.pods.items(), key=lambda each: each.metadata.name)
        victim = next(
            c
            for c in await self.runtime.list(f"{MANAGED}={SCOPE}")
            if f"k8s_{kind}_{pod.metadata.name}_" in c.name and c.phase == "running"
        )
        name, restarts = pod.metadata.name, pod.status.container_statuses[0].restart_count
        begin = time.monotonic()
        await asyncio.to_thread(self.runtime._client.kill, victim.id)  # noqa: SLF001
        await self.until(lambda: self._restarted(name, restarts))
        return time.monotonic() - begin

    def _restarted(self, name: str, before: int) -> bool:
        pod = self.pods.get(name, "default")
        return (
            pod is not None
            and ready(pod)
            and pod.status.container_statuses[0].restart_count > before
        )


def ready(pod: Pod) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)


@asynccontextmanager
async def bench(root: Path) -> AsyncIterator[Bench]:
    clock, ids = SystemClock(), Ids()
    store = await open_store(root / "store.db")
    registry = Registry(store, clock, ids)
    await registry.start()
    client = LocalClient(registry)
    informers = Informers(
        *(Informer(client, kind) for kind in (Pod, Service, EndpointSlice, ProxyState))  # type: ignore[arg-type]
    )
    runtime, network = DockerRuntime(), BridgeNetwork(PLAN, "recbench0")
    recorder = EventRecorder(client, clock, ids, "kubelet")
    kubelet = Kubelet(
        client=client,
        informers=informers,
        runtime=runtime,
        network=network,
        files=PodFiles(root / "state", MEMORY / root.name),
        recorder=recorder,
        clock=clock,
        options=KubeletOptions(
            "bench",
            "127.0.0.1",
            pod_cidr=PLAN.pod_cidr,
            limits=HostLimits(negative_oom_scores=False),
            scope=SCOPE,
        ),
    )
    firewall = ForwardAccept("recbench0")
    loops = (
        informers.pods.run,
        informers.services.run,
        informers.slices.run,
        informers.proxies.run,
        recorder.run,
        kubelet.run,
    )
    tasks = [asyncio.create_task(run()) for run in loops]
    try:
        yield Bench(client, runtime, informers.pods)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for container in await runtime.list(f"{MANAGED}={SCOPE}"):
            await runtime.remove(container.id)
        await network.remove()
        await firewall.remove()
        await runtime.close()
        await store.close()
        shutil.rmtree(MEMORY / root.name)


async def main() -> None:
    raw = RawDocker(ensure_busybox())
    raw.clean()
    with tempfile.TemporaryDirectory() as root:
        async with bench(Path(root)) as pods:
            secret = {
                "metadata": {"name": "bench", "namespace": "default"},
                "data": {"key": "c2U="},
            }
            await pods.client.create(Secret.model_validate_json(json.dumps(secret)))
            for number in range(6):
                pods.full = number % 2 == 1
                bare, ids = await asyncio.to_thread(raw.start_joined, 2 * PODS)
                bare_gone = await asyncio.to_thread(raw.remove, ids)
                seconds, cpu = await pods.start(PODS)
                kind = "full" if pods.full else "plain"
                print(
                    f"start {PODS} {kind} pods: {seconds:.2f} s, bare {bare:.2f} s, "
                    f"ratio {seconds / bare:.2f}, own CPU {1000 * cpu / PODS:.1f} ms a pod"
                )
                died, started = await asyncio.to_thread(raw.die_and_start)
                again = await pods.kill("app")
                print(f"container killed: {again:.3f} s, bare {died + started:.3f} s")
                print(f"sandbox killed: {await pods.kill('POD'):.3f} s")
                gone, cpu = await pods.remove()
                print(
                    f"remove: {gone:.2f} s, bare {bare_gone:.2f} s, ratio {gone / bare_gone:.2f}, "
                    f"own CPU {1000 * cpu / PODS:.1f} ms a pod"
                )
            print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


if __name__ == "__main__":
    uvloop.run(main())
