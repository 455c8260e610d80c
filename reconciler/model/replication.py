"""ReplicationControllers."""

from __future__ import annotations

from typing import Annotated, Literal

from reconciler.model.base import EMPTY, Atomic, ListMap, Model, always, unset
from reconciler.model.meta import KubeObject
from reconciler.model.pod import PodTemplateSpec
from reconciler.model.scalar import Int32, Int64, Time

PROGRESS_DEADLINE = "reconciler.dev/progress-deadline-seconds"
"""How long a rollout may go without one more ready pod, or a declared pod take to be ready."""


class ReplicationControllerSpec(Model):
    replicas: Int32 | None = None
    min_ready_seconds: Int32 = 0
    selector: Annotated[dict[str, str], Atomic()] = EMPTY
    template: PodTemplateSpec | None = None


class ReplicationControllerCondition(Model):
    type: str = always(str)
    status: str = always(str)
    last_transition_time: Time | None = unset()
    reason: str = ""
    message: str = ""


class ReplicationControllerStatus(Model):
    replicas: Int32 = always(int)
    fully_labeled_replicas: Int32 = 0
    ready_replicas: Int32 = 0
    available_replicas: Int32 = 0
    observed_generation: Int64 = 0
    conditions: Annotated[tuple[ReplicationControllerCondition, ...], ListMap("type")] = ()


class ReplicationController(KubeObject):
    api_version: Literal["v1"] = always(lambda: "v1")
    kind: Literal["ReplicationController"] = always(lambda: "ReplicationController")
    spec: ReplicationControllerSpec = always(ReplicationControllerSpec)
    status: ReplicationControllerStatus = always(ReplicationControllerStatus)
