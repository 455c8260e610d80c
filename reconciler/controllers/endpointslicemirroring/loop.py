"""Keeps the EndpointSlices of hand-made Endpoints as those are. Run by the composition root.

Who reads endpoints (the proxy, the DNS server) reads slices alone.
"""

from __future__ import annotations

import asyncio
from random import Random

from reconciler.client.events import EventRecorder
from reconciler.client.informer import Informer
from reconciler.client.protocol import Client, EventType
from reconciler.controllers.endpointslicemirroring.plan import (
    CAPACITY,
    MANAGER,
    plan,
    skipped,
    wants_mirror,
)
from reconciler.controllers.slicewriter import SliceWriter
from reconciler.core.clock import Clock
from reconciler.core.queue import Controller, Outcome
from reconciler.model.endpointslice import EndpointSlice
from reconciler.model.meta import NamespacedName
from reconciler.model.service import Endpoints, Service

_WORKERS = 4


class EndpointSliceMirroring:
    """Writes the slices whose `managed-by` names it, and no others."""

    def __init__(
        self,
        client: Client,
        services: Informer[Service],
        endpoints: Informer[Endpoints],
        slices: Informer[EndpointSlice],
        events: EventRecorder,
        clock: Clock,
        *,
        random: Random | None = None,
    ) -> None:
        self._services = services
        self._endpoints = endpoints
        self._informers = (services, endpoints, slices)
        self._events = events.speaker("endpoint-slice-mirroring-controller")
        self._controller: Controller[NamespacedName] = Controller(
            "endpointslicemirroring", self._reconcile, workers=_WORKERS, random=random
        )
        self._slices = SliceWriter(client, slices, MANAGER, self._controller.queue.add, clock)
        services.subscribe(self._service_changed)
        endpoints.subscribe(self._endpoints_changed)

    async def run(self) -> None:
        """Keep slices right until cancelled."""
        await asyncio.gather(*(informer.synced.wait() for informer in self._informers))
        await self._controller.run()

    def _service_changed(self, _event: EventType, old: Service | None, new: Service | None) -> None:
        before, after = (_has_selector(each) for each in (old, new))
        if before is not after:
            self._wake(new or old)

    def _endpoints_changed(
        self, _event: EventType, old: Endpoints | None, new: Endpoints | None
    ) -> None:
        obj = new or old
        if obj is None:
            return
        service = self._services.get(obj.metadata.name, obj.metadata.namespace)
        if not _has_selector(service):
            self._wake(obj)

    def _wake(self, obj: Service | Endpoints | None) -> None:
        if obj is not None:
            self._controller.queue.add(NamespacedName.of(obj))

    async def _reconcile(self, key: NamespacedName) -> Outcome:
        service = self._services.get(key.name, key.namespace)
        endpoints = self._endpoints.get(key.name, key.namespace)
        await self._slices.verify(key)
        actions = plan(endpoints, service, self._slices.of(key))
        await self._slices.carry_out(key, actions)
        if actions and endpoints is not None and wants_mirror(endpoints, service):
            self._tell(endpoints)
        return self._slices.outcome(key)

    def _tell(self, endpoints: Endpoints) -> None:
        if count := skipped(endpoints):
            text = (
                f"A max of {CAPACITY} addresses can be mirrored to EndpointSlices per Endpoints "
                f"subset. {count} addresses were skipped"
            )
            self._events.event(endpoints, "Warning", "TooManyAddressesToMirror", text)


def _has_selector(service: Service | None) -> bool | None:
    """Say whether the service selects its pods itself; None when there is no service."""
    return bool(service.spec.selector) if service is not None else None
