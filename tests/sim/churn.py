"""Looks for what grows: all that the program holds, at rest after many pods came and went."""

from __future__ import annotations

import asyncio
import functools
import gc
import sys
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import is_dataclass, replace
from typing import Any

from pydantic import BaseModel

from reconciler.model.config import ConfigMap
from reconciler.model.meta import ObjectMeta
from reconciler.model.pod import Pod
from tests.sim import goal, manifests
from tests.sim.deeds import Deeds
from tests.sim.hands import ask, make_own
from tests.sim.manifests import App, Tree
from tests.sim.world import World

APPS = (
    App("web", "shop", replicas=3, probed=True, secret=True),
    App("api", "default", replicas=2, mood="stubborn", grace=1),
)
_PATIENCE = 300.0
_REST = 60.0

Tables = Counter[str]
"""How many entries the tables of a name hold, all instances of its class together."""


class Churn:
    """Rounds in which every pod is deleted, and a commit, a service and an object come and go."""

    def __init__(self, world: World) -> None:
        self._world, self._deeds = world, Deeds(world)
        self._round = 0
        self.seen: list[Tables] = []

    async def run(self, rounds: int) -> None:
        """Live through twice as many rounds; take a sample after each half."""
        await self._world.furnish()
        await self._commit()
        for number in range(len(self._world.hosts)):
            self._world.processes.start(number)
        await make_own(self._world)
        await self._whole()
        for _ in range(2):
            for _ in range(rounds):
                await self._turn()
            await asyncio.sleep(_REST)
            self.seen.append(tables())

    async def _turn(self) -> None:
        self._round += 1
        await ask(self._world, self._strike)
        await self._commit()
        await asyncio.sleep(1)
        await self._whole()

    async def _strike(self, plane: Any) -> None:
        meta = ObjectMeta(name=f"made-{self._round}", namespace="shop")
        await plane.client.create(ConfigMap(metadata=meta))
        for pod in plane.registry.list(Pod):
            await plane.client.delete(Pod, *pod.key[:0:-1])
        await plane.client.delete(ConfigMap, meta.name, meta.namespace)

    async def _commit(self) -> None:
        image = manifests.GOOD[self._round % len(manifests.GOOD)]
        apps = tuple(replace(app, image=image) for app in APPS)
        if self._round % 2:
            apps = (*apps, App(f"more-{self._round}", f"space-{self._round}"))
        self._deeds.push(Tree(apps, number=self._round))

    async def _whole(self) -> None:
        world, began = self._world, self._world.loop.time()
        while lacks := list(goal.missing(world, manifests.manifests(self._deeds.tree))):
            assert world.loop.time() - began < _PATIENCE, lacks[:5]
            await asyncio.sleep(2)


def tables() -> Tables:
    """Count what the living instances of the program's classes hold, and its modules."""
    gc.unfreeze()
    gc.collect()
    found: Tables = Counter()
    for each in gc.get_objects():
        kind = type(each)
        module = str(kind.__module__)
        if module.startswith("reconciler.") and not _is_value(kind):
            for attribute, size in _sizes(each):
                found[f"{module}.{kind.__qualname__}.{attribute}"] += size
    for name, size in _of_modules():
        found[name] += size
    return found


def _is_value(kind: type[Any]) -> bool:
    """Say whether instances never change: what holds them is counted, not they."""
    if issubclass(kind, BaseModel):
        return True
    return is_dataclass(kind) and bool(kind.__dataclass_params__.frozen)  # type: ignore[attr-defined]


def _sizes(each: object) -> Iterator[tuple[str, int]]:
    slots = (slot for kind in type(each).__mro__ for slot in getattr(kind, "__slots__", ()))
    for attribute in {*getattr(each, "__dict__", ()), *slots}:
        value = getattr(each, attribute, None)
        if isinstance(value, dict | list | set | deque):
            yield attribute, len(value)


def _of_modules() -> Iterator[tuple[str, int]]:
    """Yield the size of each module's own tables, and of its caches that have no bound."""
    for module in [name for name in sys.modules if name.startswith("reconciler.")]:
        for name, value in vars(sys.modules[module]).items():
            if isinstance(value, functools._lru_cache_wrapper):
                if value.cache_info().maxsize is None:
                    yield f"{module}:{name}", value.cache_info().currsize
            elif isinstance(value, dict | list | set | deque):
                yield f"{module}:{name}", len(value)
