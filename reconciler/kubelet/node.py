"""This host's Node object: registered once, its heartbeat kept. Built by the composition root.

It looks every ten seconds (Kubernetes' nodeStatusUpdateFrequency) and renews the node's Lease each
time. The status is written when it says something new, and every five minutes
(nodeStatusReportFrequency); the object itself only when what it says is missing or different. It
evicts nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from itertools import islice

import structlog

from reconciler.client.protocol import AlreadyExists, ApiError, Client, NotFound
from reconciler.core.clock import Clock
from reconciler.kubelet import lease
from reconciler.kubelet.hostfacts import HostFacts
from reconciler.kubelet.runtime import ContainerRuntime, LocalImage, RuntimeFailure, RuntimeVersion
from reconciler.model.meta import ObjectMeta
from reconciler.model.node import (
    ContainerImage,
    Node,
    NodeAddress,
    NodeCondition,
    NodeSpec,
    NodeStatus,
    NodeSystemInfo,
)
from reconciler.model.quantity import from_bytes
from reconciler.model.time import format_time

HEARTBEAT = 10.0
MOST_IMAGES = 50
"""Kubernetes' nodeStatusMaxImages: how many images a status names, the largest first."""

_REPORT = 300.0  # Kubernetes' nodeStatusReportFrequency
_MOST_NAMES = 5  # Kubernetes' maxNamesPerImageInNodeStatus
_IMAGES_EVERY = 30.0
_RETRY = 2.0
_KUBELET = "kubelet"


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """What the settings say of this node. `max_pods` bounds the pods that the scheduler binds."""

    name: str
    address: str
    pod_cidr: str
    max_pods: int = 250
    heartbeat: float = HEARTBEAT


class NodeAgent:
    """Registers the node and keeps it alive."""

    def __init__(
        self,
        client: Client,
        runtime: ContainerRuntime,
        clock: Clock,
        facts: HostFacts,
        options: NodeOptions,
    ) -> None:
        self._client, self._runtime, self._clock = client, runtime, clock
        self._facts, self._options = facts, options
        self._engine: RuntimeVersion | None = None
        self._images: tuple[LocalImage, ...] = ()
        self._looked: float | None = None
        self._reported: float | None = None
        self._log = structlog.get_logger(component="node")

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            try:
                await self._beat()
            except ApiError as error:
                self._log.warning("node.heartbeat_failed", reason=str(error))
                await asyncio.sleep(_RETRY)
            else:
                await asyncio.sleep(self._options.heartbeat)

    async def _beat(self) -> None:
        trouble = await self._trouble()
        node = await self._registered(trouble)
        status = self._status(node, trouble)
        if self._overdue() or _news(status) != _news(node.status):
            node = await self._client.update(
                node.replace(status=status), subresource="status", manager=_KUBELET
            )
            self._reported = self._clock.monotonic()
        await lease.renew(self._client, self._clock, node, _KUBELET)

    def _status(self, node: Node, trouble: str) -> NodeStatus:
        now = format_time(self._clock.now())
        status = node_status(node, self._facts, self._engine, self._options, now, trouble)
        return status.replace(images=_named(self._images))

    def _overdue(self) -> bool:
        return self._reported is None or self._clock.monotonic() - self._reported >= _REPORT

    async def _trouble(self) -> str:
        """Return why pods cannot run here, or ""."""
        try:
            if self._engine is None:
                self._engine = await self._runtime.version()
            await self._runtime.ping()
            await self._look_at_images()
        except RuntimeFailure as error:
            self._engine = None  # it may come back as another version
            return f"container runtime is down: {error}"
        return ""

    async def _look_at_images(self) -> None:
        now = self._clock.monotonic()
        if self._looked is None or now - self._looked >= _IMAGES_EVERY:
            self._images = await self._runtime.all_images()
            self._looked = now

    async def _registered(self, trouble: str) -> Node:
        """Return the node's object; make it, or mend what it must say."""
        wanted = self._wanted()
        try:
            node = await self._client.get(Node, self._options.name)
        except NotFound:
            # With its condition, so that it is born without the taint for nodes that are not ready.
            return await self._register(wanted.replace(status=self._status(wanted, trouble)))
        labels = {**node.metadata.labels, **wanted.metadata.labels}
        spec = node.spec.replace(pod_cidr=wanted.spec.pod_cidr, pod_cidrs=wanted.spec.pod_cidrs)
        mended = node.replace(metadata=node.metadata.replace(labels=labels), spec=spec)
        if mended == node:
            return node
        return await self._client.update(mended, manager=_KUBELET)

    async def _register(self, wanted: Node) -> Node:
        try:
            node = await self._client.create(wanted, manager=_KUBELET)
        except AlreadyExists:
            return await self._client.get(Node, self._options.name)
        self._reported = self._clock.monotonic()
        self._log.info("node.registered", kind="Node", name=self._options.name)
        return node

    def _wanted(self) -> Node:
        return Node(
            metadata=ObjectMeta(name=self._options.name, labels=self._labels()),
            spec=NodeSpec(pod_cidr=self._options.pod_cidr, pod_cidrs=(self._options.pod_cidr,)),
        )

    def _labels(self) -> dict[str, str]:
        return {
            "beta.kubernetes.io/arch": self._facts.architecture,
            "beta.kubernetes.io/os": "linux",
            "kubernetes.io/arch": self._facts.architecture,
            "kubernetes.io/hostname": self._facts.hostname.lower(),
            "kubernetes.io/os": "linux",
        }


def node_status(
    node: Node,
    facts: HostFacts,
    engine: RuntimeVersion | None,
    options: NodeOptions,
    now: str,
    trouble: str,
) -> NodeStatus:
    """Return the status to write: heartbeats of now, all else equal while nothing changed. Pure."""
    pools = facts.huge_pages
    capacity = {
        "cpu": str(facts.cpus),
        "ephemeral-storage": from_bytes(facts.disk),
        **{f"hugepages-{from_bytes(size)}": from_bytes(pools[size]) for size in sorted(pools)},
        "memory": from_bytes(facts.memory),
        "pods": str(options.max_pods),
    }
    # What is kept as huge pages is no memory for anything else.
    memory = from_bytes(facts.memory - sum(pools.values()))
    return node.status.replace(
        capacity=capacity,
        allocatable={**capacity, "memory": memory},
        phase="Running",
        conditions=_conditions(node, now, trouble),
        addresses=(
            NodeAddress(type="InternalIP", address=options.address),
            NodeAddress(type="Hostname", address=facts.hostname),
        ),
        node_info=_system_info(facts, engine),
    )


def _news(status: NodeStatus) -> NodeStatus:
    """Return what of a status is worth a write: all but when it was last looked at."""
    conditions = tuple(each.replace(last_heartbeat_time=None) for each in status.conditions)
    return status.replace(conditions=conditions)


def _named(images: Iterable[LocalImage]) -> tuple[ContainerImage, ...]:
    return tuple(
        ContainerImage(names=each.names[:_MOST_NAMES], size_bytes=each.size)
        for each in islice(images, MOST_IMAGES)
    )


@cache
def _own_version() -> str:
    """Return the program's version, looked up once: that reads and parses a file."""
    return f"v{version('reconciler')}"


def _system_info(facts: HostFacts, engine: RuntimeVersion | None) -> NodeSystemInfo:
    return NodeSystemInfo(
        machine_id=facts.machine_id,
        system_uuid=facts.system_uuid,
        boot_id=facts.boot_id,
        kernel_version=facts.kernel,
        os_image=facts.os_image,
        container_runtime_version=f"{engine.name}://{engine.version}" if engine else "",
        kubelet_version=_own_version(),
        kube_proxy_version=_own_version(),
        operating_system="linux",
        architecture=facts.architecture,
    )


def _conditions(node: Node, now: str, trouble: str) -> tuple[NodeCondition, ...]:
    ready = (
        ("False", "KubeletNotReady", trouble)
        if trouble
        else ("True", "KubeletReady", "kubelet is posting ready status")
    )
    told = (
        (
            "MemoryPressure",
            ("False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ),
        ("DiskPressure", ("False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure")),
        (
            "PIDPressure",
            ("False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ),
        ("Ready", ready),
    )
    ours = tuple(_condition(node, kind, *value, now=now) for kind, value in told)
    names = {condition.type for condition in ours}
    return (*(c for c in node.status.conditions if c.type not in names), *ours)


def _condition(
    node: Node, kind: str, status: str, reason: str, message: str, *, now: str
) -> NodeCondition:
    former = next((c for c in node.status.conditions if c.type == kind), None)
    since = now
    if former is not None and former.status == status and former.last_transition_time:
        since = former.last_transition_time
    return NodeCondition(
        type=kind,
        status=status,
        last_heartbeat_time=now,
        last_transition_time=since,
        reason=reason,
        message=message,
    )
