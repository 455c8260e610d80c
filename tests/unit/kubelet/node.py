"""A node for tests: any engine and network, with the real registry on a store in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from reconciler.apiserver.registry.registry import Registry
from reconciler.apiserver.security.accounts import AccountTokens
from reconciler.apiserver.security.signing import SigningKeys
from reconciler.client.casualties import Casualties
from reconciler.client.informer import Informer
from reconciler.client.local import LocalClient
from reconciler.client.protocol import NotFound
from reconciler.core.clock import Clock
from reconciler.core.ids import Ids
from reconciler.kubelet.fake import FakeNetwork, FakeRuntime
from reconciler.kubelet.files import PodFiles
from reconciler.kubelet.kubelet import Kubelet
from reconciler.kubelet.labels import MANAGED
from reconciler.kubelet.options import Informers, KubeletOptions
from reconciler.kubelet.processes import Processes
from reconciler.kubelet.runtime import Container
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.endpointslice import EndpointSlice
from reconciler.model.gitops import ProxyState
from reconciler.model.meta import KubeObject
from reconciler.model.pod import Pod
from reconciler.model.service import Service
from reconciler.store.memory import MemoryStore

T = TypeVar("T")
NODE, HOST_IP = "node-1", "192.0.2.9"
IMAGE = "app:1"


async def inline(function: Callable[..., T], *arguments: Any) -> T:
    return function(*arguments)


class Events:
    """Keeps what users are told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str, str]] = []

    def event(
        self, about: KubeObject, kind: str, reason: str, message: str, *, field_path: str = ""
    ) -> None:
        self.told.append((about.metadata.name, kind, reason, message))

    def reasons(self, name: str = "web") -> list[str]:
        return [reason for pod, _kind, reason, _message in self.told if pod == name]


class Node:
    """One host: what survives a restart of the kubelet, and the kubelet that runs now."""

    offload = staticmethod(inline)

    def __init__(
        self,
        clock: Clock,
        root: Path,
        runtime: Any = None,
        network: Any = None,
        options: KubeletOptions | None = None,
    ) -> None:
        self.clock, self.root = clock, root
        self.options = options or KubeletOptions(NODE, HOST_IP)
        self.image = IMAGE
        self.registry = Registry(MemoryStore(), clock, Ids(Random(1)))
        keys = SigningKeys(root / "keys")
        keys.ensure(clock.now())
        tokens = AccountTokens(self.registry, keys, clock, Ids(Random(2)), "https://api")
        self.client = LocalClient(self.registry, tokens)
        self.runtime = runtime or FakeRuntime(clock, (IMAGE,))
        self.network = network or FakeNetwork()
        self.events = Events()
        self.casualties = Casualties()
        self.tasks: list[asyncio.Task[None]] = []

    def processes(self) -> Processes:
        """Return what watches the processes of the containers: the simulated engine itself."""
        return self.runtime

    async def start(self) -> None:
        informers = Informers(
            pods=Informer(self.client, Pod),
            services=Informer(self.client, Service),
            slices=Informer(self.client, EndpointSlice),
            proxies=Informer(self.client, ProxyState),
            objects={kind: Informer(self.client, kind) for kind in (ConfigMap, Secret)},
        )
        self.kubelet = Kubelet(
            client=self.client,
            informers=informers,
            runtime=self.runtime,
            network=self.network,
            files=PodFiles(self.root / "state", self.root / "run", offload=self.offload),
            recorder=self.events,
            clock=self.clock,
            options=self.options,
            processes=self.processes(),
            casualties=self.casualties,
        )
        runs = [
            informers.pods.run(),
            informers.services.run(),
            informers.slices.run(),
            informers.proxies.run(),
            *(informer.run() for informer in informers.objects.values()),
            self.kubelet.run(),
        ]
        self.tasks = [asyncio.create_task(run) for run in runs]

    async def stop(self) -> None:
        """End the kubelet at once, as a crash would; containers and objects stay."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks = []

    async def create(self, name: str = "web", **spec: Any) -> Pod:
        """Create a pod that is bound to this node."""
        container = {"name": "app", "image": self.image, **spec.pop("container", {})}
        manifest = {
            "metadata": {
                "name": name,
                "namespace": "default",
                "labels": spec.pop("labels", {}),
                "finalizers": spec.pop("finalizers", []),
            },
            "spec": {"nodeName": self.options.node_name, "containers": [container], **spec},
        }
        return await self.client.create(Pod.model_validate_json(json.dumps(manifest)))

    async def pod(self, name: str = "web") -> Pod | None:
        try:
            return await self.client.get(Pod, name, "default")
        except NotFound:
            return None

    async def until(
        self, condition: Callable[[Pod], bool], name: str = "web", limit: float = 60
    ) -> Pod:
        """Wait on the virtual clock until the pod is so."""
        deadline = self.clock.monotonic() + limit
        pod = await self.pod(name)
        while pod is None or not condition(pod):
            assert self.clock.monotonic() < deadline, pod and pod.to_dict()["status"]
            await asyncio.sleep(0.01)
            pod = await self.pod(name)
        return pod

    async def until_gone(self, name: str = "web", limit: float = 60) -> float:
        """Wait until the pod's object is gone; return the seconds that it took."""
        began = self.clock.monotonic()
        while await self.pod(name) is not None:
            assert self.clock.monotonic() < began + limit
            await asyncio.sleep(0.01)
        return self.clock.monotonic() - began

    async def containers(self) -> list[Container]:
        return sorted(
            await self.runtime.list(f"{MANAGED}={self.options.scope}"),
            key=lambda container: container.name,
        )

    async def app(self) -> Container:
        """Return the running container "app"."""
        return next(
            c for c in await self.containers() if "k8s_app_" in c.name and c.phase == "running"
        )

    async def sandbox(self) -> Container:
        return next(
            c for c in await self.containers() if "k8s_POD_" in c.name and c.phase == "running"
        )


def ready(pod: Pod) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)


def waits(pod: Pod) -> str:
    """Return for what reason the first container waits, "" when it does not."""
    statuses = pod.status.container_statuses
    return statuses[0].state.waiting.reason if statuses and statuses[0].state.waiting else ""
