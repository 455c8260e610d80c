"""Stopping containers: the effects of the planner's `BeginStop`, `StopContainer`, `KillContainer`.

Called by `worker.py`. What was begun is kept in the pod's memory, from which the planner knows
when the next step is due.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from reconciler.core.clock import Clock
from reconciler.kubelet import roster
from reconciler.kubelet.actions import BeginStop, StopContainer
from reconciler.kubelet.containerstatus import Waiting
from reconciler.kubelet.hooks import Hooks, subject
from reconciler.kubelet.images import Images
from reconciler.kubelet.memory import Memory
from reconciler.kubelet.narration import Narrator
from reconciler.kubelet.observed import Observed, Stopping
from reconciler.kubelet.runtime import ContainerRuntime
from reconciler.model.pod import Pod

_KILL_AGAIN = timedelta(seconds=5)


class Stopper:
    """The three steps from a running container to a dead one."""

    def __init__(
        self,
        runtime: ContainerRuntime,
        images: Images,
        hooks: Hooks,
        narrator: Narrator,
        clock: Clock,
        host_ip: str,
        doubt: Callable[[str], None],
    ) -> None:
        self._runtime, self._images, self._hooks = runtime, images, hooks
        self._doubt = doubt
        self._narrator, self._clock, self._host_ip = narrator, clock, host_ip

    def begin(self, action: BeginStop, pod: Pod | None, observed: Observed, memory: Memory) -> None:
        """Tell of the stop, and run the preStop hook; the signal comes in a later plan."""
        self._give_up_hook(action.id, action.name, memory)
        now = self._clock.now()
        memory.stopping[action.id] = Stopping(now, action.deadline)
        if pod is None:
            return
        self._narrator.stopping(pod, action.name, action.message)
        member = roster.member(pod, action.name)
        found = next(c for c in observed.containers if c.id == action.id)
        if action.hook and member is not None:
            seconds = (action.deadline - now).total_seconds()
            about = subject(pod, member.container, found, observed, self._host_ip)
            self._hooks.pre_stop(about, seconds)

    async def signal(
        self, action: StopContainer, pod: Pod | None, observed: Observed, memory: Memory
    ) -> None:
        """Send the image's stop signal, or SIGTERM."""
        self._give_up_hook(action.id, action.name, memory)
        now, known = self._clock.now(), memory.stopping.get(action.id)
        if known is None and pod is not None:
            self._narrator.stopping(pod, action.name, action.message)
        since = now if known is None else known.since
        memory.stopping[action.id] = Stopping(since, action.deadline, signalled=now)
        container = next(c for c in observed.containers if c.id == action.id)
        image = await self._images.local(container.state.image)
        signal = image.stop_signal if image is not None and image.stop_signal else "SIGTERM"
        await self._runtime.signal(action.id, signal)

    async def kill(self, container: str, memory: Memory) -> None:
        """SIGKILL; the death's event calls the pod back, or a second try is made.

        After that one the engine is asked: the container may be gone, and its event lost.
        """
        now, known = self._clock.now(), memory.stopping.get(container)
        memory.stopping[container] = Stopping(now, now + _KILL_AGAIN, now, killed=True)
        await self._runtime.signal(container, "SIGKILL")
        if known is not None and known.killed:
            self._doubt(container)

    def _give_up_hook(self, container: str, name: str, memory: Memory) -> None:
        """End a hook that still runs; one that failed is why the container waits."""
        why = self._hooks.failed.get(container)
        if why is not None:
            memory.waiting[name] = Waiting("PostStartHookError", f"PostStart handler: {why}")
        self._hooks.give_up(container)
