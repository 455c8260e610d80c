"""What the kubelet says of a pod: phase, conditions, the state of each container."""

from __future__ import annotations

from typing import Annotated

from reconciler.model.base import EMPTY, ListMap, Model, PatchOnly, always, unset
from reconciler.model.container import ResourceRequirements
from reconciler.model.scalar import Int32, Int64, ResourceList, Time


class PodCondition(Model):
    type: str = always(str)
    status: str = always(str)
    last_probe_time: Time | None = unset()
    last_transition_time: Time | None = unset()
    reason: str = ""
    message: str = ""


class PodIP(Model):
    ip: str = always(str)


class HostIP(Model):
    ip: str = always(str)


class ContainerStateWaiting(Model):
    reason: str = ""
    message: str = ""


class ContainerStateRunning(Model):
    started_at: Time | None = unset()


class ContainerStateTerminated(Model):
    exit_code: Int32 = always(int)
    signal: Int32 = 0
    reason: str = ""
    message: str = ""
    started_at: Time | None = unset()
    finished_at: Time | None = unset()
    container_id: str = ""


class ContainerState(Model):
    waiting: ContainerStateWaiting | None = None
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None


class VolumeMountStatus(Model):
    name: str = always(str)
    mount_path: str = always(str)
    read_only: bool = False
    recursive_read_only: str | None = None


class LinuxContainerUser(Model):
    uid: Int64 = always(int)
    gid: Int64 = always(int)
    supplemental_groups: tuple[Int64, ...] = ()


class ContainerUser(Model):
    linux: LinuxContainerUser | None = None


class ResourceHealth(Model):
    resource_id: str = always(str)
    health: str = ""


class ResourceStatus(Model):
    name: str = always(str)
    resources: Annotated[tuple[ResourceHealth, ...], ListMap("resourceID", patch=False)] = ()


class ContainerStatus(Model):
    name: str = always(str)
    state: ContainerState = always(ContainerState)
    last_state: ContainerState = always(ContainerState)
    ready: bool = always(bool)
    restart_count: Int32 = always(int)
    image: str = always(str)
    image_id: str = always(str)
    container_id: str = ""
    started: bool | None = None
    allocated_resources: ResourceList = EMPTY
    resources: ResourceRequirements | None = None
    volume_mounts: Annotated[tuple[VolumeMountStatus, ...], ListMap("mountPath")] = ()
    user: ContainerUser | None = None
    allocated_resources_status: Annotated[tuple[ResourceStatus, ...], ListMap("name")] = ()


class PodResourceClaimStatus(Model):
    name: str = always(str)
    resource_claim_name: str | None = None


TERMINAL = frozenset(("Succeeded", "Failed"))
"""The phases of a pod that has ended for good."""

REFUSED = ("CreateContainerError", "RunContainerError")
"""Why a container waits that the engine would not make or start."""

START_FAILING = "reconciler.dev/StartFailing"
"""The condition that the engine refused again and again to make or start one of the containers.

Kubernetes has no word for it: a container waits with `CreateContainerError` after the first
refusal, which may heal, as after the fifth.
"""

LIVENESS_UNPROVEN = "reconciler.dev/LivenessUnproven"
"""The condition that a container runs whose liveness probe has not succeeded once yet.

Kubernetes calls it alive until the probe has failed often enough: a probe that can never succeed
would pass for a while.
"""


class PodStatus(Model):
    phase: str = ""
    conditions: Annotated[tuple[PodCondition, ...], ListMap("type")] = ()
    message: str = ""
    reason: str = ""
    nominated_node_name: str = ""
    host_ip: str = ""
    host_ips: Annotated[tuple[HostIP, ...], PatchOnly("ip")] = ()
    pod_ip: str = ""
    pod_ips: Annotated[tuple[PodIP, ...], ListMap("ip")] = ()
    start_time: Time | None = None
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    qos_class: str = ""
    ephemeral_container_statuses: tuple[ContainerStatus, ...] = ()
    resize: str = ""
    resource_claim_statuses: Annotated[
        tuple[PodResourceClaimStatus, ...], ListMap("name", retain_keys=True)
    ] = ()


def disrupted(status: PodStatus, reason: str, message: str, now: str) -> PodStatus:
    """Return the status with Kubernetes' condition that somebody is about to end the pod."""
    condition = PodCondition(
        type="DisruptionTarget",
        status="True",
        last_transition_time=now,
        reason=reason,
        message=message,
    )
    return with_condition(status, condition)


def with_condition(status: PodStatus, condition: PodCondition) -> PodStatus:
    """Return the status with the condition in place of what it said of its type before."""
    others = tuple(each for each in status.conditions if each.type != condition.type)
    return status.replace(conditions=(*others, condition))
