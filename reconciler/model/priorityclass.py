"""PriorityClasses of scheduling.k8s.io/v1: names for how important pods are to the scheduler."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from reconciler.model.base import always
from reconciler.model.meta import KubeObject, ObjectMeta
from reconciler.model.scalar import Int32

GROUP = "scheduling.k8s.io"
SYSTEM_PREFIX = "system-"
HIGHEST_OF_USERS = 1_000_000_000


class PriorityClass(KubeObject):
    api_version: Literal["scheduling.k8s.io/v1"] = always(lambda: "scheduling.k8s.io/v1")
    kind: Literal["PriorityClass"] = always(lambda: "PriorityClass")
    value: Int32 = always(int)
    global_default: bool = False
    description: str = ""
    preemption_policy: str | None = None


def _system(name: str, value: int, description: str) -> PriorityClass:
    return PriorityClass(
        metadata=ObjectMeta(name=name),
        value=value,
        description=description,
        preemption_policy="PreemptLowerPriority",
    )


SYSTEM_CLASSES = (
    _system(
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    _system(
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
)
"""The classes that there are from the first start and that nobody may delete."""


def default_priority(classes: Iterable[PriorityClass]) -> PriorityClass | None:
    """Return the class of pods that name none: of several, the one of the smallest value."""
    marked = (each for each in classes if each.global_default)
    return min(marked, key=lambda each: (each.value, each.metadata.name), default=None)
