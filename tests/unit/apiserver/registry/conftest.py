"""A registry on a store in memory, in virtual time, with seeded randomness."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from reconciler.admission.decode import decode
from reconciler.apiserver.registry.registry import Registry
from reconciler.apiserver.registry.settings import RegistrySettings
from reconciler.core.ids import Ids
from reconciler.store.memory import MemoryStore

Make = Callable[..., Any]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def registry(virtual: Any, clock: Any, store: MemoryStore) -> Registry:
    made = Registry(store, clock, Ids(Random(1)), RegistrySettings())
    virtual.run_until_complete(made.start())
    return made


@pytest.fixture
def make() -> Make:
    """Build a decoded object: make("ConfigMap", "name", data={...})."""

    def build(kind: str, name: str, namespace: str = "default", **rest: Any) -> Any:
        meta = {"name": name, **({"namespace": namespace} if namespace else {})}
        meta |= rest.pop("metadata", {})
        return decode({"apiVersion": "v1", "kind": kind, "metadata": meta, **rest})

    return build
