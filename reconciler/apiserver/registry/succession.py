"""What follows an object when it is written: owners, server-owned metadata, status, generation.

Called by `registry.py`. Pure but for the strategies' own rules.
"""

from __future__ import annotations

from typing import TypeVar

from reconciler.apiserver.registry import metadata, preconditions, tracking
from reconciler.apiserver.registry.strategy import Strategy
from reconciler.model.meta import KubeObject
from reconciler.model.ownership import Writer

K = TypeVar("K", bound=KubeObject)


def updated(strategy: Strategy[K], new: K, old: K, by: Writer) -> K:
    """Return the successor of `old` that a write of `new` by `by` makes, with its owners."""
    preconditions.check_update(strategy.resource, new, old)
    return successor(strategy, tracking.updated(new, old, by), old, by.subresource)


def successor(strategy: Strategy[K], new: K, old: K, subresource: str) -> K:
    """Return what the store holds after `new` was written to `old` or a part of it."""
    kept = new.replace(metadata=metadata.for_update(new.metadata, old.metadata))
    if subresource:
        return strategy.for_subresource(subresource, kept, old)
    return strategy.for_update(kept, old)


def counted(strategy: Strategy[K], new: K, old: K) -> K:
    """Return `new` with the next generation when its spec changed."""
    if not strategy.generation or strategy.same_spec(new, old):
        return new
    return new.replace(metadata=new.metadata.replace(generation=old.metadata.generation + 1))
