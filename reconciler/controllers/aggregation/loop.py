"""Keeps aggregated ClusterRoles filled. Run by the composition root."""

from __future__ import annotations

from random import Random

from reconciler.client.informer import Informer
from reconciler.client.protocol import ApiError, Client, EventType, NotFound
from reconciler.controllers.aggregation.plan import plan
from reconciler.core.errors import Retryable
from reconciler.core.queue import Controller, Done, Outcome
from reconciler.model.rbac import ClusterRole

_MANAGER = "clusterrole-aggregation-controller"


class AggregationController:
    """Writes the rules of every ClusterRole that has an aggregation rule."""

    def __init__(
        self, client: Client, roles: Informer[ClusterRole], *, random: Random | None = None
    ) -> None:
        self._client = client
        self._roles = roles
        self._controller: Controller[str] = Controller(
            "aggregation", self._reconcile, workers=1, random=random
        )
        roles.subscribe(self._changed)

    async def run(self) -> None:
        """Keep the rules right until cancelled."""
        await self._roles.synced.wait()
        await self._controller.run()

    def _changed(
        self, _event: EventType, _old: ClusterRole | None, _new: ClusterRole | None
    ) -> None:
        """Look at every sum again: any of them may have gained or lost this role."""
        for role in self._roles.items():
            if role.aggregation_rule is not None:
                self._controller.queue.add(role.metadata.name)

    async def _reconcile(self, name: str) -> Outcome:
        try:
            role = await self._client.get(ClusterRole, name)
            rules = plan(role, self._roles.items())
            if rules is not None:
                await self._client.update(role.replace(rules=rules), manager=_MANAGER)
        except NotFound:
            return Done()
        except ApiError as error:
            raise Retryable(f"cluster role {name}: {error}") from error
        return Done()
