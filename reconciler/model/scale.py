"""autoscaling/v1 Scale: the replicas of another object. Nothing of that kind is stored."""

from __future__ import annotations

from typing import Literal

from reconciler.model.base import Model, always
from reconciler.model.kinds import Resource
from reconciler.model.meta import KubeObject
from reconciler.model.scalar import Int32


class ScaleSpec(Model):
    replicas: Int32 = 0


class ScaleStatus(Model):
    replicas: Int32 = always(int)
    selector: str = ""


class Scale(KubeObject):
    api_version: Literal["autoscaling/v1"] = always(lambda: "autoscaling/v1")
    kind: Literal["Scale"] = always(lambda: "Scale")
    spec: ScaleSpec = always(ScaleSpec)
    status: ScaleStatus = always(ScaleStatus)


SCALE = Resource(Scale, "Scale", "scales", "scale", group="autoscaling")
"""How a Scale is named in messages; no URL has the plural."""
