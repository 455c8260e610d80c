"""Keeps the EndpointSlices of every service with a selector as its pods are.

Run by the composition root. On the path of each request: from a pod that becomes ready, or is
being deleted, to the proxies' rules. What was just written is laid over the informer's view, so
that a burst of pods needs no round trip through it. Slices of a service that is gone are the
garbage collector's.
"""

from __future__ import annotations

import asyncio
from random import Random

import structlog

from reconciler.client.informer import Informer
from reconciler.client.protocol import Client, EventType
from reconciler.controllers.endpoints.plan import wants_endpoints
from reconciler.controllers.endpointslice.plan import MANAGER, plan
from reconciler.controllers.servicepods import ServicePods
from reconciler.controllers.slicewriter import SliceWriter
from reconciler.controllers.triggertime import TriggerTimes
from reconciler.core.clock import Clock
from reconciler.core.queue import Controller, Outcome
from reconciler.model.endpointslice import EndpointSlice
from reconciler.model.meta import NamespacedName
from reconciler.model.node import ZONE, Node
from reconciler.model.pod import Pod
from reconciler.model.service import Service

_WORKERS = 8


class EndpointSliceController:
    """Writes the slices whose `managed-by` names it, and no others."""

    def __init__(
        self,
        client: Client,
        services: Informer[Service],
        pods: Informer[Pod],
        slices: Informer[EndpointSlice],
        nodes: Informer[Node],
        clock: Clock,
        *,
        random: Random | None = None,
    ) -> None:
        self._services = services
        self._nodes = nodes
        self._informers = (services, pods, slices, nodes)
        self._triggers = TriggerTimes()
        self._log = structlog.get_logger(component="endpointslice")
        self._controller: Controller[NamespacedName] = Controller(
            "endpointslice", self._reconcile, workers=_WORKERS, random=random
        )
        self._slices = SliceWriter(client, slices, MANAGER, self._controller.queue.add, clock)
        services.subscribe(self._service_changed)
        nodes.subscribe(self._node_changed)
        self._pods = ServicePods(services, pods, self._controller.queue.add)

    async def run(self) -> None:
        """Keep slices right until cancelled."""
        await asyncio.gather(*(informer.synced.wait() for informer in self._informers))
        await self._controller.run()

    def _service_changed(self, event: EventType, old: Service | None, new: Service | None) -> None:
        service = new if new is not None else old
        if service is None:
            return
        if event == "DELETED":
            self._triggers.forget(NamespacedName.of(service))
        self._controller.queue.add(NamespacedName.of(service))

    def _node_changed(self, _event: EventType, old: Node | None, new: Node | None) -> None:
        if _zone(old) != _zone(new):
            for service in self._services.items():
                self._controller.queue.add(NamespacedName.of(service))

    async def _reconcile(self, key: NamespacedName) -> Outcome:
        service = self._services.get(key.name, key.namespace)
        if service is None or service.metadata.deletion_timestamp is not None:
            return self._slices.outcome(key)
        if wants_endpoints(service):
            await self._slices.verify(key)
            pods = list(self._pods.of(service))
            trigger = self._triggers.changed(service, pods)
            actions = plan(service, pods, self._slices.of(key), self._zone_of, trigger)
            await self._slices.carry_out(key, actions)
        return self._slices.outcome(key)

    def _zone_of(self, node: str) -> str:
        return _zone(self._nodes.get(node)) if node else ""


def _zone(node: Node | None) -> str:
    return node.metadata.labels.get(ZONE, "") if node is not None else ""
