"""Nodes: the hosts that run pods."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reconciler.model.base import EMPTY, ListMap, ListSet, Model, always, unset
from reconciler.model.meta import KubeObject
from reconciler.model.scalar import Int32, Int64, ResourceList, Time

ZONE = "topology.kubernetes.io/zone"
"""The label that names a node's zone."""

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
"""The taints of a node that says that it is not ready, says nothing, or is cordoned."""


class Taint(Model):
    key: str = always(str)
    value: str = ""
    effect: str = always(str)
    time_added: Time | None = None


class ConfigMapNodeConfigSource(Model):
    namespace: str = always(str)
    name: str = always(str)
    uid: str = ""
    resource_version: str = ""
    kubelet_config_key: str = always(str)


class NodeConfigSource(Model):
    config_map: ConfigMapNodeConfigSource | None = None


class NodeSpec(Model):
    pod_cidr: str = ""
    pod_cidrs: Annotated[tuple[str, ...], ListSet()] = ()
    provider_id: str = ""
    unschedulable: bool = False
    taints: tuple[Taint, ...] = ()
    config_source: NodeConfigSource | None = None
    external_id: str = ""


class NodeCondition(Model):
    type: str = always(str)
    status: str = always(str)
    last_heartbeat_time: Time | None = unset()
    last_transition_time: Time | None = unset()
    reason: str = ""
    message: str = ""


class NodeAddress(Model):
    type: str = always(str)
    address: str = always(str)


class DaemonEndpoint(Model):
    port: Int32 = Field(default_factory=lambda _data: 0, alias="Port")


class NodeDaemonEndpoints(Model):
    kubelet_endpoint: DaemonEndpoint = always(DaemonEndpoint)


class NodeSystemInfo(Model):
    machine_id: str = always(str)
    system_uuid: str = always(str)
    boot_id: str = always(str)
    kernel_version: str = always(str)
    os_image: str = always(str)
    container_runtime_version: str = always(str)
    kubelet_version: str = always(str)
    kube_proxy_version: str = always(str)
    operating_system: str = always(str)
    architecture: str = always(str)


class ContainerImage(Model):
    names: tuple[str, ...] = ()
    size_bytes: Int64 = 0


class AttachedVolume(Model):
    name: str = always(str)
    device_path: str = always(str)


class NodeConfigStatus(Model):
    assigned: NodeConfigSource | None = None
    active: NodeConfigSource | None = None
    last_known_good: NodeConfigSource | None = None
    error: str = ""


class NodeRuntimeHandlerFeatures(Model):
    recursive_read_only_mounts: bool | None = None
    user_namespaces: bool | None = None


class NodeRuntimeHandler(Model):
    name: str = always(str)
    features: NodeRuntimeHandlerFeatures | None = None


class NodeFeatures(Model):
    supplemental_groups_policy: bool | None = None


class NodeStatus(Model):
    capacity: ResourceList = EMPTY
    allocatable: ResourceList = EMPTY
    phase: str = ""
    conditions: Annotated[tuple[NodeCondition, ...], ListMap("type")] = ()
    addresses: Annotated[tuple[NodeAddress, ...], ListMap("type")] = ()
    daemon_endpoints: NodeDaemonEndpoints = always(NodeDaemonEndpoints)
    node_info: NodeSystemInfo = always(NodeSystemInfo)
    images: tuple[ContainerImage, ...] = ()
    volumes_in_use: tuple[str, ...] = ()
    volumes_attached: tuple[AttachedVolume, ...] = ()
    config: NodeConfigStatus | None = None
    runtime_handlers: tuple[NodeRuntimeHandler, ...] = ()
    features: NodeFeatures | None = None


class Node(KubeObject):
    api_version: Literal["v1"] = always(lambda: "v1")
    kind: Literal["Node"] = always(lambda: "Node")
    spec: NodeSpec = always(NodeSpec)
    status: NodeStatus = always(NodeStatus)
