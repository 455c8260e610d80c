"""A node on the simulated engine and a virtual clock."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from reconciler.core.clock import Clock
from tests.unit.kubelet.node import Node

T = TypeVar("T")


@pytest.fixture
def node(virtual: Any, clock: Clock, tmp_path: Path) -> Iterator[Node]:
    node = Node(clock, tmp_path)
    virtual.run_until_complete(node.registry.start())
    virtual.run_until_complete(node.start())
    yield node
    virtual.run_until_complete(node.stop())
    virtual.run_until_complete(node.runtime.close())


@pytest.fixture
def play(virtual: Any) -> Callable[[Coroutine[Any, Any, T]], T]:
    """Run a scene on the virtual clock."""
    return virtual.run_until_complete
