"""Evicts pods that outgrow an emptyDir's sizeLimit or their limits on ephemeral-storage.

Kubernetes' localStorageEviction.

Run by the kubelet. It only writes the pod's status; the pod's own turn then stops its containers
and removes its volumes. Costs nothing while no pod has such a limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from reconciler.client.protocol import ApiError, Client, ConflictError, NotFound
from reconciler.core.clock import Clock
from reconciler.kubelet.cache import ContainerCache
from reconciler.kubelet.ending import EVICTED
from reconciler.kubelet.files import PodFiles
from reconciler.kubelet.narration import Recorder
from reconciler.kubelet.podspec import pod_key
from reconciler.kubelet.runtime import ContainerRuntime, RuntimeFailure
from reconciler.kubelet.storagelimits import excess, is_limited
from reconciler.kubelet.volumes.usage import disk_usage, folder_usage, size_limits
from reconciler.model.pod import Pod
from reconciler.model.podstatus import TERMINAL, PodStatus, disrupted
from reconciler.model.time import format_time

# Kubernetes' period of the eviction manager.
INTERVAL = 10.0
_TRIES = 4


class Evictor:
    """Looks at the storage of `pods()` every `interval` seconds; `evicted(pod)` tells of one."""

    def __init__(  # noqa: PLR0913 - what pods write to, and who hears of it
        self,
        client: Client,
        files: PodFiles,
        runtime: ContainerRuntime,
        cache: ContainerCache,
        recorder: Recorder,
        clock: Clock,
        pods: Callable[[], Iterable[Pod]],
        evicted: Callable[[Pod], None],
        *,
        interval: float = INTERVAL,
    ) -> None:
        self._client, self._files = client, files
        self._runtime, self._cache = runtime, cache
        self._recorder, self._clock = recorder, clock
        self._pods, self._evicted, self._interval = pods, evicted, interval
        self._log = structlog.get_logger(component="kubelet")

    async def run(self) -> None:
        """Measure and evict until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            for pod in list(self._pods()):
                try:
                    await self._look(pod)
                except (OSError, ApiError, RuntimeFailure) as error:
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
        why = await self._empty_dirs(pod) or await self._storage(pod)
        if why:
            await self._evict(pod, why)

    async def _empty_dirs(self, pod: Pod) -> str:
        for volume, limit in size_limits(pod).items():
            used = await self._files.offload(disk_usage, self._files, pod.metadata.uid, volume)
            if used > limit.size:
                return f'Usage of EmptyDir volume "{volume}" exceeds the limit "{limit.text}". '
        return ""

    async def _storage(self, pod: Pod) -> str:
        if not is_limited(pod):
            return ""
        folder = self._files.on_disk(pod.metadata.uid)
        used = await self._files.offload(folder_usage, folder) if folder.is_dir() else 0
        layers: dict[str, int] = {}
        for container in self._cache.of(pod_key(pod)):
            if container.running and not container.is_sandbox:
                layers[container.name] = await self._runtime.disk_usage(container.id)
        return excess(pod, layers, used)

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
    target = disrupted(status, "TerminationByKubelet", message, now)
    return target.replace(phase="Failed", reason=EVICTED, message=message)
