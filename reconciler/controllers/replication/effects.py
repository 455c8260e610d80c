"""Carries out what the replication plans ask for, through the client. The only writer of pods here.

Called by `loop.py`. Pods are created in slow-start batches, 1, 2, 4, ..., so that a controller
whose pods are refused asks for few; the members of a batch, and all deletions, go side by side,
which lets them share the store's commits. What was written is remembered in `OwnWrites`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import assert_never

import structlog

from reconciler.client.events import ComponentRecorder
from reconciler.client.protocol import ApiError, Client, ConflictError, NotFound
from reconciler.controllers.owner import owner_reference
from reconciler.controllers.ownwrites import OwnWrites
from reconciler.controllers.refusals import namespace_ends
from reconciler.controllers.replication.actions import (
    AdoptPod,
    ClaimAction,
    CreatePods,
    DeletePod,
    MarkPod,
    PodAction,
    ReleasePod,
    UpdatePod,
)
from reconciler.controllers.replication.template import pod_from_template, updated_pod
from reconciler.core.clock import Clock
from reconciler.model.meta import OwnerReference
from reconciler.model.pod import Pod
from reconciler.model.replication import ReplicationController
from reconciler.model.retirement import STOPPED
from reconciler.model.time import format_time

FAILED_CREATE = "FailedCreate"
FAILED_DELETE = "FailedDelete"
FAILED_UPDATE = "FailedUpdate"


@dataclass(frozen=True, slots=True)
class Failure:
    """An effect that the API refused: the reason and message for status and event.

    `final` says that trying again is useless: the namespace is going, and the controller with it.
    """

    reason: str
    message: str
    final: bool = False


class Effects:
    """Performs actions for one controller at a time; `own` remembers them."""

    def __init__(
        self, client: Client, events: ComponentRecorder, own: OwnWrites[Pod], clock: Clock
    ) -> None:
        self._client = client
        self._events = events
        self._own = own
        self._clock = clock
        self._log = structlog.get_logger(component="replication")

    async def settle_claims(
        self, rc: ReplicationController, actions: Sequence[ClaimAction]
    ) -> None:
        """Write adoptions and releases; raises `ApiError` when one is refused.

        A pod that is gone or changed meanwhile is passed over: its event wakes the controller.
        """
        if any(isinstance(action, AdoptPod) for action in actions):
            fresh = await self._client.get(type(rc), rc.metadata.name, rc.metadata.namespace)
            if fresh.metadata.uid != rc.metadata.uid or fresh.metadata.deletion_timestamp:
                return  # canAdopt: a controller that is going must not collect pods
        for action in actions:
            match action:
                case AdoptPod(pod):
                    await self._own_pod(
                        rc, pod, (*pod.metadata.owner_references, owner_reference(rc))
                    )
                case ReleasePod(pod):
                    others = (r for r in pod.metadata.owner_references if r.uid != rc.metadata.uid)
                    await self._own_pod(rc, pod, tuple(others))
                case _:
                    assert_never(action)

    async def carry_out(
        self, rc: ReplicationController, actions: Sequence[PodAction], digest: str
    ) -> Failure | None:
        """Perform the plan; return the first failure, after which no more pods are created."""
        failure: Failure | None = None
        deletions: list[Awaitable[Failure | None]] = []
        for action in actions:
            match action:
                case CreatePods(count):
                    failure = await self._create(rc, count, digest) or failure
                case DeletePod(pod, reason):
                    deletions.append(self._delete(rc, pod, reason))
                case UpdatePod(pod):
                    failure = await self._update(rc, pod, digest) or failure
                case MarkPod(pod, stopped):
                    failure = await self._mark(rc, pod, stopped=stopped) or failure
                case _:
                    assert_never(action)
        results = await asyncio.gather(*deletions)
        return failure or next((result for result in results if result is not None), None)

    async def _create(self, rc: ReplicationController, count: int, digest: str) -> Failure | None:
        pod = pod_from_template(rc, digest)
        batch = 1
        while count > 0:
            size = min(batch, count)
            results = await asyncio.gather(*(self._create_one(rc, pod) for _ in range(size)))
            failure = next((result for result in results if result is not None), None)
            if failure is not None:
                return failure
            count -= size
            batch *= 2
        return None

    async def _create_one(self, rc: ReplicationController, pod: Pod) -> Failure | None:
        try:
            made = await self._client.create(pod)
        except ApiError as error:
            if namespace_ends(error):
                return Failure(FAILED_CREATE, error.message, final=True)
            self._events.event(rc, "Warning", FAILED_CREATE, f"Error creating: {error.message}")
            return Failure(FAILED_CREATE, error.message)
        self._own.wrote(rc.metadata.uid, made, self._clock.monotonic())
        name = made.metadata.name
        self._events.event(rc, "Normal", "SuccessfulCreate", f"Created pod: {name}")
        self._log.info("pod.created", namespace=rc.metadata.namespace, name=name,
                       reason=f"ReplicationController {rc.metadata.name}")  # fmt: skip
        return None

    async def _delete(self, rc: ReplicationController, pod: Pod, reason: str) -> Failure | None:
        meta = pod.metadata
        try:
            await self._client.delete(Pod, meta.name, meta.namespace, uid=meta.uid)
        except (NotFound, ConflictError):
            # Gone, or another pod of that name: either way this one is deleted.
            self._own.deleted(rc.metadata.uid, pod, self._clock.monotonic())
            return None
        except ApiError as error:
            self._events.event(rc, "Warning", FAILED_DELETE, f"Error deleting: {error.message}")
            return Failure(FAILED_DELETE, error.message)
        self._own.deleted(rc.metadata.uid, pod, self._clock.monotonic())
        self._events.event(rc, "Normal", "SuccessfulDelete", f"Deleted pod: {meta.name}")
        self._log.info("pod.deleted", namespace=meta.namespace, name=meta.name, reason=reason)
        return None

    async def _update(self, rc: ReplicationController, pod: Pod, digest: str) -> Failure | None:
        """Give a pod the present template; one that changed meanwhile wakes its controller."""
        name, namespace = pod.metadata.name, pod.metadata.namespace
        if rc.spec.template is None:
            return None
        now = format_time(self._clock.now())
        try:
            stored = await self._client.update(updated_pod(pod, rc.spec.template, digest, now))
        except (NotFound, ConflictError):
            return None
        except ApiError as error:
            return self._not_updated(rc, error)
        self._own.wrote(rc.metadata.uid, stored, self._clock.monotonic())
        self._events.event(rc, "Normal", "SuccessfulUpdate", f"Updated pod in place: {name}")
        self._log.info("pod.updated", namespace=namespace, name=name, reason="new template")
        return None

    async def _mark(self, rc: ReplicationController, pod: Pod, *, stopped: bool) -> Failure | None:
        """Tell a pod to rest or to run; one that changed meanwhile wakes its controller again."""
        notes = {k: v for k, v in pod.metadata.annotations.items() if k != STOPPED}
        if stopped:
            notes[STOPPED] = "true"
        changed = pod.replace(metadata=pod.metadata.replace(annotations=notes))
        try:
            stored = await self._client.update(changed)
        except (NotFound, ConflictError):
            return None
        except ApiError as error:
            return self._not_updated(rc, error)
        self._own.wrote(rc.metadata.uid, stored, self._clock.monotonic())
        name, namespace = pod.metadata.name, pod.metadata.namespace
        reason = "Stopped" if stopped else "Resumed"
        self._events.event(rc, "Normal", reason, f"{reason} pod: {name}")
        self._log.info("pod.stopped" if stopped else "pod.resumed", namespace=namespace, name=name)
        return None

    def _not_updated(self, rc: ReplicationController, error: ApiError) -> Failure:
        message = f"Error updating: {error.message}"
        self._events.event(rc, "Warning", FAILED_UPDATE, message)
        return Failure(FAILED_UPDATE, message)

    async def _own_pod(
        self, rc: ReplicationController, pod: Pod, owners: tuple[OwnerReference, ...]
    ) -> None:
        """Set the owners of a pod; raises `ConflictError` for one that changed meanwhile."""
        changed = pod.replace(metadata=pod.metadata.replace(owner_references=owners))
        try:
            stored = await self._client.update(changed)
        except NotFound:
            return
        self._own.wrote(rc.metadata.uid, stored, self._clock.monotonic())
