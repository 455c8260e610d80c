"""What to do next for a namespace that is being deleted. Pure.

Called by `loop.py` with everything that is in the namespace. Pods go before all else, as in
Kubernetes' ordered namespace deletion, so that none outlives what it depends on; when nothing is
left, the finalizer `kubernetes` is taken off, which lets the namespace go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.model import kinds
from reconciler.model.meta import KubeObject
from reconciler.model.namespace import Namespace, NamespaceCondition
from reconciler.model.pod import Pod
from reconciler.model.time import format_time

FINALIZER = "kubernetes"


@dataclass(frozen=True, slots=True)
class DeleteContent:
    """Delete one object of the namespace."""

    object: KubeObject


@dataclass(frozen=True, slots=True)
class SetConditions:
    """Say in the namespace's status what is left."""

    conditions: tuple[NamespaceCondition, ...]


@dataclass(frozen=True, slots=True)
class Finalize:
    """Take the finalizer `kubernetes` off; `finalizers` are those that stay."""

    finalizers: tuple[str, ...]


NamespaceAction = DeleteContent | SetConditions | Finalize


def plan(
    namespace: Namespace, content: Sequence[KubeObject], now: datetime
) -> tuple[NamespaceAction, ...]:
    """Return the next steps; none for a namespace that stays or is already let go."""
    finalizers = namespace.spec.finalizers
    if namespace.metadata.deletion_timestamp is None or FINALIZER not in finalizers:
        return ()
    if not content:
        return (Finalize(tuple(item for item in finalizers if item != FINALIZER)),)
    pods = [obj for obj in content if isinstance(obj, Pod)]
    doomed = [obj for obj in pods or content if obj.metadata.deletion_timestamp is None]
    actions: list[NamespaceAction] = [
        DeleteContent(obj) for obj in sorted(doomed, key=lambda obj: obj.key)
    ]
    conditions = _conditions(namespace, content, now)
    if conditions != namespace.status.conditions:
        actions.append(SetConditions(conditions))
    return tuple(actions)


def _conditions(
    namespace: Namespace, content: Sequence[KubeObject], now: datetime
) -> tuple[NamespaceCondition, ...]:
    """Return the five conditions of Kubernetes' namespace controller, in its words."""
    holders = Counter(name for obj in content for name in obj.metadata.finalizers)
    facts = [
        ("NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered",
         "All resources successfully discovered"),
        ("NamespaceDeletionGroupVersionParsingFailure", "False", "ParsedGroupVersions",
         "All legacy kube types successfully parsed"),
        ("NamespaceDeletionContentFailure", "False", "ContentDeleted",
         "All content successfully deleted, may be waiting on finalization"),
        ("NamespaceContentRemaining", "True", "SomeResourcesRemain", _remaining(content)),
        ("NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain", _held(holders))
        if holders
        else ("NamespaceFinalizersRemaining", "False", "ContentHasNoFinalizers",
              "All content-preserving finalizers finished"),
    ]  # fmt: skip
    before = {item.type: item for item in namespace.status.conditions}
    return tuple(_condition(before.get(fact[0]), *fact, now) for fact in facts)


def _remaining(content: Sequence[KubeObject]) -> str:
    counts: Counter[str] = Counter()
    for obj in content:
        resource = kinds.of_object(obj)
        counts[f"{resource.plural}.{resource.group}"] += 1
    parts = sorted(f"{name} has {number} resource instances" for name, number in counts.items())
    return f"Some resources are remaining: {', '.join(parts)}"


def _held(holders: Counter[str]) -> str:
    parts = sorted(f"{name} in {number} resource instances" for name, number in holders.items())
    return f"Some content in the namespace has finalizers remaining: {', '.join(parts)}"


def _condition(
    before: NamespaceCondition | None,
    kind: str,
    status: str,
    reason: str,
    message: str,
    now: datetime,
) -> NamespaceCondition:
    same = before is not None and before.status == status
    return NamespaceCondition(
        type=kind,
        status=status,
        last_transition_time=before.last_transition_time if before and same else format_time(now),
        reason=reason,
        message=message,
    )
