"""What a crash left on this host is put right before any pod is worked on.

Called by `kubelet.py`, once, after the first listing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

import structlog

from reconciler.kubelet.cache import ContainerCache
from reconciler.kubelet.cgroups import NotLimited
from reconciler.kubelet.files import PodFiles
from reconciler.kubelet.newcomers import Newcomers
from reconciler.kubelet.podnetwork import PodNetwork, link_name
from reconciler.kubelet.podspec import pod_key
from reconciler.kubelet.runtime import ContainerRuntime, RuntimeFailure
from reconciler.kubelet.starter import Starter
from reconciler.kubelet.volumes.protocol import VolumeError
from reconciler.kubelet.volumes.volumes import Volumes
from reconciler.model.pod import Pod


class Sweep:
    """Containers, limits, folders and links that a former kubelet did not get done."""

    def __init__(
        self,
        runtime: ContainerRuntime,
        network: PodNetwork,
        files: PodFiles,
        volumes: Volumes,
        cache: ContainerCache,
        starter: Starter,
        newcomers: Newcomers,
    ) -> None:
        self._runtime, self._network, self._files = runtime, network, files
        self._volumes, self._cache = volumes, cache
        self._starter, self._newcomers = starter, newcomers
        self._log = structlog.get_logger(component="kubelet")

    async def run(self, own: Sequence[Pod], strays: Iterable[str]) -> None:
        """Remove what belongs to no pod; `own` are this node's, `strays` containers of nobody."""
        pods = self._cache.pods()
        alive = {key.uid for key in pods} | {pod.metadata.uid for pod in own}
        for stray in strays:  # nothing ever ran in it; a crash left it
            with suppress(RuntimeFailure):  # then the next start tries again
                await self._runtime.remove(stray)
        for pod in own:
            await self._limit_found(pod)
        for uid in sorted(self._files.uids() - alive):
            await self._remove_rests(uid)
        boxes = (box for key in pods for box in self._cache.of(key) if box.is_sandbox)
        wanted = {link_name(box.state.name) for box in boxes}
        for link in sorted(self._starter.links - wanted):
            await self._network.detach(link)
            self._starter.links.discard(link)

    async def _limit_found(self, pod: Pod) -> None:
        try:
            await self._newcomers.adopt(pod, self._cache.of(pod_key(pod)), self._runtime)
        except NotLimited as error:
            where = {"namespace": pod.metadata.namespace, "name": pod.metadata.name}
            self._log.warning("kubelet.not_limited", kind="Pod", **where, reason=str(error))

    async def _remove_rests(self, uid: str) -> None:
        """A volume that does not go must not keep the others' pods waiting: it stays, and is told.

        The next start of the kubelet tries again.
        """
        try:
            await self._volumes.teardown(uid)
        except (VolumeError, OSError) as error:
            self._log.warning("volumes.not_removed", uid=uid, reason=str(error))
