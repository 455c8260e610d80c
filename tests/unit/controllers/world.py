"""The real registry on a store in memory, with informers, loops and a kubelet that obeys.

Time is the virtual loop's. `lag` delays every watch event, so that informers show the past.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Self, TypeVar

from reconciler.apiserver.registry.registry import Registry
from reconciler.client.events import EventRecorder
from reconciler.client.informer import Informer
from reconciler.client.local import LocalClient
from reconciler.client.protocol import ApiError, Client, EventType, NotFound, WatchEvent
from reconciler.core.clock import Clock
from reconciler.core.ids import Ids
from reconciler.model.container import Container
from reconciler.model.event import Event
from reconciler.model.meta import KubeObject, ObjectMeta
from reconciler.model.node import Node, NodeCondition, NodeStatus
from reconciler.model.pod import Pod, PodSpec
from reconciler.model.podstatus import PodCondition, PodIP
from reconciler.model.service import Service, ServicePort, ServiceSpec
from reconciler.model.time import format_time
from reconciler.store.memory import MemoryStore

T = TypeVar("T", bound=KubeObject)


class LaggingClient(LocalClient):
    """Answers at once, but tells watchers late; refuses to create what `refused` names."""

    lag = 0.0
    lag_of: dict[type[KubeObject], float]
    refused: type[KubeObject] | None = None
    creating: Counter[float]
    """Pods asked for at each moment of the clock."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        super().__init__(registry)
        self._clock = clock
        self.creating = Counter()
        self.lag_of = {}

    async def create(self, obj: T, *, manager: str = "") -> T:
        if isinstance(obj, Pod):
            self.creating[self._clock.monotonic()] += 1
            await asyncio.sleep(0.001)
        if type(obj) is self.refused:
            raise ApiError(403, "Forbidden", "exceeded quota")
        return await super().create(obj, manager=manager)

    async def watch(
        self, kind: type[T], namespace: str = "", *, resource_version: str
    ) -> AsyncIterator[WatchEvent[T]]:
        async for event in super().watch(kind, namespace, resource_version=resource_version):
            lag = self.lag_of.get(kind, self.lag)
            if lag:
                await asyncio.sleep(lag)
            yield event


@dataclass
class World:
    clock: Clock
    seed: int = 0
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    informers: dict[type[KubeObject], Informer[Any]] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        self.registry = Registry(MemoryStore(), self.clock, Ids(Random(self.seed)))
        await self.registry.start()
        self.client = LaggingClient(self.registry, self.clock)
        self.events = EventRecorder(self.client, self.clock, Ids(Random(self.seed)), "test")
        self.start(self.events.run)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def start(self, run: Callable[[], Awaitable[None]]) -> None:
        self.tasks.append(asyncio.ensure_future(run()))  # type: ignore[arg-type]

    def informer(self, kind: type[T]) -> Informer[T]:
        if kind not in self.informers:
            informer = self.informers[kind] = Informer(self.client, kind)
            self.start(informer.run)
        return self.informers[kind]

    async def until(self, condition: Callable[[], bool], seconds: float = 60) -> float:
        """Let time pass until `condition` holds; return how long it took."""
        start, step = self.clock.monotonic(), max(0.005, seconds / 5000)
        while not condition():
            assert self.clock.monotonic() - start < seconds, "the condition was never met"
            await asyncio.sleep(step)
        return self.clock.monotonic() - start

    async def settle(self, seconds: float = 1.0) -> None:
        await asyncio.sleep(seconds)

    def pods(self, namespace: str = "default") -> list[Pod]:
        return self.registry.list(Pod, namespace)

    def reasons(self) -> list[str]:
        return sorted(event.reason for event in self.registry.list(Event))

    async def add_node(self, name: str = "n1", cpu: str = "4") -> Node:
        now = format_time(self.clock.now())
        ready = NodeCondition(type="Ready", status="True", last_heartbeat_time=now)
        room = {"cpu": cpu, "memory": "8Gi", "pods": "110"}
        status = NodeStatus(allocatable=room, capacity=room, conditions=(ready,))
        return await self.client.create(Node(metadata=ObjectMeta(name=name), status=status))


class ObedientKubelet:
    """Runs what is bound and ends what is deleted, each after a while."""

    def __init__(self, client: Client, pods: Informer[Pod], clock: Clock) -> None:
        self.start_after = 0.05
        self.stop_after = 0.05
        self.broken: Callable[[Pod], bool] = lambda _pod: False
        self._client = client
        self._clock = clock
        self._seen: set[tuple[str, bool]] = set()
        self._work: asyncio.Queue[tuple[Pod, bool]] = asyncio.Queue()
        self._address = 1
        pods.subscribe(self._changed)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                pod, deleting = await self._work.get()
                group.create_task(self._stop(pod) if deleting else self._start(pod))

    def _changed(self, event: EventType, _old: Pod | None, new: Pod | None) -> None:
        if event == "DELETED" or new is None or not new.spec.node_name:
            return
        deleting = new.metadata.deletion_timestamp is not None
        if (new.metadata.uid, deleting) not in self._seen:
            self._seen.add((new.metadata.uid, deleting))
            self._work.put_nowait((new, deleting))

    async def _start(self, pod: Pod) -> None:
        await asyncio.sleep(self.start_after)
        if not self.broken(pod):
            await self.report(pod, ready=True)

    async def report(self, pod: Pod, *, ready: bool) -> None:
        """Write that the pod runs, and whether it is ready."""
        meta = pod.metadata
        try:
            live = await self._client.get(Pod, meta.name, meta.namespace)
        except NotFound:
            return
        self._address += 1
        ip = live.status.pod_ip or f"10.244.0.{self._address}"
        state = PodCondition(
            type="Ready",
            status="True" if ready else "False",
            last_transition_time=format_time(self._clock.now()),
        )
        others = tuple(item for item in live.status.conditions if item.type != "Ready")
        status = live.status.replace(
            phase="Running", pod_ip=ip, pod_ips=(PodIP(ip=ip),), conditions=(*others, state)
        )
        await self._client.update(live.replace(status=status), subresource="status")

    async def _stop(self, pod: Pod) -> None:
        await asyncio.sleep(self.stop_after)
        meta = pod.metadata
        try:
            await self._client.delete(
                Pod, meta.name, meta.namespace, uid=meta.uid, grace_period_seconds=0
            )
        except NotFound:
            return


class ServiceWorld(World):
    """A world with an obedient kubelet, and words for services and the pods behind them."""

    kubelet: ObedientKubelet

    async def service(self, name: str = "web", **selector: str) -> Service:
        spec = ServiceSpec(selector=selector, ports=(ServicePort(port=80, protocol="TCP"),))
        meta = ObjectMeta(name=name, namespace="default")
        return await self.client.create(Service(metadata=meta, spec=spec))

    async def pod(self, name: str, *, ready: bool = True, **labels: str) -> Pod:
        meta = ObjectMeta(name=name, namespace="default", labels=labels)
        spec = PodSpec(containers=(Container(name="c", image="i"),))
        pod = await self.client.create(Pod(metadata=meta, spec=spec))
        await self.client.bind(name, "default", "n1", uid=pod.metadata.uid)
        await self.kubelet.report(pod, ready=ready)
        return self.registry.get(Pod, name, "default")
