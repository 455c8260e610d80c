"""Containers: image, command, environment, ports, resources, mounts."""

from __future__ import annotations

from typing import Annotated, ClassVar

from reconciler.model.base import EMPTY, ListMap, Model, always
from reconciler.model.probe import Lifecycle, Probe
from reconciler.model.scalar import Int32, Quantity, ResourceList
from reconciler.model.security import SecurityContext


class ContainerPort(Model):
    name: str = ""
    host_port: Int32 = 0
    container_port: Int32 = always(int)
    protocol: str = ""
    host_ip: str = ""


class ObjectFieldSelector(Model):
    atomic: ClassVar[bool] = True
    api_version: str = ""
    field_path: str = always(str)


class ResourceFieldSelector(Model):
    atomic: ClassVar[bool] = True
    container_name: str = ""
    resource: str = always(str)
    divisor: Quantity = always(lambda: "0")


class ConfigMapKeySelector(Model):
    atomic: ClassVar[bool] = True
    name: str = ""
    key: str = always(str)
    optional: bool | None = None


class SecretKeySelector(Model):
    atomic: ClassVar[bool] = True
    name: str = ""
    key: str = always(str)
    optional: bool | None = None


class EnvVarSource(Model):
    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    config_map_key_ref: ConfigMapKeySelector | None = None
    secret_key_ref: SecretKeySelector | None = None


class EnvVar(Model):
    name: str = always(str)
    value: str = ""
    value_from: EnvVarSource | None = None


class ConfigMapEnvSource(Model):
    name: str = ""
    optional: bool | None = None


class SecretEnvSource(Model):
    name: str = ""
    optional: bool | None = None


class EnvFromSource(Model):
    prefix: str = ""
    config_map_ref: ConfigMapEnvSource | None = None
    secret_ref: SecretEnvSource | None = None


class ResourceClaim(Model):
    name: str = always(str)
    request: str = ""


class ResourceRequirements(Model):
    limits: ResourceList = EMPTY
    requests: ResourceList = EMPTY
    claims: Annotated[tuple[ResourceClaim, ...], ListMap("name", patch=False)] = ()


class ContainerResizePolicy(Model):
    resource_name: str = always(str)
    restart_policy: str = always(str)


class VolumeMount(Model):
    name: str = always(str)
    read_only: bool = False
    recursive_read_only: str | None = None
    mount_path: str = always(str)
    sub_path: str = ""
    mount_propagation: str | None = None
    sub_path_expr: str = ""


class VolumeDevice(Model):
    name: str = always(str)
    device_path: str = always(str)


class Container(Model):
    name: str = always(str)
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    ports: Annotated[tuple[ContainerPort, ...], ListMap("containerPort", "protocol")] = ()
    env_from: tuple[EnvFromSource, ...] = ()
    env: Annotated[tuple[EnvVar, ...], ListMap("name")] = ()
    resources: ResourceRequirements = always(ResourceRequirements)
    resize_policy: tuple[ContainerResizePolicy, ...] = ()
    restart_policy: str | None = None
    volume_mounts: Annotated[tuple[VolumeMount, ...], ListMap("mountPath")] = ()
    volume_devices: Annotated[tuple[VolumeDevice, ...], ListMap("devicePath")] = ()
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle | None = None
    termination_message_path: str = ""
    termination_message_policy: str = ""
    image_pull_policy: str = ""
    security_context: SecurityContext | None = None
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False


class EphemeralContainer(Container):
    target_container_name: str = ""
