"""Keeps the zone as Services and EndpointSlices say. `server.py` runs it.

A change is in the zone on the next turn of the event loop; a flood of them, as at the start, is
taken in portions, so that queries are answered in between.
"""

from __future__ import annotations

import asyncio

from reconciler.client.informer import Informer
from reconciler.client.protocol import EventType
from reconciler.model.endpointslice import BY_SERVICE, EndpointSlice, service_of
from reconciler.model.service import Service
from reconciler.proxy.dns.records import service_records
from reconciler.proxy.dns.resolver import Resolver
from reconciler.proxy.dns.zone import Owner, Zone

_AT_ONCE = 100  # services compiled between two turns of the event loop


class Feed:
    """Compiles the services that changed into the zone, and says when it is complete."""

    def __init__(
        self,
        services: Informer[Service],
        slices: Informer[EndpointSlice],
        zone: Zone,
        resolver: Resolver,
        domain: str,
    ) -> None:
        self._services = services
        self._slices = slices
        slices.add_index(BY_SERVICE, service_of)
        self._zone = zone
        self._resolver = resolver
        self._domain = domain
        self._dirty: set[Owner] = set()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Follow the objects until cancelled."""
        self._services.subscribe(self._on_service)
        self._slices.subscribe(self._on_slice)
        await self._services.synced.wait()
        await self._slices.synced.wait()
        while True:
            await self._take_in()
            self._resolver.ready = True
            await self._changed.wait()

    async def _take_in(self) -> None:
        self._changed.clear()
        while self._dirty:
            for _ in range(min(_AT_ONCE, len(self._dirty))):
                self._compile(self._dirty.pop())
            await asyncio.sleep(0)

    def _compile(self, owner: Owner) -> None:
        namespace, name = owner
        service = self._services.get(name, namespace)
        slices = self._slices.by_index(BY_SERVICE, f"{namespace}/{name}")
        records = service_records(service, slices, self._domain) if service else {}
        self._zone.put(owner, records)

    def _on_service(self, _type: EventType, old: Service | None, new: Service | None) -> None:
        changed = new or old
        if changed:
            self._mark((changed.metadata.namespace, changed.metadata.name))

    def _on_slice(
        self, _type: EventType, old: EndpointSlice | None, new: EndpointSlice | None
    ) -> None:
        for obj in (old, new):
            for service in service_of(obj) if obj else ():
                namespace, _, name = service.partition("/")
                self._mark((namespace, name))

    def _mark(self, owner: Owner) -> None:
        self._dirty.add(owner)
        self._changed.set()
