"""One pod at a time: observe, plan, act, report, until there is nothing left to do now.

Called by the kubelet's queue with a pod's key, never twice at once for one pod. The only place
that performs the planner's actions. Everything is read anew each time: an event is only a hint.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any, assert_never

import structlog

from reconciler.client.informer import Informer
from reconciler.client.protocol import ApiError, Client, ConflictError, NotFound
from reconciler.core.clock import Clock
from reconciler.core.errors import Retryable
from reconciler.core.queue import Done, Outcome, RequeueAfter
from reconciler.kubelet import roster
from reconciler.kubelet.actions import (
    Action,
    AttachSandbox,
    BeginStop,
    CreateSandbox,
    DeleteObject,
    KillContainer,
    Plan,
    RemoveContainer,
    RemoveFiles,
    RemoveSandbox,
    RemoveVolumes,
    StartContainer,
    StopContainer,
    UpdateVolumes,
)
from reconciler.kubelet.admitting import Admission
from reconciler.kubelet.cache import ContainerCache
from reconciler.kubelet.deathwatch import DeathWatch
from reconciler.kubelet.holding import held_name, hold, let
from reconciler.kubelet.hooks import Hooks, subject
from reconciler.kubelet.images import Images
from reconciler.kubelet.labels import PodContainer, PodKey
from reconciler.kubelet.leaving import leaves
from reconciler.kubelet.letgo import LetGo
from reconciler.kubelet.memory import Memory
from reconciler.kubelet.narration import Narrator
from reconciler.kubelet.observed import Condemned, Observed
from reconciler.kubelet.plan import plan
from reconciler.kubelet.podadmit import Rejection
from reconciler.kubelet.podnetwork import NetworkFailure
from reconciler.kubelet.podspec import pod_key
from reconciler.kubelet.prober import Prober
from reconciler.kubelet.reporter import Reporter
from reconciler.kubelet.runtime import ContainerRuntime, RuntimeFailure
from reconciler.kubelet.starter import Starter, StartFailed
from reconciler.kubelet.stopper import Stopper
from reconciler.kubelet.volumes.protocol import VolumeError
from reconciler.kubelet.volumes.volumes import Volumes
from reconciler.model.pod import Pod
from reconciler.model.podstatus import TERMINAL

# A pod that needs more rounds than this gives others their turn first.
_ROUNDS = 12


class PodWorker:
    """Reconciles pods by key."""

    def __init__(  # noqa: PLR0913 - the parts that a pod is made with
        self,
        *,
        client: Client,
        pods: Informer[Pod],
        admission: Admission,
        runtime: ContainerRuntime,
        cache: ContainerCache,
        volumes: Volumes,
        images: Images,
        starter: Starter,
        prober: Prober,
        reporter: Reporter,
        hooks: Hooks,
        let_go: LetGo,
        deaths: DeathWatch,
        narrator: Narrator,
        clock: Clock,
        node_name: str,
        host_ip: str,
        let_go_timeout: float = 1.0,
    ) -> None:
        self._client, self._pods, self._runtime = client, pods, runtime
        self._admission = admission
        self._cache, self._volumes = cache, volumes
        self._starter, self._prober, self._let_go = starter, prober, let_go
        self._hooks, self._deaths, self._reporter = hooks, deaths, reporter
        self._narrator, self._clock = narrator, clock
        self._node_name, self._host_ip = node_name, host_ip
        self._stopper = Stopper(runtime, images, hooks, narrator, clock, host_ip, cache.doubt)
        self._let_go_timeout = timedelta(seconds=let_go_timeout)
        self._memory: dict[PodKey, Memory] = {}
        self._log = structlog.get_logger(component="kubelet")

    def leaving(self) -> tuple[PodKey, ...]:
        """Return the pods that wait for the proxies to let go of them."""
        return tuple(key for key, memory in self._memory.items() if memory.let_go_by)

    async def reconcile(self, key: PodKey) -> Outcome:
        """Bring the pod as near to its object as can be done now."""
        memory = self._memory.setdefault(key, Memory())
        if memory.follow(self._clock):
            self._cache.clock_set(key)
        try:
            return await self._rounds(key, memory)
        except (RuntimeFailure, NetworkFailure, ApiError) as error:
            raise Retryable(str(error)) from error

    async def _rounds(self, key: PodKey, memory: Memory) -> Outcome:
        """Act until nothing is left to do now; when the engine fails, the pod says why it waits."""
        try:
            for _ in range(_ROUNDS):
                next_ = await self._round(key, memory)
                if not next_.actions:
                    return self._rest(key, memory, next_)
        except RuntimeFailure as error:
            memory.unsettled = str(error)
            if pod := self._pod(key, memory):
                observed = self._watched(key, pod, memory)
                await self._reporter.report(key, pod, observed, memory, busy=False)
            raise
        return RequeueAfter(0)

    async def _round(self, key: PodKey, memory: Memory) -> Plan:
        await self._cache.settle(key, self._runtime.inspect)
        pod = self._pod(key, memory)
        observed = self._watched(key, pod, memory)
        next_ = plan(pod, observed, self._clock.now())
        if not next_.actions:
            memory.unsettled = ""  # the engine did all that was asked of it
        ends = any(isinstance(action, DeleteObject) for action in next_.actions)
        if ends and pod is not None and pod.metadata.finalizers:
            # Whoever holds the object sees how it is when nothing of it is left.
            await self._reporter.report(key, pod, observed, memory, busy=False)
        effects = [self._perform(a, key, pod, observed, memory) for a in next_.actions]
        if pod is not None and not ends:
            busy = bool(next_.actions)
            effects.append(self._reporter.report(key, pod, observed, memory, busy=busy))
        await _all(effects)
        self._deaths.keep(key, self._pod(key, memory), observed)
        return next_

    def _rest(self, key: PodKey, memory: Memory, next_: Plan) -> Outcome:
        if self._pod(key, memory) is None and not self._cache.of(key):
            self._forget(key)
            return Done()
        if next_.wake is None:
            return Done()
        return RequeueAfter(max(0.0, (next_.wake - self._clock.now()).total_seconds()) + 0.001)

    def _forget(self, key: PodKey) -> None:
        self._prober.forget(key)
        self._deaths.forget(key)
        self._starter.release(key)
        self._memory.pop(key, None)

    def _watched(self, key: PodKey, pod: Pod | None, memory: Memory) -> Observed:
        """Observe the pod with what its probes say: after a start they say what its status said."""
        self._watch_probes(key, pod, self._observe(key, pod, memory))
        return self._observe(key, pod, memory)

    def _pod(self, key: PodKey, memory: Memory) -> Pod | None:
        """Return the pod's object, ours if newer than the informer's; None when it is gone."""
        seen = self._pods.get(key.name, key.namespace)
        if seen is None or seen.metadata.uid != key.uid or seen.spec.node_name != self._node_name:
            return None
        if memory.deleted:
            return None  # the informer has not heard yet
        written = memory.written
        if written is not None and _version(written) > _version(seen):
            return written
        memory.written = None
        return seen

    def _observe(self, key: PodKey, pod: Pod | None, memory: Memory) -> Observed:
        containers = self._cache.of(key)
        sandboxes = tuple(c for c in containers if c.is_sandbox)
        live = next((box for box in reversed(sandboxes) if box.running), None)
        return Observed(
            rejection=self._rejection(pod, containers),
            sandboxes=sandboxes,
            containers=tuple(c for c in containers if not c.is_sandbox),
            linked=live is not None and self._starter.linked(live),
            stopping=dict(memory.stopping),
            condemned=self._condemned(containers),
            hooks=self._hooks.running(),
            started=self._started(),
            held=dict(memory.held),
            let_go=self._let_go_moment(pod, live, containers, memory),
            files=memory.files,
            volumes=pod is not None and bool(pod.spec.volumes) and memory.volumes,
            outdated=pod is not None and self._volumes.outdated(pod),
        )

    def _rejection(self, pod: Pod | None, made: tuple[PodContainer, ...]) -> Rejection | None:
        """Return why this host cannot run a pod of which nothing was made yet."""
        if pod is None or made or pod.status.phase in TERMINAL or pod.status.container_statuses:
            return None
        return self._admission.rejection(pod)

    def _condemned(self, containers: tuple[PodContainer, ...]) -> dict[str, Condemned]:
        """Return the containers that failed a probe or their postStart hook."""
        unhealthy = self._prober.results.unhealthy
        found = {c.id: unhealthy[c.id] for c in containers if c.id in unhealthy}
        hooked = (c.id for c in containers if c.id in self._hooks.failed)
        return found | {container: Condemned("FailedPostStartHook") for container in hooked}

    def _started(self) -> Mapping[str, bool]:
        """Return the verdicts on starts: one whose postStart hook failed never was, to its end."""
        started, failed = self._prober.results.started, self._hooks.failed
        return started | dict.fromkeys(failed, False) if failed else started

    def _let_go_moment(
        self,
        pod: Pod | None,
        live: PodContainer | None,
        containers: tuple[PodContainer, ...],
        memory: Memory,
    ) -> datetime | None:
        """Return until when a pod that leaves its services shall wait for the proxies."""
        if pod is None or not leaves(pod, containers):
            memory.let_go_by = None
            return None
        by = memory.let_go_by = memory.let_go_by or self._clock.now() + self._let_go_timeout
        return by if live is not None and not self._let_go.done(live.address) else None

    def _watch_probes(self, key: PodKey, pod: Pod | None, observed: Observed) -> None:
        """Probe what runs; of a pod that ends ask only whether it still serves."""
        live = observed.live
        if pod is None or live is None:
            self._prober.forget(key)
            return
        ends = pod.metadata.deletion_timestamp is not None
        names = {each.name for each in roster.members(pod)}
        running = [
            c
            for c in observed.containers
            if c.running
            and c.sandbox == live.id
            and c.name in names
            and (ends or c.id not in observed.stopping)
        ]
        if ends:
            self._prober.keep_readiness(key, running)
        else:
            self._prober.watch(key, pod, running, live.address or self._host_ip)

    async def _perform(
        self, action: Action, key: PodKey, pod: Pod | None, observed: Observed, memory: Memory
    ) -> None:
        match action:
            case CreateSandbox() | AttachSandbox() | StartContainer() | UpdateVolumes():
                if pod is not None:
                    await self._start(action, pod, observed, memory)
            case BeginStop():
                self._stopper.begin(action, pod, observed, memory)
            case StopContainer():
                await self._stopper.signal(action, pod, observed, memory)
            case KillContainer(container, _):
                await self._stopper.kill(container, memory)
            case RemoveContainer(container):
                self._hooks.forget(container)
                await self._starter.remove_container(container)
                memory.stopping.pop(container, None)
                memory.messages.pop(container, None)
            case RemoveSandbox(container, address):
                box = next(b for b in observed.sandboxes if b.id == container)
                await self._starter.remove_sandbox(key, box)
                self._let_go.forget(address)
                self._deaths.free(address)
            case RemoveVolumes() | RemoveFiles():
                await self._remove_files(action, key, memory)
            case DeleteObject():
                await self._delete_object(key, memory)
            case _:
                assert_never(action)

    async def _start(
        self,
        action: CreateSandbox | AttachSandbox | StartContainer | UpdateVolumes,
        pod: Pod,
        observed: Observed,
        memory: Memory,
    ) -> None:
        """Start something; a failure is told, and held until the next try."""
        name = held_name(action)
        memory.files = memory.volumes = True
        try:
            await self._start_one(action, pod, observed)
        except StartFailed as error:
            hold(memory, name, pod, error, self._clock.now())
            if not error.quiet:
                self._narrator.failed(pod, name, error)
        else:
            let(memory, name, pod)

    async def _start_one(
        self,
        action: CreateSandbox | AttachSandbox | StartContainer | UpdateVolumes,
        pod: Pod,
        observed: Observed,
    ) -> None:
        match action:
            case UpdateVolumes():
                await self._starter.update_volumes(pod)
            case CreateSandbox(attempt):
                await self._starter.create_sandbox(pod, attempt)
                if attempt:
                    self._narrator.sandbox_changed(pod)
            case AttachSandbox(container):
                box = next(b for b in observed.sandboxes if b.id == container)
                await self._starter.attach_sandbox(box)
            case StartContainer():
                await self._start_container(action, pod, observed)
            case _:
                assert_never(action)

    async def _remove_files(
        self, action: RemoveVolumes | RemoveFiles, key: PodKey, memory: Memory
    ) -> None:
        volumes_only = isinstance(action, RemoveVolumes)
        try:
            await self._volumes.teardown(key.uid, volumes_only=volumes_only)
        except (VolumeError, OSError) as error:
            raise Retryable(f"the volumes of pod {key} stay: {error}") from error
        memory.volumes = False
        memory.files = memory.files and volumes_only

    async def _start_container(self, action: StartContainer, pod: Pod, observed: Observed) -> None:
        member = roster.member(pod, action.name)
        if member is None:
            return
        spec, began = member.container, self._clock.monotonic()
        made = await self._starter.start_container(
            pod, spec, action.attempt, action.backoff, action.sandbox
        )
        self._narrator.started(pod, spec)
        key = pod_key(pod)
        found = next((c for c in self._cache.of(key) if c.id == made), None)
        if found is not None:
            self._hooks.post_start(subject(pod, spec, found, observed, self._host_ip))
        self._log.info(
            "container.started",
            kind="Pod",
            namespace=pod.metadata.namespace,
            name=pod.metadata.name,
            container=spec.name,
            attempt=action.attempt,
            seconds=round(self._clock.monotonic() - began, 3),
        )

    def unhold(self, key: PodKey) -> None:
        """What a start waited for is there: try again at once."""
        memory = self._memory.get(key)
        if memory is not None:
            memory.held.clear()

    async def _delete_object(self, key: PodKey, memory: Memory) -> None:
        try:
            await self._client.delete(
                Pod, key.name, key.namespace, uid=key.uid, grace_period_seconds=0
            )
        except (NotFound, ConflictError):
            self._log.debug("pod.gone", namespace=key.namespace, name=key.name)
        memory.deleted = True


def _version(pod: Pod) -> int:
    text = pod.metadata.resource_version
    return int(text) if text.isdecimal() else 0


async def _all(effects: list[Coroutine[Any, Any, None]]) -> None:
    """Let every effect come to its end, then raise the first failure."""
    results = await asyncio.gather(*effects, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
