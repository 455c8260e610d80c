"""Binds claims to volumes and ends volumes that nobody claims. Run by the composition root.

Keys are claims and volumes. Both sides of a binding are read from the API and written with their
resourceVersions, so that a lagging informer costs a retry and never a volume. Data on a host are
not touched here: the node of a deleted volume lets go of them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random
from typing import assert_never

import structlog

from reconciler.client.events import EventRecorder
from reconciler.client.informer import Informer
from reconciler.client.protocol import AlreadyExists, ApiError, Client, EventType, NotFound
from reconciler.controllers.volumes import claimplan, objects, volumeplan
from reconciler.controllers.volumes.claimplan import View, plan_claim
from reconciler.controllers.volumes.volumeplan import plan_volume
from reconciler.core.errors import Retryable
from reconciler.core.queue import Controller, Done, Outcome
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.meta import NamespacedName
from reconciler.model.node import Node
from reconciler.model.storage import PersistentVolume
from reconciler.model.storageclass import DEFAULT_CLASS, StorageClass, default_class
from reconciler.model.volumebinding import SELECTED_NODE, class_of_claim

_UNBOUND = "unbound"
_WORKERS = 8


@dataclass(frozen=True, slots=True)
class Informers:
    """What the binder follows."""

    claims: Informer[PersistentVolumeClaim]
    volumes: Informer[PersistentVolume]
    classes: Informer[StorageClass]
    nodes: Informer[Node]


class VolumeBinder:
    """Keeps claims and volumes bound, each to the other."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        events: EventRecorder,
        *,
        random: Random | None = None,
    ) -> None:
        self._client = client
        self._on = informers
        self._events = events.speaker("persistentvolume-controller")
        self._told: dict[str, str] = {}
        self._log = structlog.get_logger(component="volumes")
        self._controller: Controller[NamespacedName] = Controller(
            "volumes", self._reconcile, workers=_WORKERS, random=random
        )
        informers.claims.add_index(_UNBOUND, lambda c: [] if c.spec.volume_name else [_UNBOUND])
        informers.claims.subscribe(self._claim_changed)
        informers.volumes.subscribe(self._volume_changed)
        informers.classes.subscribe(self._class_changed)
        informers.nodes.subscribe(self._node_changed)

    async def run(self) -> None:
        """Work until cancelled; make the class `docker` first, once."""
        on = self._on
        every = (on.claims, on.volumes, on.classes, on.nodes)
        await asyncio.gather(*(informer.synced.wait() for informer in every))
        await self._ensure_class()
        await self._controller.run()

    async def _ensure_class(self) -> None:
        """Make the class unless one of that name is there; it is the default when no other is."""
        wanted = objects.docker_class()
        if any(DEFAULT_CLASS in each.metadata.annotations for each in self._on.classes.items()):
            wanted = wanted.replace(metadata=wanted.metadata.replace(annotations={}))
        try:
            await self._client.create(wanted)
        except AlreadyExists:
            return
        except ApiError as error:
            self._log.warning("volumes.class_not_made", reason=str(error))

    def _claim_changed(
        self, _: EventType, old: PersistentVolumeClaim | None, new: PersistentVolumeClaim | None
    ) -> None:
        claim = new or old
        if claim is None:
            return
        meta = claim.metadata
        self._controller.queue.add(NamespacedName(meta.namespace, meta.name))
        if claim.spec.volume_name:
            self._controller.queue.add(NamespacedName("", claim.spec.volume_name))
        if new is None:
            self._told.pop(meta.uid, None)
            self._volumes_of(NamespacedName(meta.namespace, meta.name))

    def _volumes_of(self, claim: NamespacedName) -> None:
        for volume in self._on.volumes.items():
            ref = volume.spec.claim_ref
            if ref is not None and (ref.namespace, ref.name) == (claim.namespace, claim.name):
                self._controller.queue.add(NamespacedName("", volume.metadata.name))

    def _volume_changed(
        self, event: EventType, old: PersistentVolume | None, new: PersistentVolume | None
    ) -> None:
        volume = new or old
        if volume is None:
            return
        self._controller.queue.add(NamespacedName("", volume.metadata.name))
        ref = volume.spec.claim_ref
        if ref is not None:
            self._controller.queue.add(NamespacedName(ref.namespace, ref.name))
        elif event != "DELETED":
            self._retry_unbound()

    def _class_changed(
        self, _: EventType, _old: StorageClass | None, _new: StorageClass | None
    ) -> None:
        self._retry_unbound()

    def _node_changed(self, _: EventType, old: Node | None, new: Node | None) -> None:
        if old is None or new is None or old.status.conditions != new.status.conditions:
            self._retry_unbound()

    def _retry_unbound(self) -> None:
        for claim in self._on.claims.by_index(_UNBOUND, _UNBOUND):
            self._controller.queue.add(NamespacedName.of(claim))

    async def _reconcile(self, key: NamespacedName) -> Outcome:
        try:
            if key.namespace:
                await self._sync_claim(key)
            else:
                await self._sync_volume(key.name)
        except NotFound:
            return Done()  # it went meanwhile; the informer tells what that means
        except ApiError as error:
            raise Retryable(f"{key}: {error}") from error
        return Done()

    async def _sync_claim(self, key: NamespacedName) -> None:
        claim = await self._client.get(PersistentVolumeClaim, key.name, key.namespace)
        if claim.metadata.deletion_timestamp is not None:
            return
        await self._act(claim, plan_claim(claim, await self._view(claim)))

    async def _view(self, claim: PersistentVolumeClaim) -> View:
        name = class_of_claim(claim)
        default = default_class(self._on.classes.items())
        return View(
            volumes=self._on.volumes.items(),
            named=await self._volume(claim.spec.volume_name),
            storage_class=self._on.classes.get(name) if name else None,
            default_class=default.metadata.name if default is not None else "",
            nodes=self._on.nodes.items(),
        )

    async def _volume(self, name: str) -> PersistentVolume | None:
        if not name:
            return None
        try:
            return await self._client.get(PersistentVolume, name)
        except NotFound:
            return None

    async def _act(self, claim: PersistentVolumeClaim, action: claimplan.Action) -> None:
        match action:
            case claimplan.Bind(volume):
                await self._bind(claim, volume)
            case claimplan.Provision(storage_class, node):
                await self._provision(claim, storage_class, node)
            case claimplan.Reschedule(message):
                self._say(claim, "Warning", "ProvisioningFailed", message)
                await self._client.update(_without_node(claim))
            case claimplan.Wait(kind, reason, message):
                self._say(claim, kind, reason, message)
                await self._phase(claim, "Pending")
            case claimplan.Lose(reason, message):
                if claim.status.phase != "Lost":
                    self._say(claim, "Warning", reason, message)
                await self._phase(claim, "Lost")
            case claimplan.Adopt(storage_class):
                spec = claim.spec.replace(storage_class_name=storage_class)
                await self._client.update(claim.replace(spec=spec))
            case _:
                assert_never(action)

    async def _bind(self, claim: PersistentVolumeClaim, volume: PersistentVolume) -> None:
        """Write the four parts of a binding; each is written only when it is not yet so."""
        volume = await self._client.update(objects.bound_volume(volume, claim))
        status = volume.status.replace(phase="Bound", reason="", message="")
        await self._client.update(volume.replace(status=status), subresource="status")
        fresh = not claim.spec.volume_name or claim.status.phase != "Bound"
        claim = await self._client.update(objects.bound_claim(claim, volume))
        bound = claim.status.replace(
            phase="Bound", access_modes=volume.spec.access_modes, capacity=volume.spec.capacity
        )
        await self._client.update(claim.replace(status=bound), subresource="status")
        self._told.pop(claim.metadata.uid, None)
        if fresh:
            self._log.info(
                "volumes.bound",
                namespace=claim.metadata.namespace,
                name=claim.metadata.name,
                volume=volume.metadata.name,
            )

    async def _provision(
        self, claim: PersistentVolumeClaim, storage_class: StorageClass, node: Node
    ) -> None:
        volume = objects.provisioned_volume(claim, storage_class, node)
        try:
            await self._client.create(volume)
        except AlreadyExists:
            self._log.debug("volumes.there", name=volume.metadata.name)
            return
        text = f"Successfully provisioned volume {volume.metadata.name}"
        self._events.event(claim, "Normal", "ProvisioningSucceeded", text)

    async def _phase(self, claim: PersistentVolumeClaim, phase: str) -> None:
        if claim.status.phase != phase:
            status = claim.status.replace(phase=phase)
            await self._client.update(claim.replace(status=status), subresource="status")

    def _say(self, claim: PersistentVolumeClaim, kind: str, reason: str, message: str) -> None:
        uid, told = claim.metadata.uid, f"{reason}: {message}"
        if not reason or self._told.get(uid) == told:
            return
        self._told[uid] = told
        self._events.event(claim, kind, reason, message)

    async def _sync_volume(self, name: str) -> None:
        volume = await self._client.get(PersistentVolume, name)
        action = plan_volume(volume, await self._claim(volume))
        match action:
            case volumeplan.Keep():
                return
            case volumeplan.SetPhase(phase, message, event):
                status = volume.status.replace(phase=phase, message=message, reason=event)
                await self._client.update(volume.replace(status=status), subresource="status")
                if event:
                    self._events.event(volume, "Warning", event, message)
            case volumeplan.Unbind():
                await self._client.update(objects.unbound_volume(volume))
            case volumeplan.DeleteVolume():
                self._log.warning("volumes.deleted", name=name, reason="reclaim policy Delete")
                await self._client.delete(PersistentVolume, name, uid=volume.metadata.uid)
            case _:
                assert_never(action)

    async def _claim(self, volume: PersistentVolume) -> PersistentVolumeClaim | None:
        """Return the claim of a volume as the API has it; a cache's word would not do."""
        ref = volume.spec.claim_ref
        if ref is None or not ref.name:
            return None
        try:
            return await self._client.get(PersistentVolumeClaim, ref.name, ref.namespace)
        except NotFound:
            return None


def _without_node(claim: PersistentVolumeClaim) -> PersistentVolumeClaim:
    notes = {k: v for k, v in claim.metadata.annotations.items() if k != SELECTED_NODE}
    return claim.replace(metadata=claim.metadata.replace(annotations=notes))
