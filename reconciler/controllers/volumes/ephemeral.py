"""Makes the claims of generic ephemeral volumes: Kubernetes' ephemeral volume controller.

Run by the composition root. The pod owns its claims, so that the garbage collector ends them.
"""

from __future__ import annotations

import asyncio
from random import Random

from reconciler.client.events import EventRecorder
from reconciler.client.informer import Informer
from reconciler.client.protocol import AlreadyExists, ApiError, Client, EventType, NotFound
from reconciler.controllers.owner import owner_reference
from reconciler.core.errors import Retryable
from reconciler.core.queue import Controller, Done, Outcome
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.meta import ObjectMeta
from reconciler.model.pod import Pod
from reconciler.model.volume import Volume
from reconciler.model.volumebinding import ephemeral_claim_name, is_owned_by

Name = tuple[str, str]


class EphemeralVolumes:
    """Creates one claim for each ephemeral volume of a pod."""

    def __init__(
        self,
        client: Client,
        pods: Informer[Pod],
        claims: Informer[PersistentVolumeClaim],
        events: EventRecorder,
        *,
        random: Random | None = None,
    ) -> None:
        self._client, self._pods, self._claims = client, pods, claims
        self._events = events.speaker("ephemeral_volume")
        self._controller: Controller[Name] = Controller(
            "ephemeral", self._reconcile, workers=2, random=random
        )
        pods.subscribe(self._pod_changed)
        claims.subscribe(self._claim_changed)

    async def run(self) -> None:
        """Work until cancelled."""
        await asyncio.gather(self._pods.synced.wait(), self._claims.synced.wait())
        await self._controller.run()

    def _pod_changed(self, event: EventType, _old: Pod | None, new: Pod | None) -> None:
        if event != "ADDED" or new is None:
            return
        if any(volume.ephemeral is not None for volume in new.spec.volumes):
            self._controller.queue.add((new.metadata.namespace, new.metadata.name))

    def _claim_changed(
        self, event: EventType, old: PersistentVolumeClaim | None, _: PersistentVolumeClaim | None
    ) -> None:
        if event != "DELETED" or old is None:
            return
        for owner in old.metadata.owner_references:
            if owner.kind == "Pod" and owner.controller:
                self._controller.queue.add((old.metadata.namespace, owner.name))

    async def _reconcile(self, key: Name) -> Outcome:
        namespace, name = key
        pod = self._pods.get(name, namespace)
        if pod is None or pod.metadata.deletion_timestamp is not None:
            return Done()
        for volume in pod.spec.volumes:
            if volume.ephemeral is not None:
                await self._ensure(pod, volume)
        return Done()

    async def _ensure(self, pod: Pod, volume: Volume) -> None:
        claim = claim_of(pod, volume)
        try:
            await self._client.create(claim)
        except AlreadyExists:
            await self._check_owner(pod, claim.metadata.name)
        except NotFound:
            return  # the namespace went
        except ApiError as error:
            self._events.event(pod, "Warning", "ProvisioningFailed", f"ephemeral volume: {error}")
            raise Retryable(f"claim {claim.metadata.name}: {error}") from error

    async def _check_owner(self, pod: Pod, name: str) -> None:
        try:
            there = await self._client.get(PersistentVolumeClaim, name, pod.metadata.namespace)
        except NotFound as error:
            raise Retryable(f"claim {name} went") from error
        if not is_owned_by(there, pod):
            text = f"PVC {pod.metadata.namespace}/{name} was not created for pod"
            text += f" {pod.metadata.namespace}/{pod.metadata.name} (pod is not the owner)"
            self._events.event(pod, "Warning", "FailedBinding", text)


def claim_of(pod: Pod, volume: Volume) -> PersistentVolumeClaim:
    """Return the claim of an ephemeral volume of a pod."""
    source = volume.ephemeral and volume.ephemeral.volume_claim_template
    if not source:
        raise Retryable(f"volume {volume.name} has no volumeClaimTemplate")
    meta = pod.metadata
    return PersistentVolumeClaim(
        metadata=ObjectMeta(
            name=ephemeral_claim_name(meta.name, volume.name),
            namespace=meta.namespace,
            labels=source.metadata.labels,
            annotations=source.metadata.annotations,
            owner_references=(owner_reference(pod),),
        ),
        spec=source.spec,
    )
