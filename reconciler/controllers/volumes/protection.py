"""Takes the protection finalizers off deleted claims and volumes that nobody uses any more.

Run by the composition root. Kubernetes' pvc- and pv-protection controllers: a claim is in use
while a pod that names it has a node; a volume while it is Bound. Pods are asked for at the API
before a finalizer goes: a cache that lags behind must not let data go under a pod.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import TypeVar

import structlog

from reconciler.client.informer import Informer
from reconciler.client.protocol import ApiError, Client, EventType, NotFound
from reconciler.core.errors import Retryable
from reconciler.core.queue import Controller, Done, Outcome
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.meta import KubeObject
from reconciler.model.pod import Pod
from reconciler.model.storage import PersistentVolume
from reconciler.model.volumebinding import CLAIM_FINALIZER, VOLUME_FINALIZER, claims_of_pod

K = TypeVar("K", bound=KubeObject)

Name = tuple[str, str]
"""(namespace, name) of a claim; an empty namespace makes it a volume."""


class VolumeProtection:
    """Lets claims and volumes go when they may."""

    def __init__(
        self,
        client: Client,
        claims: Informer[PersistentVolumeClaim],
        volumes: Informer[PersistentVolume],
        pods: Informer[Pod],
        *,
        random: Random | None = None,
    ) -> None:
        self._client = client
        self._claims, self._volumes, self._pods = claims, volumes, pods
        self._log = structlog.get_logger(component="volumes")
        self._controller: Controller[Name] = Controller(
            "volumeprotection", self._reconcile, workers=2, random=random
        )
        claims.subscribe(self._claim_changed)
        volumes.subscribe(self._volume_changed)
        pods.subscribe(self._pod_changed)

    async def run(self) -> None:
        """Work until cancelled."""
        every = (self._claims, self._volumes, self._pods)
        await asyncio.gather(*(informer.synced.wait() for informer in every))
        await self._controller.run()

    def _claim_changed(
        self, _: EventType, _old: PersistentVolumeClaim | None, new: PersistentVolumeClaim | None
    ) -> None:
        if _leaves(new, CLAIM_FINALIZER):
            self._add(new)

    def _volume_changed(
        self, _: EventType, _old: PersistentVolume | None, new: PersistentVolume | None
    ) -> None:
        if _leaves(new, VOLUME_FINALIZER):
            self._add(new)

    def _add(self, obj: KubeObject | None) -> None:
        if obj is not None:
            self._controller.queue.add((obj.metadata.namespace, obj.metadata.name))

    def _pod_changed(self, event: EventType, old: Pod | None, new: Pod | None) -> None:
        pod = new or old
        if pod is None or event != "DELETED" or not pod.spec.volumes:
            return
        for name in claims_of_pod(pod):
            claim = self._claims.get(name, pod.metadata.namespace)
            if _leaves(claim, CLAIM_FINALIZER):
                self._add(claim)

    async def _reconcile(self, key: Name) -> Outcome:
        namespace, name = key
        try:
            if namespace:
                await self._claim(name, namespace)
            else:
                await self._volume(name)
        except NotFound:
            return Done()
        except ApiError as error:
            raise Retryable(f"{namespace}/{name}: {error}") from error
        return Done()

    async def _claim(self, name: str, namespace: str) -> None:
        claim = await self._client.get(PersistentVolumeClaim, name, namespace)
        if not _leaves(claim, CLAIM_FINALIZER):
            return
        pods = (await self._client.list(Pod, namespace)).items
        if any(pod.spec.node_name and name in claims_of_pod(pod) for pod in pods):
            return  # the end of the last pod calls again
        await self._client.update(_without(claim, CLAIM_FINALIZER))

    async def _volume(self, name: str) -> None:
        volume = await self._client.get(PersistentVolume, name)
        if _leaves(volume, VOLUME_FINALIZER) and volume.status.phase != "Bound":
            await self._client.update(_without(volume, VOLUME_FINALIZER))


def _leaves(obj: KubeObject | None, finalizer: str) -> bool:
    if obj is None or obj.metadata.deletion_timestamp is None:
        return False
    return finalizer in obj.metadata.finalizers


def _without(obj: K, finalizer: str) -> K:
    kept = tuple(each for each in obj.metadata.finalizers if each != finalizer)
    return obj.replace(metadata=obj.metadata.replace(finalizers=kept))
