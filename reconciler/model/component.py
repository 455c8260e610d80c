"""ComponentStatuses of core/v1: whether the parts of the control plane are well."""

from __future__ import annotations

from typing import Annotated, Literal

from reconciler.model.base import ListMap, Model, always
from reconciler.model.meta import KubeObject


class ComponentCondition(Model):
    type: str = always(str)
    status: str = always(str)
    message: str = ""
    error: str = ""


class ComponentStatus(KubeObject):
    api_version: Literal["v1"] = always(lambda: "v1")
    kind: Literal["ComponentStatus"] = always(lambda: "ComponentStatus")
    conditions: Annotated[tuple[ComponentCondition, ...], ListMap("type")] = ()
