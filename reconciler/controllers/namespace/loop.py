"""Empties namespaces that are being deleted.

Run by the composition root. It lists the content at the API itself, never from an informer: a
lagging view must not let a namespace go before its content (law 4).
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any, assert_never

import structlog

from reconciler.client.informer import Informer
from reconciler.client.protocol import ApiError, Client, ConflictError, EventType, NotFound
from reconciler.controllers.namespace.plan import (
    DeleteContent,
    Finalize,
    NamespaceAction,
    SetConditions,
    plan,
)
from reconciler.core.clock import Clock
from reconciler.core.errors import Retryable
from reconciler.core.queue import Controller, Done, Outcome, RequeueAfter
from reconciler.model import kinds
from reconciler.model.meta import KubeObject
from reconciler.model.namespace import Namespace
from reconciler.model.pod import Pod

_LOOK_AGAIN = 2.0
"""Seconds until content is listed again when no event told of its end."""

_PARALLEL = 64


class NamespaceController:
    """Deletes the content of Terminating namespaces and lets them go."""

    def __init__(
        self,
        client: Client,
        namespaces: Informer[Namespace],
        pods: Informer[Pod],
        clock: Clock,
        *,
        random: Random | None = None,
    ) -> None:
        self._client = client
        self._namespaces = namespaces
        self._clock = clock
        self._log = structlog.get_logger(component="namespace")
        self._controller: Controller[str] = Controller(
            "namespace", self._reconcile, workers=2, random=random
        )
        namespaces.subscribe(self._namespace_changed)
        pods.subscribe(self._pod_changed)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._namespaces.synced.wait()
        await self._controller.run()

    def _namespace_changed(
        self, _event: EventType, _old: Namespace | None, new: Namespace | None
    ) -> None:
        if new is not None and new.metadata.deletion_timestamp is not None:
            self._controller.queue.add(new.metadata.name)

    def _pod_changed(self, event: EventType, old: Pod | None, _new: Pod | None) -> None:
        if event != "DELETED" or old is None:
            return
        home = self._namespaces.get(old.metadata.namespace)
        if home is not None and home.metadata.deletion_timestamp is not None:
            self._controller.queue.add(home.metadata.name)

    async def _reconcile(self, name: str) -> Outcome:
        try:
            namespace = await self._client.get(Namespace, name)
        except NotFound:
            return Done()
        try:
            content = await self._content(name)
            actions = plan(namespace, content, self._clock.now())
            await self._carry_out(namespace, actions)
        except ApiError as error:
            raise Retryable(f"namespace {name}: {error}") from error
        if namespace.metadata.deletion_timestamp is None or not content:
            return Done()
        again = any(isinstance(action, DeleteContent) for action in actions)
        return RequeueAfter(0 if again and not _has_pods(content) else _LOOK_AGAIN)

    async def _content(self, name: str) -> list[KubeObject]:
        content: list[KubeObject] = []
        for resource in kinds.RESOURCES:
            if resource.namespaced:
                content.extend((await self._client.list(resource.model, name)).items)
        return content

    async def _carry_out(self, namespace: Namespace, actions: tuple[NamespaceAction, ...]) -> None:
        gate = asyncio.Semaphore(_PARALLEL)
        deletions = [
            self._delete(action.object, gate)
            for action in actions
            if isinstance(action, DeleteContent)
        ]
        await asyncio.gather(*deletions)
        for action in actions:
            match action:
                case DeleteContent():
                    pass
                case SetConditions(conditions):
                    status = namespace.status.replace(conditions=conditions)
                    await self._update(namespace.replace(status=status), "status")
                case Finalize(finalizers):
                    spec = namespace.spec.replace(finalizers=finalizers)
                    await self._update(namespace.replace(spec=spec), "finalize")
                    self._log.info("namespace.emptied", name=namespace.metadata.name)
                case _:
                    assert_never(action)

    async def _delete(self, obj: KubeObject, gate: asyncio.Semaphore) -> None:
        kind: type[Any] = type(obj)
        meta = obj.metadata
        async with gate:
            try:
                await self._client.delete(
                    kind, meta.name, meta.namespace, uid=meta.uid, propagation="Background"
                )
            except (NotFound, ConflictError):
                return  # gone, or replaced: the next listing tells

    async def _update(self, namespace: Namespace, subresource: str) -> None:
        try:
            await self._client.update(namespace, subresource=subresource)
        except NotFound:
            return


def _has_pods(content: list[KubeObject]) -> bool:
    return any(isinstance(obj, Pod) for obj in content)
