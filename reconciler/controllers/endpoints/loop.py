"""Keeps the Endpoints of every service with a selector as its pods are.

Run by the composition root. On the path of each request: from a pod that becomes ready, or is
being deleted, to the proxies' rules. So a pod's event is looked up by label, unimportant changes
of a pod wake nobody, and what was just written is remembered, so that a burst of pods needs no
round trip through the informer.
"""

from __future__ import annotations

import asyncio
from random import Random

import structlog

from reconciler.client.informer import Informer
from reconciler.client.protocol import ApiError, Client, EventType, NotFound
from reconciler.controllers.endpoints.plan import plan, wants_endpoints
from reconciler.controllers.ownwrites import revision
from reconciler.controllers.refusals import namespace_ends
from reconciler.controllers.servicepods import ServicePods
from reconciler.controllers.triggertime import TriggerTimes
from reconciler.core.errors import Retryable
from reconciler.core.queue import Controller, Done, Outcome
from reconciler.model.meta import NamespacedName
from reconciler.model.pod import Pod
from reconciler.model.service import Endpoints, Service

_WORKERS = 8


class EndpointsController:
    """Writes Endpoints; deletes them with their service."""

    def __init__(
        self,
        client: Client,
        services: Informer[Service],
        pods: Informer[Pod],
        endpoints: Informer[Endpoints],
        *,
        random: Random | None = None,
    ) -> None:
        self._client = client
        self._informers = (services, pods, endpoints)
        self._services = services
        self._triggers = TriggerTimes()
        self._endpoints = endpoints
        self._written: dict[NamespacedName, Endpoints] = {}
        self._orphaned: set[NamespacedName] = set()
        self._log = structlog.get_logger(component="endpoints")
        self._controller: Controller[NamespacedName] = Controller(
            "endpoints", self._reconcile, workers=_WORKERS, random=random
        )
        services.subscribe(self._service_changed)
        self._selected = ServicePods(services, pods, self._controller.queue.add)
        endpoints.subscribe(self._endpoints_changed)
        endpoints.when_listed(self._listed)

    async def run(self) -> None:
        """Keep endpoints right until cancelled."""
        await asyncio.gather(*(informer.synced.wait() for informer in self._informers))
        self._find_leftovers()
        await self._controller.run()

    def _find_leftovers(self) -> None:
        """Find Endpoints whose service went while nobody looked (checkLeftoverEndpoints).

        At other times Endpoints without a service are a person's, made before their service.
        """
        for item in self._endpoints.items():
            if self._services.get(item.metadata.name, item.metadata.namespace) is None:
                self._orphaned.add(NamespacedName.of(item))

    def _service_changed(self, event: EventType, old: Service | None, new: Service | None) -> None:
        service = new if new is not None else old
        if service is None:
            return
        key = NamespacedName.of(service)
        if event == "DELETED":
            self._orphaned.add(key)
            self._triggers.forget(key)
        self._controller.queue.add(key)

    def _endpoints_changed(
        self, event: EventType, old: Endpoints | None, new: Endpoints | None
    ) -> None:
        shown = new if new is not None else old
        if shown is None:
            return
        key = NamespacedName.of(shown)
        written = self._written.get(key)
        if written is not None and event != "DELETED" and revision(shown) <= revision(written):
            if revision(shown) == revision(written):
                del self._written[key]
            return  # an echo of our own write
        self._written.pop(key, None)
        self._controller.queue.add(key)

    def _listed(self) -> None:
        """Forget what we wrote before the list was made: what it does not show is gone."""
        newest = self._endpoints.revision
        for key in [key for key, each in self._written.items() if revision(each) <= newest]:
            del self._written[key]
            self._controller.queue.add(key)

    async def _reconcile(self, key: NamespacedName) -> Outcome:
        service = self._services.get(key.name, key.namespace)
        current = self._current(key)
        if service is None:
            if current is not None and key in self._orphaned:
                await self._delete(key, current)
            self._orphaned.discard(key)
            return Done()
        self._orphaned.discard(key)
        if wants_endpoints(service):
            pods = list(self._selected.of(service))
            trigger = self._triggers.changed(service, pods)
            wanted = plan(service, pods, current, trigger)
            if wanted is not None:
                await self._write(key, wanted, new=current is None)
        return Done()

    def _current(self, key: NamespacedName) -> Endpoints | None:
        shown = self._endpoints.get(key.name, key.namespace)
        written = self._written.get(key)
        if shown is None or (written is not None and revision(written) > revision(shown)):
            return written
        return shown

    async def _write(self, key: NamespacedName, wanted: Endpoints, *, new: bool) -> None:
        try:
            if new:
                stored = await self._client.create(wanted)
            else:
                stored = await self._client.update(wanted)
        except ApiError as error:
            self._written.pop(key, None)
            if namespace_ends(error):
                return
            raise Retryable(f"endpoints {key}: {error}") from error
        self._remember(key, stored)
        self._log.debug("endpoints.written", namespace=key.namespace, name=key.name)

    def _remember(self, key: NamespacedName, stored: Endpoints) -> None:
        shown = self._endpoints.get(key.name, key.namespace)
        if shown is None or revision(shown) < revision(stored):
            self._written[key] = stored

    async def _delete(self, key: NamespacedName, current: Endpoints) -> None:
        self._written.pop(key, None)
        try:
            await self._client.delete(Endpoints, key.name, key.namespace, uid=current.metadata.uid)
        except NotFound:
            return
        except ApiError as error:
            raise Retryable(f"endpoints {key}: {error}") from error
        self._log.debug("endpoints.deleted", namespace=key.namespace, name=key.name)
