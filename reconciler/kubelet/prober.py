"""Probes of running containers: one task each, with a clock of its own.

Called by `worker.py`, which says which containers run; it tells the worker's queue when a result
changed. Kubernetes' rules for delays, periods and thresholds; in addition, until its first
success a readiness or startup probe from the host is tried more often than its period, without
counting the failures: what answers early is ready early.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol

from reconciler.core.clock import Clock
from reconciler.core.ticks import Ticks
from reconciler.kubelet import roster
from reconciler.kubelet.images import Spawn
from reconciler.kubelet.labels import PodContainer, PodKey
from reconciler.kubelet.observed import Condemned
from reconciler.kubelet.probing import ProbeErrored, ProbeFailed, attempt
from reconciler.kubelet.runtime import ContainerRuntime
from reconciler.kubelet.wire import Wire
from reconciler.model.container import Container
from reconciler.model.pod import Pod
from reconciler.model.podstatus import LIVENESS_UNPROVEN, ContainerStatus
from reconciler.model.probe import Probe
from reconciler.model.time import span

Kind = Literal["Startup", "Liveness", "Readiness"]
_Tasks = dict[Kind, asyncio.Task[None]]

_DEFAULT_PERIOD, _DEFAULT_FAILURES = 10, 3
_FIRST_EAGER, _EAGER_FACTOR = 0.02, 1.5
# Seconds from which on a wait need not end to the millisecond.
_ALONE = 0.5


class Report(Protocol):
    """Tells the user of a failed probe, as an event of the pod."""

    def __call__(self, pod: Pod, name: str, kind: Kind, message: str) -> None:
        """`name` is the container's, `message` the probe's output."""
        ...


@dataclass(slots=True)
class Results:
    """What the probes of all containers found, by container id.

    `ready` and `started` hold those that have such a probe; `unhealthy` says why a
    container must be restarted, `unproven` are those whose liveness probe has not succeeded yet.
    """

    ready: dict[str, bool] = field(default_factory=dict)
    started: dict[str, bool] = field(default_factory=dict)
    unhealthy: dict[str, Condemned] = field(default_factory=dict)
    unproven: set[str] = field(default_factory=set)

    def forget(self, container: str) -> None:
        """Drop what is known of a container that ended."""
        self.ready.pop(container, None)
        self.started.pop(container, None)
        self.unhealthy.pop(container, None)
        self.unproven.discard(container)


class Prober:
    """The probes of one host. `changed(pod)` is called when a result of the pod changed."""

    def __init__(
        self,
        runtime: ContainerRuntime,
        clock: Clock,
        spawn: Spawn,
        changed: Callable[[PodKey], None],
        report: Report,
        wire: Wire,
    ) -> None:
        self.results = Results()
        self._runtime, self._clock, self._wire = runtime, clock, wire
        self._ticks = Ticks()
        self._spawn, self._changed, self._report = spawn, changed, report
        self._tasks: dict[PodKey, dict[str, _Tasks]] = {}

    def watch(self, key: PodKey, pod: Pod, running: Iterable[PodContainer], address: str) -> None:
        """Probe exactly these containers of the pod."""
        known = self._tasks.setdefault(key, {})
        wanted = {container.id: container for container in running}
        self._leave(known, known.keys() - wanted.keys())
        specs = {each.name: each.container for each in roster.members(pod)}
        for container_id in wanted.keys() - known.keys():
            seen = wanted[container_id]
            known[container_id] = self._start(key, pod, specs[seen.name], seen, address)
        if not known:
            del self._tasks[key]

    def keep_readiness(self, key: PodKey, running: Iterable[PodContainer]) -> None:
        """Go on probing the readiness of these containers of a pod that ends, and nothing else.

        As Kubernetes does: services without another endpoint send to it as long as it serves.
        """
        known = self._tasks.get(key, {})
        self._leave(known, known.keys() - {container.id for container in running})
        for container_id, tasks in known.items():
            self.results.unhealthy.pop(container_id, None)
            for kind in tasks.keys() - {"Readiness"}:
                tasks.pop(kind).cancel()

    def forget(self, key: PodKey) -> None:
        """Stop all probes of a pod."""
        known = self._tasks.pop(key, {})
        self._leave(known, tuple(known))

    def _leave(self, known: dict[str, _Tasks], containers: Iterable[str]) -> None:
        """Stop the probes of containers, and drop what they found."""
        for container_id in tuple(containers):
            for task in known.pop(container_id).values():
                task.cancel()
            self.results.forget(container_id)

    def _start(
        self, key: PodKey, pod: Pod, spec: Container, seen: PodContainer, address: str
    ) -> _Tasks:
        """Start the container's probes; until they say otherwise it is what its status says.

        That is of this very container only: one that a former kubelet found ready stays so, and
        its service is not cut off because the kubelet started anew; a fresh one is neither.
        """
        kinds: list[tuple[Kind, Probe | None]] = [
            ("Startup", spec.startup_probe),
            ("Liveness", spec.liveness_probe),
            ("Readiness", spec.readiness_probe),
        ]
        former = _former(pod, seen)
        if spec.startup_probe:
            self.results.started[seen.id] = bool(former and former.started)
        if spec.readiness_probe:
            self.results.ready[seen.id] = bool(former and former.ready)
        if spec.liveness_probe and (former is None or _is_unproven(pod)):
            self.results.unproven.add(seen.id)
        begun = seen.state.started or self._clock.now()
        target = _Target(key, pod, spec, seen, address, begun, asyncio.Event())
        if spec.startup_probe is None:
            target.started.set()
        return {kind: self._spawn(self._run(kind, probe, target)) for kind, probe in kinds if probe}

    async def _run(self, kind: Kind, probe: Probe, target: _Target) -> None:
        if kind != "Startup":
            await target.started.wait()
        # A wall clock that was set back must not make the container younger than it is.
        age = max(0.0, (self._clock.now() - target.begun).total_seconds())
        await asyncio.sleep(max(0.0, probe.initial_delay_seconds - age))
        tally, due = _Tally(kind, probe), self._clock.monotonic()
        while True:
            try:
                failure = await self._try(probe, target)
            except ProbeErrored as error:
                self._report(target.pod, target.spec.name, kind, f"errored: {error}")
            else:
                self._count(kind, probe, target, tally, failure, due)
            if kind == "Startup" and tally.good:
                return
            due = max(due + tally.pause(due), self._clock.monotonic())
            await self._rest(due)

    def _count(
        self,
        kind: Kind,
        probe: Probe,
        target: _Target,
        tally: _Tally,
        failure: str | None,
        now: float,
    ) -> None:
        """Take in what a try said, and act when it changes the verdict."""
        change = tally.count(failed=failure is not None, now=now)
        if failure is not None and tally.counted:
            self._report(target.pod, target.spec.name, kind, f"failed: {failure}")
        if change is not None:
            self._apply(kind, probe, target, good=change)
        elif kind == "Liveness" and failure is None and target.id in self.results.unproven:
            self.results.unproven.discard(target.id)
            self._changed(target.key)

    async def _rest(self, until: float) -> None:
        """Wait; for long with the others, so that few moments of waking serve all probes."""
        left = until - self._clock.monotonic()
        await (asyncio.sleep(left) if left < _ALONE else self._ticks.until(until))

    async def _try(self, probe: Probe, target: _Target) -> str | None:
        try:
            await attempt(
                probe, target.spec, target.seen, target.address, self._runtime, self._wire
            )
        except (ProbeFailed, OSError, ValueError) as error:
            return str(error)
        return None

    def _apply(self, kind: Kind, probe: Probe, target: _Target, *, good: bool) -> None:
        if kind == "Readiness":
            self.results.ready[target.id] = good
        elif kind == "Startup" and good:
            self.results.started[target.id] = True
            target.started.set()
        elif not good:
            words = _condemnation(kind, target.pod, target.spec.name)
            self.results.unhealthy[target.id] = Condemned(words, _grace(probe))
        self._changed(target.key)


def _condemnation(kind: Kind, pod: Pod, name: str) -> str:
    """Return why a container is stopped, as Kubernetes' computePodActions has it."""
    member = roster.member(pod, name)
    if member is not None and member.is_sidecar:
        return f"Init container {name} failed {kind.lower()} probe"
    words = f"Container {name} failed {kind.lower()} probe"
    return words if pod.spec.restart_policy == "Never" else f"{words}, will be restarted"


def _former(pod: Pod, seen: PodContainer) -> ContainerStatus | None:
    """Return what the pod's status says of exactly this container."""
    told = f"docker://{seen.id}"
    statuses = (*pod.status.init_container_statuses, *pod.status.container_statuses)
    return next((each for each in statuses if each.container_id == told), None)


def _is_unproven(pod: Pod) -> bool:
    return any(each.type == LIVENESS_UNPROVEN for each in pod.status.conditions)


def _grace(probe: Probe) -> timedelta | None:
    seconds = probe.termination_grace_period_seconds
    return None if seconds is None else span(seconds)


@dataclass(frozen=True, slots=True)
class _Target:
    key: PodKey
    pod: Pod
    spec: Container
    seen: PodContainer
    address: str
    begun: datetime
    started: asyncio.Event

    @property
    def id(self) -> str:
        return self.seen.id


class _Tally:
    """Counts tries of one probe against its thresholds."""

    def __init__(self, kind: Kind, probe: Probe) -> None:
        self.good = kind == "Liveness"
        self.counted = False
        self._period = probe.period_seconds or _DEFAULT_PERIOD
        self._failures = probe.failure_threshold or _DEFAULT_FAILURES
        self._successes = probe.success_threshold or 1
        self._eager = kind != "Liveness" and probe.exec is None and self._successes == 1
        self._run_length = 0
        self._last: bool | None = None
        self._next_counted = 0.0
        self._said = True if kind == "Liveness" else None
        self._interval = _FIRST_EAGER

    def count(self, *, failed: bool, now: float) -> bool | None:
        """Count a try; return the new verdict when it changed."""
        self.counted = not failed or not self._eager or now >= self._next_counted
        if not self.counted:
            return None
        self._next_counted = now + self._period
        self._run_length = self._run_length + 1 if failed == self._last else 1
        self._last = failed
        if self._run_length < (self._failures if failed else self._successes):
            return None
        self.good = not failed
        if not failed:
            self._eager = False
        if self._said is self.good:
            return None
        self._said = self.good
        return self.good

    def pause(self, now: float) -> float:
        """Return the seconds from one try to the next."""
        if not self._eager:
            return self._period
        self._interval = min(self._interval * _EAGER_FACTOR, self._period)
        return min(self._interval, max(self._next_counted - now, _FIRST_EAGER))
