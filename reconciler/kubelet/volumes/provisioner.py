"""This node's part of volumes of class `docker`: makes them in Docker, and removes them.

Run by the composition root. A PersistentVolume of ours names its node; the finalizer on it holds
the object until its data are gone, or are told to stay (policy Retain). A claim that is deleted
wipes nothing by itself: the volume controller decides by the reclaim policy.
"""

from __future__ import annotations

from random import Random

import structlog

from reconciler.client.informer import Informer
from reconciler.client.protocol import ApiError, Client, EventType, NotFound
from reconciler.core.errors import Retryable
from reconciler.core.queue import Controller, Done, Outcome
from reconciler.kubelet.narration import Recorder
from reconciler.kubelet.runtime import ContainerRuntime, RuntimeFailure
from reconciler.kubelet.volumes.claim import docker_volume
from reconciler.kubelet.volumes.engine import EngineVolumes
from reconciler.kubelet.volumes.protocol import VolumeError
from reconciler.model.storage import PersistentVolume
from reconciler.model.volumebinding import DRIVER, ENGINE_FINALIZER, VOLUME_FINALIZER


class NodeVolumes:
    """The engine's volumes that PersistentVolumes of one node stand for."""

    def __init__(
        self,
        client: Client,
        volumes: Informer[PersistentVolume],
        runtime: ContainerRuntime,
        engine: EngineVolumes,
        recorder: Recorder,
        node: str,
        *,
        random: Random | None = None,
    ) -> None:
        self._client, self._volumes, self._runtime = client, volumes, runtime
        self._engine, self._recorder, self._node = engine, recorder, node
        self._made: set[str] = set()
        self._log = structlog.get_logger(component="kubelet")
        self._controller: Controller[str] = Controller(
            "nodevolumes", self._reconcile, workers=2, random=random
        )
        volumes.subscribe(self._changed)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._volumes.synced.wait()
        await self._controller.run()

    def _changed(
        self, _: EventType, old: PersistentVolume | None, new: PersistentVolume | None
    ) -> None:
        volume = new or old
        if volume is not None and self._mine(volume):
            self._controller.queue.add(volume.metadata.name)

    def _mine(self, volume: PersistentVolume) -> bool:
        source = volume.spec.csi
        if source is None or source.driver != DRIVER:
            return False
        return source.volume_attributes.get("node") == self._node

    async def _reconcile(self, name: str) -> Outcome:
        try:
            volume = await self._client.get(PersistentVolume, name)
        except NotFound:
            self._made.discard(name)
            return Done()
        except ApiError as error:
            raise Retryable(str(error)) from error
        if volume.metadata.deletion_timestamp is not None:
            await self._end(volume)
        elif name not in self._made:
            await self._make(volume)
        return Done()

    async def _make(self, volume: PersistentVolume) -> None:
        if volume.spec.csi is None:
            return
        try:
            await self._engine.make(docker_volume(volume.spec.csi))
        except VolumeError as error:
            self._recorder.event(volume, "Warning", "ProvisioningFailed", str(error))
            raise Retryable(str(error)) from error
        self._made.add(volume.metadata.name)

    async def _end(self, volume: PersistentVolume) -> None:
        """Remove the data, when that is the policy, once nobody is bound to them any more."""
        meta, source = volume.metadata, volume.spec.csi
        if ENGINE_FINALIZER not in meta.finalizers or source is None:
            return
        if VOLUME_FINALIZER in meta.finalizers:
            return  # still Bound: the protection controller says when it is not
        if volume.spec.persistent_volume_reclaim_policy == "Delete":
            await self._remove(volume, source.volume_handle)
        kept = tuple(each for each in meta.finalizers if each != ENGINE_FINALIZER)
        try:
            await self._client.update(volume.replace(metadata=meta.replace(finalizers=kept)))
        except NotFound:
            return
        except ApiError as error:
            raise Retryable(str(error)) from error

    async def _remove(self, volume: PersistentVolume, name: str) -> None:
        try:
            await self._runtime.remove_volume(name)
        except RuntimeFailure as error:
            self._recorder.event(volume, "Warning", "VolumeFailedDelete", str(error))
            raise Retryable(f"volume {name}: {error}") from error
        self._log.warning("volume.data_removed", name=volume.metadata.name, volume=name)
