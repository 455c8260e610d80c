"""Writes what is seen of a pod into its status, as seldom as can be.

Called by `worker.py` in each round. While a pod is being worked on, only its first status, a loss
of readiness and the end of a deleted one that is held are written at once; the rest waits for the
end of the work, which is near.
"""

from __future__ import annotations

from reconciler.client.protocol import Client, ConflictError, NotFound
from reconciler.core.clock import Clock
from reconciler.core.errors import Retryable
from reconciler.kubelet import roster
from reconciler.kubelet.containerstatus import Facts, Waiting
from reconciler.kubelet.files import PodFiles
from reconciler.kubelet.images import Images
from reconciler.kubelet.labels import PodKey
from reconciler.kubelet.memory import Memory
from reconciler.kubelet.narration import Narrator
from reconciler.kubelet.newcomers import Newcomers
from reconciler.kubelet.observed import Observed
from reconciler.kubelet.prober import Prober
from reconciler.kubelet.runtime import ContainerRuntime, RuntimeFailure
from reconciler.kubelet.status import OVERDUE, is_ready, pod_status
from reconciler.model.pod import Pod
from reconciler.model.podstatus import ContainerStatus, PodStatus

_WRITE_TRIES = 4
_FALLBACK = "FallbackToLogsOnError"
# Kubernetes' MaxContainerTerminationMessageLogLines.
_LINES = 80
# Kubernetes' MaxPodTerminationMessageLogLength: what all containers of a pod may say together.
_MOST_WORDS = 12 * 1024


class Reporter:
    """The statuses of one node's pods."""

    def __init__(  # noqa: PLR0913 - everything that a status is made of
        self,
        *,
        client: Client,
        files: PodFiles,
        prober: Prober,
        images: Images,
        runtime: ContainerRuntime,
        narrator: Narrator,
        clock: Clock,
        host_ip: str,
        newcomers: Newcomers,
    ) -> None:
        self._client, self._files, self._prober = client, files, prober
        self._images, self._runtime = images, runtime
        self._narrator, self._clock, self._host_ip = narrator, clock, host_ip
        self._newcomers = newcomers

    async def report(
        self, key: PodKey, pod: Pod, observed: Observed, memory: Memory, *, busy: bool
    ) -> None:
        """Write the status if it says anything new; on a conflict, of the newer object.

        `busy`: there is more to do for the pod at once. Raises `Retryable`.
        """
        await self._read_last_words(key, pod, observed, memory)
        for _ in range(_WRITE_TRIES):
            status = self._status(pod, observed, memory)
            if status == pod.status or (busy and not _is_urgent(pod, status)):
                return
            try:
                memory.written = await self._client.update(
                    pod.replace(status=status), subresource="status", manager="kubelet"
                )
            except NotFound:
                return
            except ConflictError:
                pod = await self._client.get(Pod, key.name, key.namespace)
                if pod.metadata.uid != key.uid:
                    return
            else:
                self._tell(pod, memory.written)
                if observed.rejection is not None:
                    why = observed.rejection
                    self._narrator.rejected(pod, why.reason, why.message)
                return
        raise Retryable(f"the status of pod {key} changes too fast")

    def _status(self, pod: Pod, observed: Observed, memory: Memory) -> PodStatus:
        results = self._prober.results
        facts = Facts(
            host_ip=self._host_ip,
            ready=results.ready,
            waiting=_waiting(pod, memory),
            messages=memory.messages,
            image_ids=self._images.ids(),
            users=self._newcomers.users,
            failures=memory.failures,
            unproven=results.unproven,
        )
        return pod_status(pod, observed, facts, self._clock.now())

    async def _read_last_words(
        self, key: PodKey, pod: Pod, observed: Observed, memory: Memory
    ) -> None:
        for container in observed.containers:
            if container.exited and container.id not in memory.messages:
                member = roster.member(pod, container.name)
                policy = member.container.termination_message_policy if member else ""
                words = self._files.termination_message(key.uid, container.name, container.attempt)
                if not words and policy == _FALLBACK and container.state.exit_code:
                    words = await self._last_output(container.id)
                memory.messages[container.id] = _share(words, pod)

    async def _last_output(self, container: str) -> str:
        """Return the end of a failed container's log, as terminationMessagePolicy may ask."""
        try:
            return (await self._runtime.logs(container, tail=_LINES)).decode(errors="replace")
        except RuntimeFailure as error:
            return f"unable to retrieve container logs: {error}"

    def _tell(self, before: Pod, after: Pod) -> None:
        self._narrator.readiness(before, after)
        if after.status.reason == OVERDUE and before.status.reason != OVERDUE:
            self._narrator.overdue(after)
        known = {s.name for s in _statuses(before.status) if _in_crash_loop(s)}
        for status in _statuses(after.status):
            if _in_crash_loop(status) and status.name not in known:
                self._narrator.backing_off(after, status.name)


def _share(words: str, pod: Pod) -> str:
    """Return as much of a container's last words as its pod has room for (normalizeStatus)."""
    most = _MOST_WORDS // len(roster.members(pod))
    return words.encode()[:most].decode(errors="ignore")


def _waiting(pod: Pod, memory: Memory) -> dict[str, Waiting]:
    """Return why containers wait: the engine's silence where nothing nearer is known."""
    if not memory.unsettled:
        return memory.waiting
    members = roster.members(pod)
    return {each.name: Waiting("", memory.unsettled) for each in members} | memory.waiting


def _is_urgent(pod: Pod, after: PodStatus) -> bool:
    """A pod is acknowledged at once, and leaves its services at once.

    How a deleted one ended is seen only now, and what is to be done next is to remove it: who holds
    it by a finalizer is told before. The object of any other goes in that moment.
    """
    before, meta = pod.status, pod.metadata
    if before.start_time is None or (is_ready(before) and not is_ready(after)):
        return True
    held = meta.deletion_timestamp is not None and bool(meta.finalizers)
    return held and before.phase != after.phase


def _statuses(status: PodStatus) -> tuple[ContainerStatus, ...]:
    return (*status.init_container_statuses, *status.container_statuses)


def _in_crash_loop(status: ContainerStatus) -> bool:
    waiting = status.state.waiting
    return waiting is not None and waiting.reason == "CrashLoopBackOff"
