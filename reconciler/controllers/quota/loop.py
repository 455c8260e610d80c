"""Counts what ResourceQuotas limit. Run by the composition root.

The registry adds to a quota's usage with each write; this loop takes away what was deleted, and
counts again whatever changed. It lists at the API itself, never from an informer, so that it does
not undo what the registry has just counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from reconciler.client.informer import Informer
from reconciler.client.protocol import ApiError, Client, ConflictError, EventType, NotFound
from reconciler.controllers.quota.plan import plan
from reconciler.core.errors import Retryable
from reconciler.core.queue import Controller, Done, Outcome
from reconciler.model import usage
from reconciler.model.account import ResourceQuota
from reconciler.model.meta import KubeObject

Key = tuple[str, str]

_BY_SPACE = "namespace"


class QuotaController:
    """Writes the status of every ResourceQuota. `informers` tell what may have changed."""

    def __init__(
        self,
        client: Client,
        informers: Mapping[type[KubeObject], Informer[Any]],
        *,
        random: Random | None = None,
    ) -> None:
        self._client = client
        self._kinds = tuple(informers)
        self._quotas: Informer[ResourceQuota] = informers[ResourceQuota]
        self._controller: Controller[Key] = Controller(
            "quota", self._reconcile, workers=1, random=random
        )
        self._quotas.add_index(_BY_SPACE, lambda quota: [quota.metadata.namespace])
        for informer in informers.values():
            informer.subscribe(self._changed)

    async def run(self) -> None:
        """Keep the statuses right until cancelled."""
        await self._quotas.synced.wait()
        await self._controller.run()

    def _changed(self, _event: EventType, old: KubeObject | None, new: KubeObject | None) -> None:
        obj = new or old
        if obj is None or not obj.metadata.namespace:
            return
        for quota in self._quotas.by_index(_BY_SPACE, obj.metadata.namespace):
            self._controller.queue.add((quota.metadata.namespace, quota.metadata.name))

    async def _reconcile(self, key: Key) -> Outcome:
        space, name = key
        try:
            quota = await self._client.get(ResourceQuota, name, space)
            status = plan(quota, await self._objects(quota))
            if status is not None:
                await self._client.update(quota.replace(status=status), subresource="status")
        except NotFound:
            return Done()
        except ConflictError as error:
            raise Retryable(f"quota {space}/{name} was written meanwhile") from error
        except ApiError as error:
            raise Retryable(f"quota {space}/{name}: {error}") from error
        return Done()

    async def _objects(self, quota: ResourceQuota) -> list[KubeObject]:
        found: list[KubeObject] = []
        for kind in self._kinds:
            if usage.counts(kind, quota.spec.hard):
                found += (await self._client.list(kind, quota.metadata.namespace)).items
        return found
