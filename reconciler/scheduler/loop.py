"""The scheduler's loop: binds each unbound pod to a node, or says why it cannot.

Run by the composition root. Decisions are made one after the other on one snapshot, which counts
a pod as placed the moment it is decided; the bindings themselves are written side by side, so
that a burst of pods shares the store's commits. A pod that no node takes makes pods of lower
priority leave, if that helps; else it waits, costs nothing, and is decided again when a node or a
pod changes in a way that could help it.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any, assert_never

import structlog

from reconciler.client.events import EventRecorder
from reconciler.client.informer import Informer
from reconciler.client.protocol import ApiError, Client, EventType, NotFound
from reconciler.core.clock import Clock
from reconciler.core.errors import Retryable
from reconciler.core.queue import Controller, Done, Outcome
from reconciler.model.meta import NamespacedName
from reconciler.model.namespace import Namespace
from reconciler.model.node import Node
from reconciler.model.pod import Pod
from reconciler.model.podstatus import TERMINAL, PodCondition
from reconciler.model.retirement import is_stopped
from reconciler.model.time import format_time
from reconciler.scheduler.decision import Placed, Refused, decide
from reconciler.scheduler.evict import evict, withdraw
from reconciler.scheduler.preemption import NoPreemption, Preemption, displaced, preempt
from reconciler.scheduler.reserve import reserve
from reconciler.scheduler.snapshot import Snapshot, effective_taints, priority_of
from reconciler.scheduler.storage import Storage
from reconciler.scheduler.volumes import NONE, PodVolumes, reservations
from reconciler.scheduler.waiting import Waiting, waiting_of

SCHEDULER_NAME = "default-scheduler"
_PARALLEL_BINDINGS = 64


class Scheduler:
    """Binds pods that ask for the default scheduler; `seed` fixes how ties are broken."""

    def __init__(  # noqa: PLR0913 - all that a placement depends on
        self,
        client: Client,
        pods: Informer[Pod],
        nodes: Informer[Node],
        events: EventRecorder,
        clock: Clock,
        *,
        storage: Storage | None = None,
        namespaces: Informer[Namespace] | None = None,
        seed: int = 0,
        random: Random | None = None,
    ) -> None:
        self._client = client
        self._pods = pods
        self._nodes = nodes
        self._events = events.speaker("default-scheduler")
        self._clock = clock
        self._seed = seed
        self._storage, self._namespaces = storage, namespaces
        self._snapshot = Snapshot()
        self._waiting: dict[NamespacedName, Waiting] = {}
        self._log = structlog.get_logger(component="scheduler")
        self._controller: Controller[NamespacedName] = Controller(
            "scheduler", self._reconcile, workers=_PARALLEL_BINDINGS, random=random
        )
        nodes.subscribe(self._node_changed)
        pods.subscribe(self._pod_changed)
        if storage is not None:
            storage.watch(pods, self._retry_waiting)
        if namespaces is not None:
            namespaces.subscribe(self._namespace_changed)

    async def run(self) -> None:
        """Place pods until cancelled."""
        informers: list[Informer[Any]] = [self._nodes, self._pods]
        if self._storage is not None:
            informers += self._storage.informers()
        if self._namespaces is not None:
            informers.append(self._namespaces)
        await asyncio.gather(*(informer.synced.wait() for informer in informers))
        await self._controller.run()

    def _node_changed(self, event: EventType, old: Node | None, new: Node | None) -> None:
        node = new if event != "DELETED" else None
        if node is not None:
            if old is None or _offers(old) != _offers(node):
                self._snapshot.set_node(node)
                self._retry_waiting()
        elif old is not None:
            self._snapshot.remove_node(old.metadata.name)

    def _namespace_changed(
        self, event: EventType, old: Namespace | None, new: Namespace | None
    ) -> None:
        """Learn a namespace's labels; those of one that is gone matter to no pod."""
        if new is None or event == "DELETED":
            gone = old or new
            if gone is not None:
                self._snapshot.spaces.pop(gone.metadata.name, None)
            return
        labels = new.metadata.labels
        if self._snapshot.spaces.get(new.metadata.name, {}) != labels:
            self._snapshot.spaces[new.metadata.name] = labels
            self._retry_waiting()

    def _pod_changed(self, event: EventType, old: Pod | None, new: Pod | None) -> None:
        pod = new if event != "DELETED" else None
        if pod is None:
            gone = old if old is not None else new
            if gone is not None:
                self._waiting.pop(NamespacedName.of(gone), None)
                self._freed(gone)
        elif pod.status.phase in TERMINAL or is_stopped(pod):
            self._freed(pod)
        elif pod.spec.node_name:
            if self._snapshot.placed_on(pod.metadata.uid) != pod.spec.node_name:
                self._place(pod, pod.spec.node_name)
            elif old is None or _looks(old) != _looks(pod):
                self._place(pod, pod.spec.node_name)
                self._retry_waiting()  # it may keep others away no longer
        elif is_ours(pod):
            if pod.status.nominated_node_name and old is None:
                self._snapshot.nominate(pod, pod.status.nominated_node_name)
            if old is None or old.spec != pod.spec or _looks(old) != _looks(pod):
                self._controller.queue.add(NamespacedName.of(pod))

    def _place(self, pod: Pod, node: str) -> None:
        """Count the pod on the node, and try again whom its company may help."""
        self._snapshot.place(pod, node)
        tenant, spaces = self._snapshot.tenant(pod.metadata.uid), self._snapshot.spaces
        if tenant is not None:
            for key, waiting in self._waiting.items():
                if waiting.is_helped_by(tenant.profile, spaces):
                    self._controller.queue.add(key)

    def _freed(self, pod: Pod) -> None:
        if self._snapshot.remove(pod.metadata.uid):
            self._retry_waiting()

    def _retry_waiting(self) -> None:
        """Try all that wait again, the most important first (PrioritySort)."""
        for key, _ in sorted(self._waiting.items(), key=lambda item: -item[1].priority):
            self._controller.queue.add(key)

    async def _reconcile(self, key: NamespacedName) -> Outcome:
        pod = self._pods.get(key.name, key.namespace)
        if pod is None or not is_ours(pod) or self._snapshot.placed_on(pod.metadata.uid):
            self._waiting.pop(key, None)
            return Done()
        placed = self._snapshot.placed_on
        volumes = self._storage.of(pod, self._pods, placed) if self._storage else NONE
        snapshot, crowded = self._snapshot, self._snapshot.crowded(pod)
        decision = decide(
            pod, snapshot.nodes(), self._seed, volumes, spaces=snapshot.spaces, crowded=crowded
        )
        match decision:
            case Placed(node) if volumes.waiting:
                await self._reserve(pod, volumes, node)
            case Placed(node):
                await self._bind(pod, node)
            case Refused():
                await self._preempt(pod, decision)
            case _:
                assert_never(decision)
        return Done()

    async def _preempt(self, pod: Pod, refused: Refused) -> None:
        """Make pods of lower priority leave when that makes room, and say why the pod waits."""
        if not refused.by_node:
            await self._refuse(pod, refused.message)
            return
        snapshot = self._snapshot
        found = preempt(refused.request, refused.by_node, snapshot.tenants(), snapshot.crowded(pod))
        match found:
            case NoPreemption(why, hopeless):
                nominated = "" if hopeless else pod.status.nominated_node_name
                if hopeless:
                    snapshot.withdraw(pod.metadata.uid)
                await self._refuse(pod, f"{refused.message} preemption: {why}", nominated)
            case Preemption():
                snapshot.nominate(pod, found.node)
                await self._make_room(pod, found)
                await self._refuse(pod, refused.message, found.node)
            case _:
                assert_never(found)

    async def _make_room(self, pod: Pod, found: Preemption) -> None:
        lower = displaced(self._snapshot.nominated(), found, priority_of(pod))
        for tenant in lower:
            self._snapshot.withdraw(tenant.uid)
            other = self._pods.get(tenant.name, tenant.profile.namespace)
            if other is not None:
                await withdraw(self._client, other)
        now = format_time(self._clock.now())
        self._waiting[NamespacedName.of(pod)] = waiting_of(pod, "")
        for victim in found.victims:
            known = self._pods.get(victim.name, victim.profile.namespace)
            if known is None or known.metadata.uid != victim.uid:
                continue
            space = known.metadata.namespace
            reason = f"makes room for {NamespacedName.of(pod)}"
            self._log.info(
                "pod.preempted", namespace=space, name=victim.name, node=found.node, reason=reason
            )
            try:
                await evict(self._client, known, pod, found.node, self._events, now)
            except ApiError as error:
                raise Retryable(f"preempting {NamespacedName.of(known)}: {error}") from error

    async def _reserve(self, pod: Pod, volumes: PodVolumes, node: str) -> None:
        """Have the pod's claims bound on the node; it is bound itself when they are."""
        self._waiting.setdefault(NamespacedName.of(pod), waiting_of(pod, ""))
        known = self._nodes.get(node)
        found = reservations(volumes, known) if known is not None else None
        try:
            await reserve(self._client, found or (), node)
        except ApiError as error:
            raise Retryable(f"volumes of {NamespacedName.of(pod)}: {error}") from error

    async def _bind(self, pod: Pod, node: str) -> None:
        meta = pod.metadata
        self._waiting.pop(NamespacedName.of(pod), None)
        self._place(pod, node)
        try:
            await self._client.bind(meta.name, meta.namespace, node, uid=meta.uid)
        except NotFound:
            self._unplace(pod)
        except ApiError as error:
            # Replaced, being deleted or bound by somebody else: by then the informer says which.
            self._unplace(pod)
            raise Retryable(f"binding {NamespacedName.of(pod)} to {node}: {error}") from error
        except BaseException:
            self._unplace(pod)
            raise
        else:
            self._log.debug("pod.bound", namespace=meta.namespace, name=meta.name, node=node)
            message = f"Successfully assigned {NamespacedName.of(pod)} to {node}"
            self._events.event(pod, "Normal", "Scheduled", message)

    def _unplace(self, pod: Pod) -> None:
        shown = self._pods.get(pod.metadata.name, pod.metadata.namespace)
        if shown is None or shown.metadata.uid != pod.metadata.uid or not shown.spec.node_name:
            self._freed(pod)

    async def _refuse(self, pod: Pod, message: str, nominated: str = "") -> None:
        """Say why the pod waits, and on which node room is being made for it."""
        key = NamespacedName.of(pod)
        known = self._waiting.get(key)
        self._waiting[key] = waiting_of(pod, message)
        if known is not None and known.message == message:
            return
        self._log.info("pod.unschedulable", namespace=key.namespace, name=key.name, reason=message)
        self._events.event(pod, "Warning", "FailedScheduling", message)
        await self._say_unschedulable(pod, message, nominated)

    async def _say_unschedulable(self, pod: Pod, message: str, nominated: str) -> None:
        status = pod.status.replace(
            conditions=_with_refusal(pod, message, self._clock),
            nominated_node_name=nominated,
        )
        if status == pod.status:
            return
        try:
            await self._client.update(pod.replace(status=status), subresource="status")
        except NotFound:
            return
        except ApiError as error:
            self._waiting[NamespacedName.of(pod)] = waiting_of(pod, "")
            raise Retryable(f"status of {NamespacedName.of(pod)}: {error}") from error


def is_ours(pod: Pod) -> bool:
    """Say whether the pod waits for this scheduler to bind it."""
    return (
        not pod.spec.node_name
        and pod.metadata.deletion_timestamp is None
        and pod.status.phase not in TERMINAL
        and not pod.spec.scheduling_gates
        and pod.spec.scheduler_name in ("", SCHEDULER_NAME)
    )


def _looks(pod: Pod) -> tuple[object, ...]:
    """Return what of a pod other pods' placement depends on and that may change."""
    return pod.metadata.labels, pod.metadata.deletion_timestamp is None


def _offers(node: Node) -> tuple[object, ...]:
    """Return what of a node matters to a decision; a heartbeat does not change it."""
    status = node.status
    return (
        node.metadata.labels,
        node.spec.unschedulable,
        effective_taints(node),
        status.allocatable or status.capacity,
    )


def _with_refusal(pod: Pod, message: str, clock: Clock) -> tuple[PodCondition, ...]:
    """Return the pod's conditions with PodScheduled False, its time kept when it was so before."""
    since: str | None = format_time(clock.now())
    others: list[PodCondition] = []
    for item in pod.status.conditions:
        if item.type != "PodScheduled":
            others.append(item)
        elif item.status == "False":
            since = item.last_transition_time
    refusal = PodCondition(
        type="PodScheduled",
        status="False",
        last_transition_time=since,
        reason="Unschedulable",
        message=message,
    )
    return (*others, refusal)
