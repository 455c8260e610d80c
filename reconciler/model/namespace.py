"""Namespaces."""

from __future__ import annotations

from typing import Annotated, Literal

from reconciler.model.base import ListMap, Model, always, unset
from reconciler.model.meta import KubeObject
from reconciler.model.scalar import Time


class NamespaceSpec(Model):
    finalizers: tuple[str, ...] = ()


class NamespaceCondition(Model):
    type: str = always(str)
    status: str = always(str)
    last_transition_time: Time | None = unset()
    reason: str = ""
    message: str = ""


class NamespaceStatus(Model):
    phase: str = ""
    conditions: Annotated[tuple[NamespaceCondition, ...], ListMap("type")] = ()


class Namespace(KubeObject):
    api_version: Literal["v1"] = always(lambda: "v1")
    kind: Literal["Namespace"] = always(lambda: "Namespace")
    spec: NamespaceSpec = always(NamespaceSpec)
    status: NamespaceStatus = always(NamespaceStatus)
