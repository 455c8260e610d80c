"""The ReplicationController loop: claim pods, plan, act, tell.

Run by the composition root. A key is one controller; each run reads the world anew from the
informers with this process's own writes laid over them, so that a lagging informer never makes
it create a pod twice. Which plan applies is decided here: controllers that a source manages are
rolled, all others are only counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random

from reconciler.client.events import EventRecorder
from reconciler.client.informer import Informer
from reconciler.client.protocol import ApiError, Client, EventType, NotFound
from reconciler.controllers.ownwrites import OwnWrites, revision
from reconciler.controllers.podstate import controller_of, is_ready, matches
from reconciler.controllers.replication import count, inplace, rest, restraint, rollout
from reconciler.controllers.replication.actions import CreatePods, PodAction
from reconciler.controllers.replication.claim import claim
from reconciler.controllers.replication.effects import Effects, Failure
from reconciler.controllers.replication.idle import is_idle
from reconciler.controllers.replication.policy import (
    DEFAULTS,
    RolloutDefaults,
    RolloutPolicy,
    is_rolled,
    policy_of,
)
from reconciler.controllers.replication.progress import Progress, assess
from reconciler.controllers.replication.status import next_available, status_of
from reconciler.controllers.replication.template import template_hash
from reconciler.core.clock import Clock
from reconciler.core.errors import Retryable
from reconciler.core.queue import Controller, Done, Outcome, RequeueAfter
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.exclusive import exclusive
from reconciler.model.inplace import asks_in_place, outdated_containers, shape_of
from reconciler.model.meta import NamespacedName
from reconciler.model.pod import Pod
from reconciler.model.replication import ReplicationController
from reconciler.model.retirement import is_retired

_WORKERS = 8
_BY_OWNER = "replication-owner"
_ORPHANS = "replication-orphan"
_BY_SELECTOR = "replication-selector"

_VERIFY_AFTER = 5.0
"""Seconds after which a write that the informer does not show is asked for at the API."""


@dataclass(frozen=True, slots=True)
class _Plan:
    actions: tuple[PodAction, ...]
    digest: str
    min_ready_seconds: int
    progress: Progress | None
    held: float = 0.0
    """Seconds until the pods that failed may be replaced."""


class ReplicationLoop:
    """Keeps every ReplicationController's pods at their number and of their template."""

    def __init__(
        self,
        client: Client,
        controllers: Informer[ReplicationController],
        pods: Informer[Pod],
        events: EventRecorder,
        clock: Clock,
        *,
        claims: Informer[PersistentVolumeClaim] | None = None,
        defaults: RolloutDefaults = DEFAULTS,
        random: Random | None = None,
    ) -> None:
        self._client = client
        self._defaults = defaults
        self._claims = claims
        self._controllers = controllers
        self._pods = pods
        self._events = events.speaker("replication-controller")
        self._clock = clock
        self._own: OwnWrites[Pod] = OwnWrites(pods)
        self._written: dict[NamespacedName, ReplicationController] = {}
        self._effects = Effects(client, self._events, self._own, clock)
        self._since = clock.now()
        self._controller: Controller[NamespacedName] = Controller(
            "replication", self._reconcile, workers=_WORKERS, random=random
        )
        pods.add_index(_BY_OWNER, _owner)
        pods.add_index(_ORPHANS, _orphan_labels)
        controllers.add_index(_BY_SELECTOR, _selector)
        controllers.subscribe(self._rc_changed)
        pods.subscribe(self._pod_changed)

    async def run(self) -> None:
        """Reconcile until cancelled."""
        followed = [each for each in (self._controllers, self._pods, self._claims) if each]
        await asyncio.gather(*(each.synced.wait() for each in followed))
        self._since = self._clock.now()
        await self._controller.run()

    def _rc_changed(
        self,
        _event: EventType,
        old: ReplicationController | None,
        new: ReplicationController | None,
    ) -> None:
        shown = new if new is not None else old
        if shown is None:
            return
        key = NamespacedName.of(shown)
        written = self._written.get(key)
        if written is not None and revision(shown) >= revision(written):
            del self._written[key]
            if revision(shown) == revision(written):
                return  # the echo of our own status
        if old is None and is_idle(shown) and not self._candidates(shown):
            return  # whatever pod it may have wakes it
        self._controller.queue.add(key)

    def _pod_changed(self, event: EventType, old: Pod | None, new: Pod | None) -> None:
        now = new if event != "DELETED" else None
        if old is not None and now is not None and _face(old) == _face(now):
            return
        for pod in (old, now):
            if pod is not None:
                self._wake(pod)

    def _wake(self, pod: Pod) -> None:
        owner = controller_of(pod.metadata)
        namespace = pod.metadata.namespace
        if owner is not None:
            if owner.kind == "ReplicationController":
                self._controller.queue.add(NamespacedName(namespace, owner.name))
            return
        for label in _orphan_labels(pod):
            for rc in self._controllers.by_index(_BY_SELECTOR, label):
                if matches(rc.spec.selector, pod.metadata.labels):
                    self._controller.queue.add(NamespacedName(namespace, rc.metadata.name))

    async def _reconcile(self, key: NamespacedName) -> Outcome:
        rc = self._newest(key)
        if rc is None:
            self._written.pop(key, None)
            return Done()
        await self._verify_own_writes(rc)
        owned = await self._claimed(rc)
        now = self._clock.now()
        plan = self._restrained(self._plan(rc, owned, now), owned, now)
        failure = None
        if rc.metadata.deletion_timestamp is None and plan.actions:
            failure = await self._effects.carry_out(rc, plan.actions, plan.digest)
            owned = self._owned(rc)
        await self._tell(key, rc, owned, plan, failure)
        if failure is not None and not failure.final:
            raise Retryable(failure.message)
        return self._next(rc, owned, plan, now)

    def _newest(self, key: NamespacedName) -> ReplicationController | None:
        shown = self._controllers.get(key.name, key.namespace)
        written = self._written.get(key)
        if shown is None or written is None or revision(shown) >= revision(written):
            return shown
        return written if written.metadata.uid == shown.metadata.uid else shown

    async def _claimed(self, rc: ReplicationController) -> Sequence[Pod]:
        found = claim(rc, self._candidates(rc))
        if not found.actions:
            return found.owned
        try:
            await self._effects.settle_claims(rc, found.actions)
        except NotFound as error:
            raise Retryable(f"{rc.key} is gone: {error}") from error
        except ApiError as error:
            raise Retryable(f"claiming pods of {rc.key}: {error}") from error
        return self._owned(rc)

    def _owned(self, rc: ReplicationController) -> Sequence[Pod]:
        return claim(rc, self._candidates(rc)).owned

    def _candidates(self, rc: ReplicationController) -> Sequence[Pod]:
        shown = list(self._pods.by_index(_BY_OWNER, rc.metadata.uid))
        for label in _selector(rc):
            shown.extend(self._pods.by_index(_ORPHANS, label))
        return self._own.over(rc.metadata.uid, shown)

    def _plan(self, rc: ReplicationController, owned: Sequence[Pod], now: datetime) -> _Plan:
        replicas = rc.spec.replicas if rc.spec.replicas is not None else 1
        digest = template_hash(rc.spec.template) if rc.spec.template is not None else ""
        resting = rest.plan(owned, retired=is_retired(rc))
        if is_retired(rc):
            return _Plan(resting, digest, rc.spec.min_ready_seconds, None)
        if not is_rolled(rc):
            actions = count.plan(replicas, owned, now)
            return _Plan((*resting, *actions), digest, rc.spec.min_ready_seconds, None)
        policy = self._policy(rc)
        self._complain(rc, policy)
        pods = rollout.generations(owned, digest)
        progress = assess(rc, pods, policy, now, self._since)
        here = self._fits_in_place(rc, pods)
        plan = inplace.plan if here else rollout.plan
        actions = plan(replicas, pods, policy, now, stopped=progress.stopped)
        return _Plan((*resting, *actions), digest, policy.min_ready_seconds, progress)

    def _restrained(self, plan: _Plan, owned: Sequence[Pod], now: datetime) -> _Plan:
        """Take the making of pods out of a plan while the last ones have failed too fast."""
        if not any(isinstance(action, CreatePods) for action in plan.actions):
            return plan
        held = restraint.wait(owned, plan.digest, now)
        if not held:
            return plan
        kept = tuple(each for each in plan.actions if not isinstance(each, CreatePods))
        return replace(plan, actions=kept, held=held)

    def _fits_in_place(self, rc: ReplicationController, pods: rollout.Generations) -> bool:
        template = rc.spec.template
        if template is None or not asks_in_place(rc):
            return False
        return inplace.applies(pods, shape_of(template))

    def _policy(self, rc: ReplicationController) -> RolloutPolicy:
        def claim(name: str) -> PersistentVolumeClaim | None:
            return self._claims.get(name, rc.metadata.namespace) if self._claims else None

        template = rc.spec.template
        alone = exclusive(template.spec, claim) if template is not None else ""
        return policy_of(rc, self._defaults, stop_first=bool(alone))

    def _complain(self, rc: ReplicationController, policy: RolloutPolicy) -> None:
        if rc.status.observed_generation != rc.metadata.generation:
            for sentence in policy.ignored:
                self._events.event(rc, "Warning", "InvalidRolloutPolicy", sentence)

    async def _tell(
        self,
        key: NamespacedName,
        rc: ReplicationController,
        owned: Sequence[Pod],
        plan: _Plan,
        failure: Failure | None,
    ) -> None:
        """Write the status when it says something new."""
        now = self._clock.now()
        progress = plan.progress
        if progress is not None and plan.actions:
            pods = rollout.generations(owned, plan.digest)
            progress = assess(rc, pods, self._policy(rc), now, self._since)
        status = status_of(
            rc,
            owned,
            plan.min_ready_seconds,
            now,
            failure=(failure.reason, failure.message) if failure is not None else None,
            progressing=progress.condition if progress is not None else None,
        )
        if status == rc.status:
            return
        try:
            stored = await self._client.update(rc.replace(status=status), subresource="status")
        except NotFound:
            return
        except ApiError as error:
            raise Retryable(f"status of {key}: {error}") from error
        shown = self._controllers.get(key.name, key.namespace)
        if shown is not None and revision(shown) < revision(stored):
            self._written[key] = stored

    async def _verify_own_writes(self, rc: ReplicationController) -> None:
        """Ask the API about writes that the informer should long have shown."""
        deadline = self._clock.monotonic() - _VERIFY_AFTER
        while (write := self._own.oldest(rc.metadata.uid)) is not None and write.at <= deadline:
            live = await self._live(write.object)
            self._own.verified(rc.metadata.uid, write, live, self._clock.monotonic())

    async def _live(self, pod: Pod) -> Pod | None:
        meta = pod.metadata
        try:
            return await self._client.get(Pod, meta.name, meta.namespace)
        except NotFound:
            return None
        except ApiError as error:
            raise Retryable(f"looking for pod {meta.name}: {error}") from error

    def _next(
        self, rc: ReplicationController, owned: Sequence[Pod], plan: _Plan, now: datetime
    ) -> Outcome:
        waits = [next_available(owned, plan.min_ready_seconds, now)]
        if plan.progress is not None:
            waits.append(plan.progress.check_in)
        if self._own.oldest(rc.metadata.uid) is not None:
            waits.append(_VERIFY_AFTER)
        if plan.held:
            waits.append(plan.held)
        soonest = min((wait for wait in waits if wait is not None), default=None)
        return Done() if soonest is None else RequeueAfter(soonest)


def _owner(pod: Pod) -> list[str]:
    owner = controller_of(pod.metadata)
    return [owner.uid] if owner is not None else []


def _orphan_labels(pod: Pod) -> list[str]:
    if controller_of(pod.metadata) is not None:
        return []
    namespace = pod.metadata.namespace
    return [f"{namespace}/{key}={value}" for key, value in pod.metadata.labels.items()]


def _selector(rc: ReplicationController) -> list[str]:
    """Return one pair of the selector: any pod that matches all of them has it."""
    selector = rc.spec.selector
    if not selector:
        return []
    key = min(selector)
    return [f"{rc.metadata.namespace}/{key}={selector[key]}"]


def _face(pod: Pod) -> tuple[object, ...]:
    """Return what of a pod a plan or status looks at; the rest of it wakes nobody."""
    meta = pod.metadata
    return (
        meta.labels,
        meta.annotations,
        meta.owner_references,
        meta.deletion_timestamp is None,
        pod.status.phase,
        is_ready(pod),
        outdated_containers(pod),
        bool(pod.spec.node_name),
    )
