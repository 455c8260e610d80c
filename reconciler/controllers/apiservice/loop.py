"""Keeps the service `kubernetes`, its endpoints and their slice. Run by the composition root."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import assert_never

from reconciler.client.informer import Informer
from reconciler.client.protocol import AlreadyExists, ApiError, Client, EventType
from reconciler.controllers.apiservice.plan import (
    NAME,
    NAMESPACE,
    Action,
    ApiAddress,
    Create,
    Live,
    Replace,
    Update,
    plan,
)
from reconciler.core.errors import Retryable
from reconciler.core.queue import Controller, Done, Outcome
from reconciler.model.endpointslice import EndpointSlice
from reconciler.model.meta import KubeObject
from reconciler.model.service import Endpoints, Service

_MANAGER = "kube-apiserver"
_KEY = (NAMESPACE, NAME)


class ApiServiceController:
    """`address` says where the API is, as soon as it listens."""

    def __init__(
        self,
        client: Client,
        services: Informer[Service],
        endpoints: Informer[Endpoints],
        slices: Informer[EndpointSlice],
        address: Callable[[], Awaitable[ApiAddress]],
        *,
        random: Random | None = None,
    ) -> None:
        self._client, self._address = client, address
        self._services, self._endpoints, self._slices = services, endpoints, slices
        self._controller: Controller[tuple[str, str]] = Controller(
            "apiservice", self._reconcile, workers=1, random=random
        )
        for informer in (services, endpoints, slices):
            informer.subscribe(self._changed)

    async def run(self) -> None:
        """Keep all three until cancelled."""
        for informer in (self._services, self._endpoints, self._slices):
            await informer.synced.wait()
        self._controller.queue.add(_KEY)
        await self._controller.run()

    def _changed(self, _event: EventType, old: KubeObject | None, new: KubeObject | None) -> None:
        changed = new or old
        if changed is not None and (changed.metadata.namespace, changed.metadata.name) == _KEY:
            self._controller.queue.add(_KEY)

    async def _reconcile(self, _key: tuple[str, str]) -> Outcome:
        address = await self._address()
        live = Live(
            self._services.get(NAME, NAMESPACE),
            self._endpoints.get(NAME, NAMESPACE),
            self._slices.get(NAME, NAMESPACE),
        )
        try:
            for action in plan(live, address):
                await self._perform(action)
        except ApiError as error:
            raise Retryable(f"the service {NAME}: {error}") from error
        return Done()

    async def _perform(self, action: Action) -> None:
        match action:
            case Create(obj):
                try:
                    await self._client.create(obj, manager=_MANAGER)
                except AlreadyExists:
                    return  # the informer is behind, and tells of it in a moment
            case Update(obj):
                await self._client.update(obj, manager=_MANAGER)
            case Replace(service):
                await self._client.delete(Service, NAME, NAMESPACE)
                await self._client.create(service, manager=_MANAGER)
            case _:
                assert_never(action)
