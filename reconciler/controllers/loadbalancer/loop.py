"""Gives services of type LoadBalancer their addresses. Run by the composition root.

It only writes statuses; the proxy brings the addresses to the host. Addresses are divided among
all load balancers at once, so there is one key.
"""

from __future__ import annotations

from random import Random
from typing import assert_never

import structlog

from reconciler.client.events import EventRecorder
from reconciler.client.informer import Informer
from reconciler.client.protocol import ApiError, Client, ConflictError, EventType, NotFound
from reconciler.controllers.loadbalancer.plan import Give, Ranges, Refuse, concerns, plan
from reconciler.core.errors import Retryable
from reconciler.core.queue import Controller, Done, Outcome
from reconciler.model.service import Service

_ALL = "all"
_BALANCED = "load-balancer"
_FAILED = "Error syncing load balancer: failed to ensure load balancer"


class LoadBalancerController:
    """Writes `status.loadBalancer` of every service that concerns us."""

    def __init__(
        self,
        client: Client,
        services: Informer[Service],
        events: EventRecorder,
        ranges: Ranges,
        *,
        random: Random | None = None,
    ) -> None:
        self._client = client
        self._services = services
        self._events = events.speaker("service-controller")
        self._ranges = ranges
        self._told: dict[str, str] = {}
        self._log = structlog.get_logger(component="loadbalancer")
        self._controller: Controller[str] = Controller(
            "loadbalancer", self._reconcile, workers=1, random=random
        )
        services.add_index(_BALANCED, lambda service: [_ALL] if concerns(service) else [])
        services.subscribe(self._changed)

    async def run(self) -> None:
        """Keep the addresses right until cancelled."""
        await self._services.synced.wait()
        self._controller.queue.add(_ALL)
        await self._controller.run()

    def _changed(self, _event: EventType, old: Service | None, new: Service | None) -> None:
        if any(service is not None and concerns(service) for service in (old, new)):
            self._controller.queue.add(_ALL)

    async def _reconcile(self, _key: str) -> Outcome:
        refused = {}
        for action in plan(self._services.by_index(_BALANCED, _ALL), self._ranges):
            match action:
                case Give():
                    await self._give(action)
                case Refuse():
                    refused[action.service.metadata.uid] = action.reason
                    self._refuse(action)
                case _:
                    assert_never(action)
        self._told = refused
        return Done()

    async def _give(self, action: Give) -> None:
        service = action.service
        meta = service.metadata
        status = service.status.replace(load_balancer=action.status)
        try:
            await self._client.update(service.replace(status=status), subresource="status")
        except (NotFound, ConflictError):
            return  # the informer will show what changed, and that wakes us
        except ApiError as error:
            raise Retryable(f"service {meta.namespace}/{meta.name}: {error}") from error
        self._log.info(
            "loadbalancer.address_changed",
            namespace=meta.namespace,
            name=meta.name,
            address=action.address,
        )
        if action.address:
            self._events.event(service, "Normal", "EnsuredLoadBalancer", "Ensured load balancer")

    def _refuse(self, action: Refuse) -> None:
        meta = action.service.metadata
        if self._told.get(meta.uid) == action.reason:
            return
        message = f"{_FAILED}: {action.reason}"
        self._events.event(action.service, "Warning", "SyncLoadBalancerFailed", message)
        self._log.warning(
            "loadbalancer.refused", namespace=meta.namespace, name=meta.name, reason=action.reason
        )
