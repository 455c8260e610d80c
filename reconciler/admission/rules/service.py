"""Rules of Services. Addresses and ports that must be free are the registry's business."""

from __future__ import annotations

from reconciler.admission.errors import (
    Errors,
    GoValue,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from reconciler.admission.rules import names
from reconciler.admission.rules.addresses import cluster_ips, external_ip
from reconciler.admission.rules.container import protocol
from reconciler.admission.rules.meta import labels, validate_meta
from reconciler.admission.rules.probe import port_number_or_name
from reconciler.model.service import Service, ServicePort, ServiceSpec

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
AFFINITIES = ("ClientIP", "None")
POLICIES = ("Cluster", "Local")
AFFINITY_SECONDS_MAX = 86400
KUBELET_PORT = 10250
_LOAD_BALANCER_ONLY = "may only be used when `type` is 'LoadBalancer'"


def service(obj: Service) -> Errors:
    """ValidateServiceCreate."""
    yield from validate_meta(obj, names.dns_1035_label)
    spec = obj.spec
    headless = spec.cluster_ip == "None"
    if not spec.ports and not headless and spec.type != "ExternalName":
        yield required("spec.ports")
    yield from _type_fields(spec, headless)
    seen: set[str] = set()
    for index, port in enumerate(spec.ports):
        yield from _port(port, len(spec.ports) > 1, seen, f"spec.ports[{index}]")
    if spec.selector:
        yield from labels(spec.selector, "spec.selector")
    yield from _affinity(spec)
    yield from cluster_ips(spec)
    for index, address in enumerate(spec.external_ips):
        yield from external_ip(address, f"spec.externalIPs[{index}]")
    yield from _type(spec)
    yield from _ports_once(spec)
    yield from _load_balancer_fields(spec)
    yield from _traffic_policies(spec)


def _type_fields(spec: ServiceSpec, headless: bool) -> Errors:
    match spec.type:
        case "LoadBalancer" | "NodePort":
            if spec.type == "LoadBalancer":
                yield from _kubelet_port(spec)
            if headless:
                text = f"may not be set to 'None' for {spec.type} services"
                yield invalid("spec.clusterIPs[0]", "None", text)
        case "ExternalName":
            yield from _external_name(spec)


def _kubelet_port(spec: ServiceSpec) -> Errors:
    for index, port in enumerate(spec.ports):
        if port.port == KUBELET_PORT:
            text = "may not expose port 10250 externally since it is used by kubelet"
            yield invalid(f"spec.ports[{index}].port", port.port, text)


def _external_name(spec: ServiceSpec) -> Errors:
    for field, held in (
        ("clusterIPs", spec.cluster_ips or spec.cluster_ip),
        ("ipFamilies", spec.ip_families),
        ("ipFamilyPolicy", spec.ip_family_policy is not None),
    ):
        if held:
            yield forbidden(f"spec.{field}", "may not be set for ExternalName services")
    name = spec.external_name.removesuffix(".")
    if not name:
        yield required("spec.externalName")
    else:
        yield from names.each("spec.externalName", name, names.dns_subdomain(name))


def _port(port: ServicePort, named: bool, seen: set[str], path: str) -> Errors:
    if named and not port.name:
        yield required(f"{path}.name")
    elif port.name:
        yield from names.each(f"{path}.name", port.name, names.dns_label(port.name))
        if port.name in seen:
            yield duplicate(f"{path}.name", port.name)
        seen.add(port.name)
    yield from names.each(f"{path}.port", port.port, names.port_number(port.port))
    yield from protocol(port.protocol, f"{path}.protocol")
    yield from port_number_or_name(port.target_port, f"{path}.targetPort")
    if port.app_protocol is not None:
        messages = names.qualified_name(port.app_protocol)
        yield from names.each(f"{path}.appProtocol", port.app_protocol, messages)


def _affinity(spec: ServiceSpec) -> Errors:
    config = spec.session_affinity_config
    if not spec.session_affinity:
        yield required("spec.sessionAffinity")
    elif spec.session_affinity not in AFFINITIES:
        yield not_supported("spec.sessionAffinity", spec.session_affinity, AFFINITIES)
    if spec.session_affinity == "ClientIP":
        seconds = config.client_ip.timeout_seconds if config and config.client_ip else None
        path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
        if seconds is None:
            yield required(path)
        elif not 0 < seconds <= AFFINITY_SECONDS_MAX:
            text = f"must be greater than 0 and less than {AFFINITY_SECONDS_MAX}"
            yield invalid(path, seconds, text)
    elif spec.session_affinity == "None" and config is not None:
        text = "must not be set when session affinity is None"
        yield forbidden("spec.sessionAffinityConfig", text)


def _type(spec: ServiceSpec) -> Errors:
    if spec.type not in TYPES:
        yield not_supported("spec.type", spec.type, TYPES) if spec.type else required("spec.type")
    if spec.type == "ClusterIP":
        for index, port in enumerate(spec.ports):
            if port.node_port:
                text = "may not be used when `type` is 'ClusterIP'"
                yield forbidden(f"spec.ports[{index}].nodePort", text)


def _ports_once(spec: ServiceSpec) -> Errors:
    """A node port, and a port, stands once for each protocol."""
    node_ports: set[tuple[str, int]] = set()
    if spec.type in ("NodePort", "LoadBalancer"):
        for index, port in enumerate(spec.ports):
            key = (port.protocol, port.node_port)
            if port.node_port and key in node_ports:
                yield duplicate(f"spec.ports[{index}].nodePort", port.node_port)
            node_ports.add(key)
    ports: set[tuple[str, int]] = set()
    for index, port in enumerate(spec.ports):
        if (port.protocol, port.port) in ports:
            shown = f'core.ServicePort{{Protocol:"{port.protocol}", Port:{port.port}}}'
            yield duplicate(f"spec.ports[{index}]", GoValue(shown))
        ports.add((port.protocol, port.port))


def _load_balancer_fields(spec: ServiceSpec) -> Errors:
    balancer = spec.type == "LoadBalancer"
    path = "spec.LoadBalancerSourceRanges"
    if spec.load_balancer_source_ranges and not balancer:
        yield forbidden(path, _LOAD_BALANCER_ONLY)
    for index, text in enumerate(spec.load_balancer_source_ranges if balancer else ()):
        yield from names.each(f"{path}[{index}]", text, names.cidr(text.strip()))
    if spec.allocate_load_balancer_node_ports is not None and not balancer:
        yield forbidden("spec.allocateLoadBalancerNodePorts", _LOAD_BALANCER_ONLY)
    if spec.load_balancer_class is not None:
        if not balancer:
            yield forbidden("spec.loadBalancerClass", _LOAD_BALANCER_ONLY)
        else:
            messages = names.qualified_name(spec.load_balancer_class)
            yield from names.each("spec.loadBalancerClass", spec.load_balancer_class, messages)


def _traffic_policies(spec: ServiceSpec) -> Errors:
    external = spec.external_traffic_policy
    if external and not spec.is_called_from_outside:
        text = "may only be set for externally-accessible services"
        yield invalid("spec.externalTrafficPolicy", external, text)
    elif external and external not in POLICIES:
        yield not_supported("spec.externalTrafficPolicy", external, POLICIES)
    checked = spec.type == "LoadBalancer" and external == "Local"
    if spec.health_check_node_port and not checked:
        text = (
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        )
        yield invalid("spec.healthCheckNodePort", spec.health_check_node_port, text)
    internal = spec.internal_traffic_policy
    if internal is not None and internal not in POLICIES:
        yield not_supported("spec.internalTrafficPolicy", internal, POLICIES)
    if spec.traffic_distribution not in (None, "PreferClose"):
        path, supported = "spec.trafficDistribution", ("PreferClose",)
        yield not_supported(path, spec.traffic_distribution, supported)
