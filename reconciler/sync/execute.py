"""The effects of a plan: the only module of sync that writes declared objects.

Called by the loop. Actions of one stage and rank run side by side, so that the store commits them
in groups; the next rank starts when all are done. A rank that fails ends the execution: nothing
after it happens, and above all nothing is pruned.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar, assert_never

import structlog

from reconciler.client.protocol import ApiError, Client, NotFound
from reconciler.core.clock import Clock
from reconciler.desired.redact import secret_fields
from reconciler.model import kinds, time
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.model.retirement import REMOVE_AT, UNDELETED
from reconciler.sync.actions import (
    Action,
    Adopt,
    Apply,
    Await,
    Create,
    Origin,
    Prune,
    Release,
    Replace,
    Retire,
    Write,
)
from reconciler.sync.identity import manager_of
from reconciler.sync.inventory import Inventory
from reconciler.sync.narration import Narrator
from reconciler.sync.plan import Plan, stage

K = TypeVar("K", bound=KubeObject)

_PRUNE_MANAGER = "reconciler-prune"
_PARALLEL = 256
_LASTING = frozenset((400, 403, 405, 413, 422))


@dataclass(frozen=True, slots=True)
class Failure:
    """An action that the API refused. `lasting`: trying again alone is not expected to help."""

    key: ObjectKey
    origin: Origin | None
    path: str
    message: str
    lasting: bool


class Executor:
    """Performs plans of one source.

    `on_written(action, obj)` hears of each object that was applied, as it is stored now.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        source: str,
        inventory: Inventory,
        on_written: Callable[[Write, KubeObject], None],
        narrator: Narrator,
    ) -> None:
        self._client = client
        self._clock = clock
        self._manager = manager_of(source)
        self._inventory = inventory
        self._on_written = on_written
        self._narrator = narrator
        self._log = structlog.get_logger(component="sync", source=source)

    async def execute(self, plan: Plan, wanted: Callable[[], bool]) -> tuple[Failure, ...]:
        """Perform the plan rank by rank while `wanted()`; return what failed, sorted by key."""
        for _, group in groupby(plan.actions, key=lambda action: stage(action)[:2]):
            if not wanted():
                break
            failures = await self._side_by_side(list(group))
            if failures:
                return tuple(sorted(failures, key=lambda failure: failure.key))
        return ()

    async def _side_by_side(self, actions: Sequence[Action]) -> list[Failure]:
        failures: list[Failure] = []
        waiting = iter(actions)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(_PARALLEL, len(actions))):
                group.create_task(self._work(waiting, failures))
        return failures

    async def _work(self, waiting: Iterator[Action], failures: list[Failure]) -> None:
        for action in waiting:
            try:
                await self._perform(action)
            except ApiError as error:
                failures.append(_failure(action, error))

    async def _perform(self, action: Action) -> None:
        match action:
            case Create() | Apply() | Adopt():
                obj = await self._client.apply(
                    dict(action.manifest),
                    manager=self._manager,
                    force=True,
                    admitted=action.admitted if isinstance(action, Create) else None,
                )
                if not isinstance(action, Create) and action.revive:
                    obj = await self._annotate(obj, {REMOVE_AT: None, UNDELETED: None})
                self._inventory.written(obj)
                self._on_written(action, obj)
                self._tell(action, obj)
            case Retire():
                await self._retire(action)
            case Replace():
                await self._delete(action.key, action.uid)
                self._tell_change("object.replaced", action)
            case Prune():
                await self._delete(action.key, action.uid, action.propagation)
                self._log.info("object.pruned", **_names(action.key), reason="not declared")
            case Release():
                await self._client.apply(_empty(action.key), manager=self._manager, force=True)
                self._log.info("object.released", **_names(action.key), reason="not declared")
            case Await():
                self._log.debug("object.awaited", **_names(action.key), reason=action.reason)
            case _:
                assert_never(action)

    async def _retire(self, action: Retire) -> None:
        """Let an object rest; one that is gone meanwhile needs no rest."""
        model, key = kinds.by_key_kind(action.key.kind), action.key
        if model is None:
            return
        try:
            live = await self._client.get(model.model, key.name, key.namespace)
        except NotFound:
            return
        if live.metadata.uid != action.uid:
            return
        until = time.format_time(action.until)
        self._inventory.marked(await self._annotate(live, {REMOVE_AT: until}))
        self._log.info("object.retired", **_names(key), reason="not declared", until=until)

    async def _annotate(self, obj: K, notes: Mapping[str, str | None]) -> K:
        """Set annotations, or take them away where the value is None, as nobody's declaration."""
        merged = {**obj.metadata.annotations, **notes}
        kept = {name: value for name, value in merged.items() if value is not None}
        changed = obj.replace(metadata=obj.metadata.replace(annotations=kept))
        return await self._client.update(changed, manager=_PRUNE_MANAGER)

    async def _delete(self, key: ObjectKey, uid: str, propagation: str = "Background") -> None:
        model = kinds.by_key_kind(key.kind)
        if model is None:
            return
        try:
            await self._client.delete(
                model.model,
                key.name,
                key.namespace,
                uid=uid,
                propagation="Orphan" if propagation == "Orphan" else "Background",
            )
        except NotFound:
            return
        self._inventory.deleting(key, time.format_time(self._clock.now()))

    def _tell(self, action: Write, obj: KubeObject) -> None:
        if not isinstance(action, Adopt) and action.drift:
            self._narrator.corrected(action, obj)
        match action:
            case Create():
                event = "drift.corrected" if action.drift else "object.created"
                reason = "deleted" if action.drift else str(action.origin)
                self._log.info(event, **_names(action.key), reason=reason)
            case Apply():
                event = "drift.corrected" if action.drift else "object.applied"
                event = "object.revived" if action.revive else event
                self._tell_change(event, action)
            case Adopt():
                self._tell_change("object.adopted", action)
            case _:
                assert_never(action)

    def _tell_change(self, event: str, action: Apply | Adopt | Replace) -> None:
        paths = [change.path for change in action.changes]
        owners = sorted({change.owner for change in action.changes if change.owner})
        self._log.info(
            event,
            **_names(action.key),
            reason=paths[0] if paths else "field ownership",
            fields=paths,
            managers=owners,
            origin=str(action.origin),
        )


def _names(key: ObjectKey) -> dict[str, str]:
    return {"kind": key.kind, "namespace": key.namespace, "name": key.name}


def _empty(key: ObjectKey) -> dict[str, object]:
    resource = kinds.by_key_kind(key.kind)
    version = resource.api_version if resource is not None else "v1"
    kind = resource.kind if resource is not None else key.kind
    place = {"namespace": key.namespace} if key.namespace else {}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": key.name, **place}}


def _failure(action: Action, error: ApiError) -> Failure:
    origin = getattr(action, "origin", None)
    causes = error.details.get("causes") or ()
    path = causes[0].get("field", "") if causes else ""
    manifest = getattr(action, "manifest", None) or {}
    notes = (manifest.get("metadata") or {}).get("annotations") or {}
    hidden = "refused; the message is not shown, for it may tell a value that comes from a Secret"
    message = hidden if secret_fields(notes) else error.message
    return Failure(action.key, origin, path, message, error.code in _LASTING)
