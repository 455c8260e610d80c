"""Evicts pods whose emptyDir outgrows its sizeLimit: Kubernetes' localStorageEviction.

Run by the kubelet. It only writes the pod's status; the pod's own turn then stops its containers
and removes its volumes. Costs nothing while no pod has such a limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from reconciler.client.protocol import ApiError, Client, ConflictError, NotFound
from reconciler.core.clock import Clock
from reconciler.kubelet.ending import EVICTED
from reconciler.kubelet.files import PodFiles
from reconciler.kubelet.narration import Recorder
from reconciler.kubelet.plan import TERMINAL
from reconciler.kubelet.volumes.usage import disk_usage, size_limits
from reconciler.model.pod import Pod
from reconciler.model.podstatus import PodCondition, PodStatus
from reconciler.model.time import format_time

# Kubernetes' period of the eviction manager.
INTERVAL = 10.0
_TRIES = 4


class Evictor:
    """Looks at the volumes of `pods()` every ten seconds; `evicted(pod)` tells of one."""

    def __init__(
        self,
        client: Client,
        files: PodFiles,
        recorder: Recorder,
        clock: Clock,
        pods: Callable[[], Iterable[Pod]],
        evicted: Callable[[Pod], None],
    ) -> None:
        self._client, self._files = client, files
        self._recorder, self._clock = recorder, clock
        self._pods, self._evicted = pods, evicted
        self._log = structlog.get_logger(component="kubelet")

    async def run(self) -> None:
        """Measure and evict until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            for pod in list(self._pods()):
                try:
                    await self._look(pod)
                except (OSError, ApiError) as error:
                    meta = pod.metadata
                    self._log.warning(
                        "volumes.not_measured",
                        namespace=meta.namespace,
                        name=meta.name,
                        reason=str(error),
                    )

    async def _look(self, pod: Pod) -> None:
        if pod.status.phase in TERMINAL or pod.metadata.deletion_timestamp is not None:
            return
        for volume, limit in size_limits(pod).items():
            used = await self._files.offload(disk_usage, self._files, pod.metadata.uid, volume)
            if used > limit.size:
                text = f'Usage of EmptyDir volume "{volume}" exceeds the limit "{limit.text}". '
                await self._evict(pod, text)
                return

    async def _evict(self, pod: Pod, message: str) -> None:
        """Write the end of the pod, whoever writes its status meanwhile."""
        for _ in range(_TRIES):
            status = evicted_status(pod.status, message, format_time(self._clock.now()))
            try:
                await self._client.update(
                    pod.replace(status=status), subresource="status", manager="kubelet"
                )
            except NotFound:
                return
            except ConflictError:
                uid = pod.metadata.uid
                pod = await self._client.get(Pod, pod.metadata.name, pod.metadata.namespace)
                if pod.metadata.uid != uid or pod.status.phase in TERMINAL:
                    return
            else:
                self._recorder.event(pod, "Warning", EVICTED, message)
                self._evicted(pod)
                return


def evicted_status(status: PodStatus, message: str, now: str) -> PodStatus:
    """Return the status of a pod that is evicted, with Kubernetes' DisruptionTarget. Pure."""
    target = PodCondition(
        type="DisruptionTarget",
        status="True",
        reason="TerminationByKubelet",
        message=message,
        last_transition_time=now,
    )
    others = tuple(each for each in status.conditions if each.type != target.type)
    return status.replace(
        phase="Failed", reason=EVICTED, message=message, conditions=(*others, target)
    )
