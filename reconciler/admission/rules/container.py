"""Rules of containers. Environment, resources, probes, mounts and security have their own."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.admission.errors import (
    Errors,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from reconciler.admission.rules import names
from reconciler.admission.rules.env import env, env_from
from reconciler.admission.rules.mounts import volume_devices, volume_mounts
from reconciler.admission.rules.probe import hooks_and_probes
from reconciler.admission.rules.resources import requirements
from reconciler.admission.rules.security import container_security, unmasked
from reconciler.model.container import Container, ContainerPort
from reconciler.model.pod import PodSpec
from reconciler.model.volume import Volume

PROTOCOLS = ("SCTP", "TCP", "UDP")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_SIDECARS_ONLY = "may not be set for init containers without restartPolicy=Always"

Volumes = dict[str, Volume]


def containers(spec: PodSpec, volumes: Volumes, path: str) -> Errors:
    """ValidateContainers: at least one, each name once, each host port once."""
    path = f"{path}.containers"
    if not spec.containers:
        yield required(path)
        return
    grace = spec.termination_grace_period_seconds or 0
    seen: set[str] = set()
    for index, container in enumerate(spec.containers):
        where = f"{path}[{index}]"
        yield from container_common(container, volumes, where)
        yield from unmasked(container.security_context, spec, f"{where}.securityContext")
        if container.name in seen:
            yield duplicate(f"{where}.name", container.name)
        seen.add(container.name)
        yield from hooks_and_probes(container, grace, where)
        if container.restart_policy is not None:
            text = "may not be set for non-init containers"
            yield forbidden(f"{where}.restartPolicy", text)
    yield from _host_port_conflicts(
        ((f"{path}[{i}]", item) for i, item in enumerate(spec.containers))
    )


def init_containers(spec: PodSpec, volumes: Volumes, path: str) -> Errors:
    """ValidateInitContainers: those that restart (sidecars) may have probes, the others not."""
    seen = {container.name for container in spec.containers}
    grace = spec.termination_grace_period_seconds or 0
    for index, container in enumerate(spec.init_containers):
        where = f"{path}.initContainers[{index}]"
        yield from container_common(container, volumes, where)
        yield from unmasked(container.security_context, spec, f"{where}.securityContext")
        policy = container.restart_policy
        if policy is not None and policy != "Always":
            yield not_supported(f"{where}.restartPolicy", policy, ("Always",))
        if not container.name:
            continue
        if container.name in seen:
            yield duplicate(f"{where}.name", container.name)
        seen.add(container.name)
        yield from _host_port_conflicts(((where, container),))
        if policy == "Always":
            yield from hooks_and_probes(container, grace, where)
        else:
            yield from _no_sidecar_fields(container, where)


def _no_sidecar_fields(container: Container, path: str) -> Errors:
    for field, held in (
        ("lifecycle", container.lifecycle),
        ("livenessProbe", container.liveness_probe),
        ("readinessProbe", container.readiness_probe),
        ("startupProbe", container.startup_probe),
    ):
        if held is not None:
            yield forbidden(f"{path}.{field}", _SIDECARS_ONLY)


def container_common(container: Container, volumes: Volumes, path: str) -> Errors:
    """ValidateContainerCommon: what holds for every sort of container."""
    if not container.name:
        yield required(f"{path}.name")
    elif messages := names.dns_label(container.name):
        yield from names.each(f"{path}.name", container.name, messages)
    if not container.image:
        yield required(f"{path}.image")
    if container.termination_message_policy not in MESSAGE_POLICIES:
        where, policy = f"{path}.terminationMessagePolicy", container.termination_message_policy
        yield not_supported(where, policy, MESSAGE_POLICIES) if policy else required(where)
    yield from _lists(container, volumes, path)
    yield from _pull_policy(container.image_pull_policy, f"{path}.imagePullPolicy")
    yield from requirements(container.resources, f"{path}.resources")
    if container.security_context is not None:
        yield from container_security(container.security_context, f"{path}.securityContext")


def _lists(container: Container, volumes: Volumes, path: str) -> Errors:
    if container.ports:
        yield from _ports(container.ports, f"{path}.ports")
    if container.env:
        yield from env(container.env, f"{path}.env")
    if container.env_from:
        yield from env_from(container.env_from, f"{path}.envFrom")
    if container.volume_mounts:
        yield from volume_mounts(container, volumes, f"{path}.volumeMounts")
    if container.volume_devices:
        yield from volume_devices(container, volumes, f"{path}.volumeDevices")


def _pull_policy(policy: str, path: str) -> Errors:
    if not policy:
        yield required(path)
    elif policy not in PULL_POLICIES:
        yield not_supported(path, policy, PULL_POLICIES)


def _ports(ports: tuple[ContainerPort, ...], path: str) -> Errors:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        where = f"{path}[{index}]"
        if port.name:
            messages = names.port_name(port.name)
            yield from names.each(f"{where}.name", port.name, messages)
            if not messages and port.name in seen:
                yield duplicate(f"{where}.name", port.name)
            seen.add(port.name)
        if not port.container_port:
            yield required(f"{where}.containerPort")
        else:
            messages = names.port_number(port.container_port)
            yield from names.each(f"{where}.containerPort", port.container_port, messages)
        if port.host_port:
            messages = names.port_number(port.host_port)
            yield from names.each(f"{where}.hostPort", port.host_port, messages)
        yield from protocol(port.protocol, f"{where}.protocol")


def protocol(value: str, path: str) -> Errors:
    """A port's protocol is one of TCP, UDP, SCTP."""
    if value not in PROTOCOLS:
        yield not_supported(path, value, PROTOCOLS) if value else required(path)


def _host_port_conflicts(held: Iterable[tuple[str, Container]]) -> Errors:
    """AccumulateUniqueHostPorts."""
    seen: set[str] = set()
    for path, container in held:
        for index, port in enumerate(container.ports):
            if not port.host_port:
                continue
            key = f"{port.protocol}/{port.host_ip}/{port.host_port}"
            if key in seen:
                yield duplicate(f"{path}.ports[{index}].hostPort", key)
            seen.add(key)


def host_network_ports(held: tuple[Container, ...], path: str) -> Errors:
    """On the host's network a container's port is the host's."""
    for i, container in enumerate(held):
        for j, port in enumerate(container.ports):
            if port.host_port != port.container_port:
                yield invalid(
                    f"{path}[{i}].ports[{j}].hostPort",
                    port.host_port,
                    "must match `containerPort` when `hostNetwork` is true",
                )


def trimmed_images(held: tuple[Container, ...], path: str) -> Errors:
    """Pods, not templates, refuse white space around an image's name."""
    for index, container in enumerate(held):
        if container.image.strip() != container.image:
            text = "must not have leading or trailing whitespace"
            yield invalid(f"{path}[{index}].image", container.image, text)
