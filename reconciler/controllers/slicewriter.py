"""The EndpointSlices of one controller: those it has, and what it does to them.

Effects of the plans of `endpointslice` and `endpointslicemirroring`; both write only slices whose
label `managed-by` names them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import assert_never

import structlog

from reconciler.client.informer import Informer
from reconciler.client.protocol import ApiError, Client, EventType, NotFound
from reconciler.controllers.ownwrites import OwnWrites, revision
from reconciler.controllers.refusals import namespace_ends
from reconciler.controllers.slices import Action, CreateSlice, DeleteSlice, UpdateSlice
from reconciler.core.clock import Clock
from reconciler.core.errors import Retryable
from reconciler.core.queue import Done, Outcome, RequeueAfter
from reconciler.model.endpointslice import (
    BY_SERVICE,
    MANAGED_BY,
    SERVICE_NAME,
    EndpointSlice,
    service_of,
)
from reconciler.model.meta import NamespacedName

_VERIFY_AFTER = 30.0
"""Seconds after which a write that the informer does not show is looked up at the API."""


class SliceWriter:
    """The slices of `manager`; `wake` is called for those that somebody else changed."""

    def __init__(
        self,
        client: Client,
        slices: Informer[EndpointSlice],
        manager: str,
        wake: Callable[[NamespacedName], None],
        clock: Clock,
    ) -> None:
        self._client = client
        self._informer = slices
        self._manager = manager
        self._wake = wake
        self._clock = clock
        self._log = structlog.get_logger(component=manager.partition("-")[0])
        slices.add_index(BY_SERVICE, service_of)
        # Before the overlay, which forgets a write as soon as it is seen.
        slices.subscribe(self._changed)
        self._own: OwnWrites[EndpointSlice] = OwnWrites(slices)

    def of(self, key: NamespacedName) -> Sequence[EndpointSlice]:
        """Return the slices for a service's name as they are after all that was written here."""
        shown = self._informer.by_index(BY_SERVICE, str(key))
        return self._own.over(str(key), filter(self._is_mine, shown))

    async def carry_out(self, key: NamespacedName, actions: Sequence[Action]) -> None:
        """Do what a plan says; raises `Retryable` at the first refusal."""
        for action in actions:
            try:
                await self._do(key, action)
            except ApiError as error:
                if namespace_ends(error):
                    return
                raise Retryable(f"slices of {key}: {error}") from error

    async def verify(self, key: NamespacedName) -> None:
        """Ask the API about writes that the informer should long have shown."""
        deadline = self._clock.monotonic() - _VERIFY_AFTER
        while (write := self._own.oldest(str(key))) is not None and write.at <= deadline:
            live = await self._live(write.object)
            self._own.verified(str(key), write, live, self._clock.monotonic())

    def outcome(self, key: NamespacedName) -> Outcome:
        """Return when to look again: when something written is not shown yet."""
        waits = self._own.oldest(str(key)) is not None
        return RequeueAfter(_VERIFY_AFTER) if waits else Done()

    async def _do(self, key: NamespacedName, action: Action) -> None:
        match action:
            case CreateSlice(wanted):
                self._wrote(key, await self._client.create(wanted), "endpointslice.created")
            case UpdateSlice(wanted):
                self._wrote(key, await self._client.update(wanted), "endpointslice.updated")
            case DeleteSlice(obj):
                await self._delete(key, obj)
            case _:
                assert_never(action)

    def _wrote(self, key: NamespacedName, stored: EndpointSlice, event: str) -> None:
        self._own.wrote(str(key), stored, self._clock.monotonic())
        self._tell(event, stored)

    async def _delete(self, key: NamespacedName, obj: EndpointSlice) -> None:
        meta = obj.metadata
        with suppress(NotFound):
            await self._client.delete(EndpointSlice, meta.name, meta.namespace, uid=meta.uid)
        self._own.deleted(str(key), obj, self._clock.monotonic())
        self._tell("endpointslice.deleted", obj)

    async def _live(self, obj: EndpointSlice) -> EndpointSlice | None:
        meta = obj.metadata
        try:
            return await self._client.get(EndpointSlice, meta.name, meta.namespace)
        except NotFound:
            return None
        except ApiError as error:
            raise Retryable(f"looking for slice {meta.name}: {error}") from error

    def _changed(
        self, event: EventType, old: EndpointSlice | None, new: EndpointSlice | None
    ) -> None:
        for obj in (old, new):
            if obj is not None and self._is_mine(obj) and not self._is_echo(event, obj):
                labels = obj.metadata.labels
                self._wake(NamespacedName(obj.metadata.namespace, labels.get(SERVICE_NAME, "")))

    def _is_echo(self, event: EventType, shown: EndpointSlice) -> bool:
        """Say whether this is what we wrote, or older."""
        write = self._own.write_of(shown)
        if write is None:
            return False
        gone = event == "DELETED"
        return write.deleted if gone else revision(shown) <= revision(write.object)

    def _is_mine(self, obj: EndpointSlice) -> bool:
        return obj.metadata.labels.get(MANAGED_BY) == self._manager

    def _tell(self, event: str, obj: EndpointSlice) -> None:
        self._log.debug(event, namespace=obj.metadata.namespace, name=obj.metadata.name)
