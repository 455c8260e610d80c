"""Watches the nodes' heartbeats.

Run by the composition root. Silence is measured on this process's own clock, from when a
heartbeat was seen to change: neither a wrong clock on the node nor a restart of this process makes
a node look dead. Nodes are few, so that one pass looks at all of them; a node's change wakes it,
and a Lease that is renewed does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import structlog

from reconciler.client.events import EventRecorder
from reconciler.client.informer import Informer
from reconciler.client.protocol import ApiError, Client, ConflictError, EventType, NotFound
from reconciler.controllers.nodelifecycle.plan import (
    evict_in,
    heartbeat,
    ready_status,
    silent_status,
    tainted_spec,
    unready,
)
from reconciler.core.clock import Clock
from reconciler.core.errors import Retryable
from reconciler.core.queue import Controller, Done, Outcome, RequeueAfter
from reconciler.model.lease import NODE_LEASES, Lease
from reconciler.model.node import Node
from reconciler.model.pod import Pod

GRACE = 40.0
"""Seconds of silence after which a node counts as unreachable (node-monitor-grace-period)."""

_PERIOD = 5.0
_BY_NODE = "nodelifecycle-node"


@dataclass(slots=True)
class _Seen:
    """A node's last heartbeat, when it was first seen, and whether its pods were told."""

    heartbeat: tuple[str | None, str | None]
    at: float
    pods_marked: bool = False


class NodeLifecycle:
    """Marks silent nodes, taints nodes by their conditions, evicts what does not tolerate it."""

    def __init__(
        self,
        client: Client,
        nodes: Informer[Node],
        leases: Informer[Lease],
        pods: Informer[Pod],
        events: EventRecorder,
        clock: Clock,
        *,
        random: Random | None = None,
    ) -> None:
        self._client = client
        self._nodes = nodes
        self._leases = leases
        self._pods = pods
        self._events = events.speaker("node-controller")
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._log = structlog.get_logger(component="nodelifecycle")
        self._controller: Controller[str] = Controller(
            "nodelifecycle", self._reconcile, workers=1, random=random
        )
        pods.add_index(_BY_NODE, _node_of)
        nodes.subscribe(self._node_changed)

    async def run(self) -> None:
        """Watch until cancelled."""
        for informer in (self._nodes, self._leases, self._pods):
            await informer.synced.wait()
        await self._controller.run()

    def _node_changed(self, event: EventType, old: Node | None, new: Node | None) -> None:
        if event == "DELETED" or new is None:
            if old is not None:
                self._seen.pop(old.metadata.name, None)
            return
        self._hear(new)
        if old is None or _face(old) != _face(new):
            self._controller.queue.add(new.metadata.name)

    def _hear(self, node: Node) -> _Seen:
        """Note the node's heartbeat."""
        beat, now = self._heartbeat(node), self._clock.monotonic()
        seen = self._seen.setdefault(node.metadata.name, _Seen(beat, now))
        if seen.heartbeat != beat:
            seen.heartbeat, seen.at = beat, now
        return seen

    def _heartbeat(self, node: Node) -> tuple[str | None, str | None]:
        return heartbeat(node, self._leases.get(node.metadata.name, NODE_LEASES))

    async def _reconcile(self, name: str) -> Outcome:
        node = self._nodes.get(name)
        if node is None:
            return Done()
        try:
            node = await self._mark_silence(node)
            node = await self._taint(node)
            wait = await self._tend_pods(node)
        except NotFound:
            return RequeueAfter(_PERIOD)
        except ConflictError as error:
            raise Retryable(f"node {name} changed: {error}") from error
        except ApiError as error:
            raise Retryable(f"node {name}: {error}") from error
        return RequeueAfter(min(_PERIOD, wait))

    async def _mark_silence(self, node: Node) -> Node:
        seen = self._hear(node)
        silence = self._clock.monotonic() - seen.at
        if silence < GRACE:
            return node
        status = silent_status(node, self._clock.now())
        if status == node.status:
            return node
        self._log.warning("node.silent", name=node.metadata.name, seconds=round(silence))
        message = f"Node {node.metadata.name} status is now: NodeNotReady"
        self._events.event(node, "Normal", "NodeNotReady", message)
        stored = await self._client.update(node.replace(status=status), subresource="status")
        seen.heartbeat = self._heartbeat(stored)
        return stored

    async def _taint(self, node: Node) -> Node:
        spec = tainted_spec(node, self._clock.now(), evicting=self._elsewhere(node))
        if spec == node.spec:
            return node
        keys = [f"{taint.key}:{taint.effect}" for taint in spec.taints]
        self._log.info("node.tainted", name=node.metadata.name, taints=keys)
        return await self._client.update(node.replace(spec=spec))

    def _elsewhere(self, node: Node) -> bool:
        """Say whether another node is ready, so that pods have somewhere to go."""
        name = node.metadata.name
        return any(
            ready_status(other) == "True"
            for other in self._nodes.items()
            if other.metadata.name != name
        )

    async def _tend_pods(self, node: Node) -> float:
        """Mark and evict the node's pods as due; return the seconds until the next eviction."""
        seen = self._hear(node)
        if ready_status(node) == "True":
            seen.pods_marked = False
            return await self._evict(node, self._pods_on(node))
        pods = self._pods_on(node)
        if self._elsewhere(node) and not seen.pods_marked:
            for pod in pods:
                await self._mark_unready(pod)
            seen.pods_marked = True
        return await self._evict(node, pods)

    def _pods_on(self, node: Node) -> Sequence[Pod]:
        pods = self._pods.by_index(_BY_NODE, node.metadata.name)
        return sorted(pods, key=lambda pod: pod.key)

    async def _mark_unready(self, pod: Pod) -> None:
        changed = unready(pod, self._clock.now())
        if changed is None:
            return
        try:
            await self._client.update(changed, subresource="status")
        except NotFound:
            return

    async def _evict(self, node: Node, pods: Sequence[Pod]) -> float:
        soonest = _PERIOD
        if not any(taint.effect == "NoExecute" for taint in node.spec.taints):
            return soonest
        for pod in pods:
            if pod.metadata.deletion_timestamp is not None:
                continue
            wait = evict_in(pod, node.spec.taints, self._clock.now())
            if wait == 0.0:
                await self._delete(pod)
            elif wait is not None:
                soonest = min(soonest, wait)
        return soonest

    async def _delete(self, pod: Pod) -> None:
        meta = pod.metadata
        message = f"Marking for deletion Pod {meta.namespace}/{meta.name}"
        self._events.event(pod, "Normal", "TaintManagerEviction", message)
        self._log.warning("pod.evicted", namespace=meta.namespace, name=meta.name,
                          reason="its node's NoExecute taints")  # fmt: skip
        try:
            await self._client.delete(Pod, meta.name, meta.namespace, uid=meta.uid)
        except (NotFound, ConflictError):
            return


def _node_of(pod: Pod) -> list[str]:
    return [pod.spec.node_name] if pod.spec.node_name else []


def _face(node: Node) -> tuple[object, ...]:
    """Return what of a node this loop reacts to; a heartbeat alone wakes nobody."""
    conditions = tuple((item.type, item.status) for item in node.status.conditions)
    return conditions, node.spec.taints, node.spec.unschedulable
