"""Pods, their templates and their bindings. The status is in `podstatus.py`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from reconciler.model.base import EMPTY, Atomic, ListMap, Model, always
from reconciler.model.container import Container, EphemeralContainer
from reconciler.model.meta import KubeObject, ObjectMeta
from reconciler.model.podstatus import PodStatus
from reconciler.model.reference import LocalObjectReference, ObjectReference
from reconciler.model.scalar import Int32, Int64, ResourceList
from reconciler.model.scheduling import (
    Affinity,
    PodSchedulingGate,
    Toleration,
    TopologySpreadConstraint,
)
from reconciler.model.security import PodSecurityContext
from reconciler.model.volume import Volume


class HostAlias(Model):
    ip: str = always(str)
    hostnames: tuple[str, ...] = ()


class PodDNSConfigOption(Model):
    name: str = ""
    value: str | None = None


class PodDNSConfig(Model):
    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[PodDNSConfigOption, ...] = ()


class PodReadinessGate(Model):
    condition_type: str = always(str)


class PodOS(Model):
    name: str = always(str)


class PodResourceClaim(Model):
    name: str = always(str)
    resource_claim_name: str | None = None
    resource_claim_template_name: str | None = None


class PodSpec(Model):
    often_alike: ClassVar[bool] = True
    volumes: Annotated[tuple[Volume, ...], ListMap("name", retain_keys=True)] = ()
    init_containers: Annotated[tuple[Container, ...], ListMap("name")] = ()
    containers: Annotated[tuple[Container, ...], ListMap("name")] = always(tuple)
    ephemeral_containers: Annotated[tuple[EphemeralContainer, ...], ListMap("name")] = ()
    restart_policy: str = ""
    termination_grace_period_seconds: Int64 | None = None
    active_deadline_seconds: Int64 | None = None
    dns_policy: str = ""
    node_selector: Annotated[dict[str, str], Atomic()] = EMPTY
    service_account_name: str = ""
    service_account: str = ""
    automount_service_account_token: bool | None = None
    node_name: str = ""
    host_network: bool = False
    host_pid: bool = False
    host_ipc: bool = False
    share_process_namespace: bool | None = None
    security_context: PodSecurityContext | None = None
    image_pull_secrets: Annotated[tuple[LocalObjectReference, ...], ListMap("name")] = ()
    hostname: str = ""
    subdomain: str = ""
    affinity: Affinity | None = None
    scheduler_name: str = ""
    tolerations: tuple[Toleration, ...] = ()
    host_aliases: Annotated[tuple[HostAlias, ...], ListMap("ip")] = ()
    priority_class_name: str = ""
    priority: Int32 | None = None
    dns_config: PodDNSConfig | None = None
    readiness_gates: tuple[PodReadinessGate, ...] = ()
    runtime_class_name: str | None = None
    enable_service_links: bool | None = None
    preemption_policy: str | None = None
    overhead: ResourceList = EMPTY
    topology_spread_constraints: Annotated[
        tuple[TopologySpreadConstraint, ...], ListMap("topologyKey", "whenUnsatisfiable")
    ] = ()
    set_hostname_as_fqdn: bool | None = None
    os: PodOS | None = None
    host_users: bool | None = None
    scheduling_gates: Annotated[tuple[PodSchedulingGate, ...], ListMap("name")] = ()
    resource_claims: Annotated[tuple[PodResourceClaim, ...], ListMap("name", retain_keys=True)] = ()


class Pod(KubeObject):
    api_version: Literal["v1"] = always(lambda: "v1")
    kind: Literal["Pod"] = always(lambda: "Pod")
    spec: PodSpec = always(PodSpec)
    status: PodStatus = always(PodStatus)


class PodTemplateSpec(Model):
    metadata: ObjectMeta = always(ObjectMeta)
    spec: PodSpec = always(PodSpec)


class PodTemplate(KubeObject):
    api_version: Literal["v1"] = always(lambda: "v1")
    kind: Literal["PodTemplate"] = always(lambda: "PodTemplate")
    template: PodTemplateSpec = always(PodTemplateSpec)


class Binding(KubeObject):
    api_version: Literal["v1"] = always(lambda: "v1")
    kind: Literal["Binding"] = always(lambda: "Binding")
    target: ObjectReference = always(ObjectReference)
