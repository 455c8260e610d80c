"""The garbage collector's loop over every kind that it is given an informer of.

Run by the composition root. Informers tell it when to look and who depends on whom; before it
deletes anything it asks the API whether the owner is really gone, so that a lagging view deletes
nothing (law 4). Kinds without an informer are asked for at the API when they are owners, but
their own owner references are not followed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, assert_never

import structlog

from reconciler.client.informer import Informer
from reconciler.client.protocol import ApiError, Client, EventType, NotFound
from reconciler.controllers.garbage.plan import (
    FOREGROUND,
    ORPHAN,
    Delete,
    DropFinalizer,
    GarbageAction,
    KeepOwners,
    Owner,
    Visit,
    plan,
    waits_for_dependents,
)
from reconciler.core.errors import Retryable
from reconciler.core.queue import Controller, Done, Outcome, RequeueAfter
from reconciler.model import kinds
from reconciler.model.meta import KubeObject, ObjectKey, OwnerReference

_WORKERS = 32
_BY_OWNER = "garbage-owner"


class GarbageCollector:
    """Deletes what nobody owns any more; `informers` by the model class of their kind."""

    def __init__(
        self,
        client: Client,
        informers: Mapping[type[KubeObject], Informer[Any]],
        *,
        random: Random | None = None,
    ) -> None:
        self._client = client
        self._informers = informers
        self._log = structlog.get_logger(component="garbage")
        self._controller: Controller[ObjectKey] = Controller(
            "garbage", self._reconcile, workers=_WORKERS, random=random
        )
        for informer in informers.values():
            informer.add_index(_BY_OWNER, _owner_uids)
            informer.subscribe(self._changed)

    async def run(self) -> None:
        """Collect until cancelled."""
        await asyncio.gather(*(informer.synced.wait() for informer in self._informers.values()))
        await self._controller.run()

    def _changed(self, event: EventType, old: KubeObject | None, new: KubeObject | None) -> None:
        if event == "DELETED" or new is None:
            if old is not None:
                self._gone(old)
        elif _needs_a_look(old, new):
            self._controller.queue.add(new.key)

    def _gone(self, obj: KubeObject) -> None:
        """Look at those who depended on `obj`, and at the owners that may have waited for it."""
        for dependent in self._dependents(obj.metadata.uid):
            self._controller.queue.add(dependent.key)
        for reference in obj.metadata.owner_references:
            key = _owner_key(reference, obj.metadata.namespace)
            if key is not None and reference.block_owner_deletion:
                self._controller.queue.add(key)

    def _dependents(self, uid: str) -> Sequence[KubeObject]:
        found = [
            obj
            for informer in self._informers.values()
            for obj in informer.by_index(_BY_OWNER, uid)
        ]
        return sorted(found, key=lambda obj: obj.key)

    async def _reconcile(self, key: ObjectKey) -> Outcome:
        resource = kinds.by_key_kind(key.kind)
        if resource is None:
            return Done()
        try:
            obj = await self._client.get(resource.model, key.name, key.namespace)
        except NotFound:
            return Done()
        try:
            owners = await self._owners(obj)
            actions = plan(obj, owners, await self._dependents_of(obj))
            for action in actions:
                await self._perform(obj, action)
        except NotFound:
            return RequeueAfter(0)  # one of those involved went meanwhile: look again
        except ApiError as error:
            raise Retryable(f"{key}: {error}") from error
        changed = any(isinstance(action, KeepOwners) for action in actions)
        return RequeueAfter(0) if changed else Done()

    async def _dependents_of(self, obj: KubeObject) -> Sequence[KubeObject]:
        """Return the dependents; those of an object that waits for them as the API has them.

        To let go of an owner before a dependent that no informer shows yet was released would
        get that dependent collected.
        """
        uid, namespace = obj.metadata.uid, obj.metadata.namespace
        if obj.metadata.deletion_timestamp is None:
            return self._dependents(uid)
        found: list[KubeObject] = []
        for kind in self._informers:
            items = (await self._client.list(kind, namespace)).items
            found.extend(item for item in items if uid in _owner_uids(item))
        return sorted(found, key=lambda item: item.key)

    async def _owners(self, obj: KubeObject) -> dict[str, Owner]:
        return {
            reference.uid: await self._owner(reference, obj.metadata.namespace)
            for reference in obj.metadata.owner_references
        }

    async def _owner(self, reference: OwnerReference, namespace: str) -> Owner:
        """Ask what became of an owner; of one that cannot be looked up, take the best."""
        key = _owner_key(reference, namespace)
        resource = kinds.by_gvk(reference.api_version, reference.kind)
        if key is None or resource is None:
            return Owner.SOLID
        try:
            owner = await self._client.get(resource.model, key.name, key.namespace)
        except NotFound:
            return Owner.GONE
        if owner.metadata.uid != reference.uid:
            return Owner.GONE
        return Owner.WAITING if waits_for_dependents(owner.metadata) else Owner.SOLID

    async def _perform(self, obj: KubeObject, action: GarbageAction) -> None:
        kind: type[Any] = type(obj)
        meta = obj.metadata
        match action:
            case Delete(propagation):
                await self._client.delete(
                    kind, meta.name, meta.namespace, uid=meta.uid, propagation=propagation
                )
                self._log.info("object.collected", kind=obj.key.kind, namespace=meta.namespace,
                               name=meta.name, reason="its owners are gone")  # fmt: skip
            case KeepOwners(target, owners):
                kept = target.metadata.replace(owner_references=owners)
                await self._client.update(target.replace(metadata=kept))
            case DropFinalizer(finalizer):
                rest = tuple(item for item in meta.finalizers if item != finalizer)
                await self._client.update(obj.replace(metadata=meta.replace(finalizers=rest)))
            case Visit(dependent):
                self._controller.queue.add(dependent.key)
            case _:
                assert_never(action)


def _needs_a_look(old: KubeObject | None, new: KubeObject) -> bool:
    """Say whether a change of an object can ask something of the garbage collector."""
    meta = new.metadata
    if meta.deletion_timestamp is not None:
        return ORPHAN in meta.finalizers or FOREGROUND in meta.finalizers
    return bool(meta.owner_references) and (
        old is None or old.metadata.owner_references != meta.owner_references
    )


def _owner_uids(obj: KubeObject) -> list[str]:
    return [reference.uid for reference in obj.metadata.owner_references]


def _owner_key(reference: OwnerReference, namespace: str) -> ObjectKey | None:
    """Return where an owner is; None for a kind that we do not know, or a place that cannot be.

    An owner is in the dependent's own namespace or cluster-scoped.
    """
    resource = kinds.by_gvk(reference.api_version, reference.kind)
    if resource is None or (resource.namespaced and not namespace):
        return None
    return ObjectKey(resource.key_kind, namespace if resource.namespaced else "", reference.name)
