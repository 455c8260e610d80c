"""Kubernetes' meta/v1: what every object carries, and how an object is named."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import Field

from reconciler.model.base import EMPTY, Atomic, ListMap, ListSet, Model, always, unset
from reconciler.model.scalar import Int64, MicroTime, Time

__all__ = [
    "Condition",
    "KubeObject",
    "ListMeta",
    "ManagedFieldsEntry",
    "MicroTime",
    "NamespacedName",
    "ObjectKey",
    "ObjectMeta",
    "OwnerReference",
    "Time",
]  # fmt: skip


class ObjectKey(NamedTuple):
    """The name of one object: kind ("Pod", or "Source.gitops.reconciler.dev"), namespace, name.

    `namespace` is empty for a cluster-scoped kind.
    """

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        path = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {path}"


@dataclass(frozen=True, slots=True)
class NamespacedName:
    """An object of a kind that is known: what the queue of a loop for that kind holds.

    The namespace is empty for what has none.
    """

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @classmethod
    def of(cls, obj: KubeObject) -> NamespacedName:
        """Return the name of an object."""
        return cls(obj.metadata.namespace, obj.metadata.name)


class OwnerReference(Model):
    atomic: ClassVar[bool] = True
    api_version: str = always(str)
    kind: str = always(str)
    name: str = always(str)
    uid: str = always(str)
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ManagedFieldsEntry(Model):
    manager: str = ""
    operation: str = ""
    api_version: str = ""
    time: Time | None = None
    fields_type: str = ""
    fields_v1: Annotated[dict[str, Any] | None, Atomic()] = Field(default=None, alias="fieldsV1")
    subresource: str = ""


class ObjectMeta(Model):
    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    self_link: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: Int64 = 0
    creation_timestamp: Time | None = unset()
    deletion_timestamp: Time | None = None
    deletion_grace_period_seconds: Int64 | None = None
    labels: dict[str, str] = EMPTY
    annotations: dict[str, str] = EMPTY
    owner_references: Annotated[tuple[OwnerReference, ...], ListMap("uid")] = ()
    finalizers: Annotated[tuple[str, ...], ListSet()] = ()
    managed_fields: tuple[ManagedFieldsEntry, ...] = ()


class ListMeta(Model):
    self_link: str = ""
    resource_version: str = ""
    continue_: str = Field(default="", alias="continue")
    remaining_item_count: Int64 | None = None


class KubeObject(Model):
    """What every stored object has. Kinds override `kind` (and `api_version`) with a Literal."""

    api_version: str = always(str)
    kind: str = always(str)
    metadata: ObjectMeta = always(ObjectMeta)

    @property
    def key(self) -> ObjectKey:
        """The object's name in the store; the kind is qualified by its group outside core."""
        metadata = self.metadata
        return ObjectKey(_key_kind(self.api_version, self.kind), metadata.namespace, metadata.name)


@lru_cache(maxsize=256)
def _key_kind(api_version: str, kind: str) -> str:
    group, _, _ = api_version.rpartition("/")
    return f"{kind}.{group}" if group else kind


class Condition(Model):
    """meta/v1 Condition, used by our own kinds."""

    type: str = always(str)
    status: str = always(str)
    observed_generation: Int64 = 0
    last_transition_time: Time | None = unset()
    reason: str = always(str)
    message: str = always(str)
