"""What this host's containers are, kept up to date by the engine's events.

Called by the kubelet's loop (events, relists) and by `worker.py` (its own effects). Decides
nothing. A container that vanished without its end being seen stays as a dead one until the plan
has dealt with it, so that restarts are counted and the last state is known.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import datetime

from reconciler.kubelet.labels import MANAGED, PodContainer, PodKey
from reconciler.kubelet.runtime import Container, Happened, NoSuchContainer

# What a shell reports for a death by SIGKILL; Kubernetes says the same of a lost container.
_KILLED = 137


class ContainerCache:
    """Containers by id and by pod; `doubtful` ones want an inspection before a plan."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._by_pod: dict[PodKey, dict[str, PodContainer]] = {}
        self._pods: dict[str, PodKey] = {}
        self._doubtful: set[str] = set()
        self._died_early: set[str] = set()
        self._starved: set[str] = set()

    def pods(self) -> frozenset[PodKey]:
        """Return the pods that have containers."""
        return frozenset(self._by_pod)

    def of(self, pod: PodKey) -> tuple[PodContainer, ...]:
        """Return a pod's containers, sandboxes included, in order of attempts."""
        return tuple(sorted(self._by_pod.get(pod, {}).values(), key=lambda c: (c.attempt, c.id)))

    async def settle(
        self, pod: PodKey, inspect: Callable[[str], Awaitable[Container]], *, told: bool = True
    ) -> None:
        """Have the engine say what became of those of the pod's containers that are in doubt.

        How one ended matters only where somebody is `told` of it; one that ended is not asked about
        for less. Raises what `inspect` raises, but for `NoSuchContainer`, which is an answer.
        """
        for container in sorted(self._doubtful & self._by_pod.get(pod, {}).keys()):
            if not told and not self._by_pod[pod][container].running:
                self._doubtful.discard(container)
                continue
            try:
                self.put(await inspect(container))
            except NoSuchContainer:
                self._lose(container, self._now())

    def put(self, state: Container) -> PodKey:
        """Take in a container as the engine described it; return its pod.

        One that ended later than now did so before the wall clock was set back. The engine does not
        count it as killed for its memory when the kernel's word of that came after its end.
        """
        if state.id in self._starved:
            state = replace(state, oom_killed=True)
        if state.finished is not None and state.finished > (now := self._now()):
            state = replace(state, finished=now)
        container = PodContainer(state)
        self._by_pod.setdefault(container.pod, {})[state.id] = container
        self._pods[state.id] = container.pod
        self._doubtful.discard(state.id)
        if container.running and state.id in self._died_early:
            self._doubtful.add(state.id)
        self._died_early.discard(state.id)
        return container.pod

    def clock_set(self, pod: PodKey) -> None:
        """The wall clock was set: what the pod's containers say of the future is now."""
        for container in self.of(pod):
            if container.id not in self._doubtful:
                self.put(container.state)

    def note_process(self, container: str, pid: int) -> bool:
        """Take in the process of a container that was started without asking; False: too late."""
        pod = self._pods.get(container)
        known = self._by_pod[pod][container] if pod is not None else None
        if pod is None or known is None or not known.running or not pid:
            return False
        self._by_pod[pod][container] = PodContainer(replace(known.state, pid=pid))
        return True

    def drop(self, container: str) -> None:
        """Forget a container that was removed on purpose."""
        self._doubtful.discard(container)
        self._died_early.discard(container)
        self._starved.discard(container)
        pod = self._pods.pop(container, None)
        if pod is not None:
            self._by_pod[pod].pop(container, None)
            if not self._by_pod[pod]:
                del self._by_pod[pod]

    def doubt(self, container: str) -> None:
        """Have a container inspected before the next plan."""
        if container in self._pods:
            self._doubtful.add(container)

    def _lose(self, container: str, now: datetime) -> None:
        """Note that a container is not there: if it ran, it was killed at some time until now."""
        self._doubtful.discard(container)
        pod = self._pods.get(container)
        if pod is not None and self._by_pod[pod][container].running:
            self._end(self._by_pod[pod][container], _KILLED, now)

    def take(self, event: Happened) -> PodKey | None:
        """Note an event of a container; return its pod when that must be looked at."""
        pod = self._pods.get(event.id)
        if pod is None:
            return None
        known = self._by_pod[pod][event.id]
        if event.what == "oom":
            self._starved.add(event.id)
            return None if known.running else self.put(known.state)
        if event.what == "die" and known.state.phase == "created":
            self._died_early.add(event.id)  # before the answer to its start came
        if event.what == "die" and known.running:
            self._end(known, event.exit_code, event.at or known.state.created)
            self._doubtful.add(event.id)
            return pod
        if event.what == "destroy":
            self._doubtful.discard(event.id)
            if known.running:
                self._end(known, _KILLED, event.at or known.state.created)
            return pod
        return None

    def ids(self) -> frozenset[str]:
        """Return every container known."""
        return frozenset(self._pods)

    def compare(self, found: Iterable[Container], known_before: frozenset[str]) -> None:
        """Take in a listing that was begun when `known_before` were the ids.

        A worker may have acted meanwhile, so a difference is only a doubt, which the pod's own
        worker settles.
        """
        listed = {state.id: state for state in found}
        for state in listed.values():
            pod = self._pods.get(state.id)
            if pod is None:
                self.put(state)
                self._doubtful.add(state.id)
            elif self._by_pod[pod][state.id].state.phase != state.phase:
                self._doubtful.add(state.id)
        self._doubtful |= (known_before & self._pods.keys()) - listed.keys()

    def _end(self, known: PodContainer, exit_code: int, at: datetime) -> None:
        state = replace(known.state, phase="exited", exit_code=exit_code, finished=at, pid=0)
        self._by_pod[known.pod][known.id] = PodContainer(state)


def is_ours(event: Happened) -> bool:
    """Tell whether an event is about a container of ours."""
    return MANAGED in event.labels
