"""Services and the endpoints behind them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from reconciler.model.base import EMPTY, Atomic, ListMap, Model, always
from reconciler.model.meta import Condition, KubeObject
from reconciler.model.reference import ObjectReference
from reconciler.model.scalar import Int32, IntOrString


class ServicePort(Model):
    name: str = ""
    protocol: str = ""
    app_protocol: str | None = None
    port: Int32 = always(int)
    target_port: IntOrString = always(int)
    node_port: Int32 = 0


class ClientIPConfig(Model):
    timeout_seconds: Int32 | None = None


class SessionAffinityConfig(Model):
    client_ip: ClientIPConfig | None = None


class ServiceSpec(Model):
    ports: Annotated[tuple[ServicePort, ...], ListMap("port", "protocol")] = ()
    selector: Annotated[dict[str, str], Atomic()] = EMPTY
    cluster_ip: str = ""
    cluster_ips: tuple[str, ...] = ()
    type: str = ""
    external_ips: tuple[str, ...] = ()
    session_affinity: str = ""
    load_balancer_ip: str = ""
    load_balancer_source_ranges: tuple[str, ...] = ()
    external_name: str = ""
    external_traffic_policy: str = ""
    health_check_node_port: Int32 = 0
    publish_not_ready_addresses: bool = False
    session_affinity_config: SessionAffinityConfig | None = None
    ip_families: tuple[str, ...] = ()
    ip_family_policy: str | None = None
    allocate_load_balancer_node_ports: bool | None = None
    load_balancer_class: str | None = None
    internal_traffic_policy: str | None = None
    traffic_distribution: str | None = None

    @property
    def is_called_from_outside(self) -> bool:
        """Whether an external traffic policy has a meaning (Kubernetes' ExternallyAccessible)."""
        if self.type in ("NodePort", "LoadBalancer"):
            return True
        return self.type in ("", "ClusterIP") and bool(self.external_ips)


class PortStatus(Model):
    port: Int32 = always(int)
    protocol: str = always(str)
    error: str | None = None


class LoadBalancerIngress(Model):
    ip: str = ""
    hostname: str = ""
    ip_mode: str | None = None
    ports: tuple[PortStatus, ...] = ()


class LoadBalancerStatus(Model):
    ingress: tuple[LoadBalancerIngress, ...] = ()


class ServiceStatus(Model):
    load_balancer: LoadBalancerStatus = always(LoadBalancerStatus)
    conditions: Annotated[tuple[Condition, ...], ListMap("type")] = ()


class Service(KubeObject):
    api_version: Literal["v1"] = always(lambda: "v1")
    kind: Literal["Service"] = always(lambda: "Service")
    spec: ServiceSpec = always(ServiceSpec)
    status: ServiceStatus = always(ServiceStatus)


class EndpointAddress(Model):
    atomic: ClassVar[bool] = True
    ip: str = always(str)
    hostname: str = ""
    node_name: str | None = None
    target_ref: ObjectReference | None = None


class EndpointPort(Model):
    atomic: ClassVar[bool] = True
    name: str = ""
    port: Int32 = always(int)
    protocol: str = ""
    app_protocol: str | None = None


class EndpointSubset(Model):
    addresses: tuple[EndpointAddress, ...] = ()
    not_ready_addresses: tuple[EndpointAddress, ...] = ()
    ports: tuple[EndpointPort, ...] = ()


class Endpoints(KubeObject):
    api_version: Literal["v1"] = always(lambda: "v1")
    kind: Literal["Endpoints"] = always(lambda: "Endpoints")
    subsets: tuple[EndpointSubset, ...] = ()
