"""What is asked of a pod by an object of its own: a node, or to go. Neither is stored."""

from __future__ import annotations

from typing import Literal

from reconciler.model.base import Model, always
from reconciler.model.meta import KubeObject
from reconciler.model.reference import ObjectReference
from reconciler.model.scalar import Int64


class Binding(KubeObject):
    api_version: Literal["v1"] = always(lambda: "v1")
    kind: Literal["Binding"] = always(lambda: "Binding")
    target: ObjectReference = always(ObjectReference)


class Preconditions(Model):
    uid: str | None = None
    resource_version: str | None = None


class DeleteOptions(Model):
    kind: str = ""
    api_version: str = ""
    grace_period_seconds: Int64 | None = None
    preconditions: Preconditions | None = None
    orphan_dependents: bool | None = None
    propagation_policy: str | None = None
    dry_run: tuple[str, ...] = ()


class Eviction(KubeObject):
    api_version: Literal["policy/v1"] = always(lambda: "policy/v1")
    kind: Literal["Eviction"] = always(lambda: "Eviction")
    delete_options: DeleteOptions | None = None
