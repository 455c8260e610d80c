"""A local client on a real registry in memory, in virtual time."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from random import Random
from typing import Any

import pytest

from reconciler.admission.decode import decode
from reconciler.apiserver.registry.registry import Registry
from reconciler.client.local import LocalClient
from reconciler.core.ids import Ids
from reconciler.store.memory import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def client(virtual: Any, clock: Any, store: MemoryStore) -> LocalClient:
    registry = Registry(store, clock, Ids(Random(1)))
    virtual.run_until_complete(registry.start())
    return LocalClient(registry)


@pytest.fixture
def run(virtual: Any) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    return virtual.run_until_complete


@pytest.fixture
def background(virtual: Any) -> Iterator[Callable[[Coroutine[Any, Any, Any]], None]]:
    """Run a part while the test lasts."""
    tasks: list[asyncio.Task[Any]] = []
    yield lambda part: tasks.append(virtual.create_task(part))
    for task in tasks:
        task.cancel()
    virtual.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))


@pytest.fixture
def config() -> Callable[..., Any]:
    def build(name: str, namespace: str = "default", **data: str) -> Any:
        meta = {"name": name, "namespace": namespace, "labels": {"first": name[0]}}
        return decode({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})

    return build
