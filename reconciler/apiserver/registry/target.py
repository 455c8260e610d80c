"""What a write of the registry is about. A value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from reconciler.apiserver.registry.strategy import Strategy
from reconciler.model.meta import KubeObject

K = TypeVar("K", bound=KubeObject)


@dataclass(frozen=True, slots=True)
class Target(Generic[K]):
    """The object that a write is about.

    `retry` when it names no resourceVersion; `check` is False where a subresource has the right to
    change what an update may not.
    """

    strategy: Strategy[K]
    namespace: str
    name: str
    retry: bool = True
    dry_run: bool = False
    check: bool = True
