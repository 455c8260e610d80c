"""Lifecycle hooks of containers: each a task of its own, beside the pod's worker.

Called by `worker.py`, which says what to run; it tells the worker's queue when a hook ended.
Kubernetes' handlers; a tcpSocket, which Kubernetes accepts and does not run, is connected to. The
output of a hook is told to nobody: it may hold what is secret.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from reconciler.kubelet import probing
from reconciler.kubelet.images import Spawn
from reconciler.kubelet.labels import PodContainer, PodKey
from reconciler.kubelet.observed import Observed
from reconciler.kubelet.probing import ProbeFailed
from reconciler.kubelet.runtime import ContainerRuntime, RuntimeFailure
from reconciler.kubelet.wire import Wire
from reconciler.model.container import Container
from reconciler.model.pod import Pod
from reconciler.model.probe import LifecycleHandler

When = Literal["PostStart", "PreStop"]

# A postStart hook has no time limit in Kubernetes; this is Docker's own for one call.
_LONGEST = 600.0


class Report(Protocol):
    """Tells the user of a failed hook, as an event of the pod."""

    def __call__(self, pod: Pod, name: str, when: When, why: str) -> None:
        """`name` is the container's."""
        ...


@dataclass(frozen=True, slots=True)
class Subject:
    """The container whose hook runs, and the address to reach it at."""

    key: PodKey
    pod: Pod
    spec: Container
    found: PodContainer
    address: str


def subject(
    pod: Pod, spec: Container, found: PodContainer, observed: Observed, host_ip: str
) -> Subject:
    """Return a container to run a hook of, with its pod's address or the host's."""
    live = observed.live
    address = live.address if live is not None and live.address else host_ip
    return Subject(found.pod, pod, spec, found, address)


class Hooks:
    """The hooks of one host. `changed(pod)` is called when one of the pod's ended."""

    def __init__(
        self,
        runtime: ContainerRuntime,
        spawn: Spawn,
        changed: Callable[[PodKey], None],
        report: Report,
        wire: Wire,
    ) -> None:
        self.failed: dict[str, str] = {}
        self._runtime, self._spawn, self._wire = runtime, spawn, wire
        self._changed, self._report = changed, report
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def running(self) -> frozenset[str]:
        """Return the ids of the containers of which a hook runs."""
        return frozenset(self._tasks)

    def post_start(self, subject: Subject) -> None:
        """Run a container's postStart hook, if it has one; it must be restarted if that fails."""
        lifecycle = subject.spec.lifecycle
        if lifecycle is not None and lifecycle.post_start is not None:
            self._begin("PostStart", lifecycle.post_start, subject, _LONGEST)

    def pre_stop(self, subject: Subject, seconds: float) -> None:
        """Run a container's preStop hook for at most `seconds`."""
        self.give_up(subject.found.id)
        lifecycle = subject.spec.lifecycle
        if lifecycle is not None and lifecycle.pre_stop is not None:
            self._begin("PreStop", lifecycle.pre_stop, subject, seconds)

    def forget(self, container: str) -> None:
        """The container is gone."""
        self.give_up(container)
        self.failed.pop(container, None)

    def give_up(self, container: str) -> None:
        """The container is told to go: the hook that runs is over, one that failed has failed."""
        task = self._tasks.pop(container, None)
        if task is not None:
            task.cancel()

    def _begin(
        self, when: When, handler: LifecycleHandler, subject: Subject, seconds: float
    ) -> None:
        work = self._run(when, handler, subject, seconds)
        self._tasks[subject.found.id] = self._spawn(work)

    async def _run(
        self, when: When, handler: LifecycleHandler, subject: Subject, seconds: float
    ) -> None:
        try:
            why = await self._failure(handler, subject, seconds)
        finally:
            if self._tasks.get(subject.found.id) is asyncio.current_task():
                del self._tasks[subject.found.id]
        if why:
            if when == "PostStart":
                self.failed[subject.found.id] = why
            self._report(subject.pod, subject.spec.name, when, why)
        self._changed(subject.key)

    async def _failure(self, handler: LifecycleHandler, subject: Subject, seconds: float) -> str:
        """Run the handler; return why it failed, or nothing."""
        try:
            async with asyncio.timeout(seconds):
                await self._handle(handler, subject, seconds)
        except TimeoutError:
            return f"not done after {seconds:g} seconds"
        except (ProbeFailed, RuntimeFailure, OSError, ValueError) as error:
            return str(error)
        return ""

    async def _handle(self, handler: LifecycleHandler, subject: Subject, seconds: float) -> None:
        by = asyncio.get_running_loop().time() + seconds
        target = subject.spec, subject.address, self._wire, by
        if handler.exec is not None:
            argv = subject.found.argv(handler.exec.command)
            result = await self._runtime.exec(subject.found.id, argv, seconds)
            if result.exit_code:
                raise ProbeFailed(f"command exited with {result.exit_code}")
        elif handler.http_get is not None:
            await probing.fetch(handler.http_get, *target)
        elif handler.tcp_socket is not None:
            await probing.connect(handler.tcp_socket, *target)
        elif handler.sleep is not None:
            await asyncio.sleep(handler.sleep.seconds)
