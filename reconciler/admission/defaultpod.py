"""Defaults of pods, their templates and containers. Called by `defaults` only. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from reconciler.admission.alike import ALIKE
from reconciler.admission.defaultvolume import default_field_ref, default_volume
from reconciler.model.base import Model
from reconciler.model.container import Container, ContainerPort, EnvVar
from reconciler.model.pod import Pod, PodSpec
from reconciler.model.probe import HTTPGetAction, Lifecycle, LifecycleHandler, Probe
from reconciler.model.security import PodSecurityContext
from reconciler.model.service import EndpointPort

C = TypeVar("C", bound=Container)
P = TypeVar("P", ContainerPort, EndpointPort)
M = TypeVar("M", bound=Model)

GRACE_SECONDS = 30
_REFERENCE = re.compile(
    r"(?:[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?P<digest>@.+)?"
)
_NO_SECURITY = PodSecurityContext()


def _each(items: tuple[M, ...], rule: Callable[[M], M]) -> tuple[M, ...]:
    """Apply `rule` to every item; the same tuple when it changes none."""
    if not items:
        return items
    new = tuple([rule(item) for item in items])
    for one, other in zip(new, items, strict=True):
        if one is not other:
            return new
    return items


def default_pod(pod: Pod) -> Pod:
    """SetDefaults_Pod: what pods get beyond what their templates get."""
    spec = default_pod_spec(pod.spec)
    changes: dict[str, Any] = {}
    if spec.enable_service_links is None:
        changes["enable_service_links"] = True
    for name in ("containers", "init_containers"):
        old = changes.get(name, getattr(spec, name))
        new = _each(old, _requests_from_limits)
        if spec.host_network:
            new = _each(new, _host_ports)
        if new is not old:
            changes[name] = new
    if changes:
        spec = spec.replace(**changes)
    return pod if spec is pod.spec else pod.replace(spec=spec)


def _requests_from_limits(container: Container) -> Container:
    """A limit without a request is also the request."""
    limits, requests = container.resources.limits, container.resources.requests
    if not limits or limits.keys() <= requests.keys():
        return container
    return container.replace(resources=container.resources.replace(requests={**limits, **requests}))


def _host_ports(container: Container) -> Container:
    ports = _each(container.ports, _host_port)
    return container if ports is container.ports else container.replace(ports=ports)


def _host_port(port: ContainerPort) -> ContainerPort:
    return port if port.host_port else port.replace(host_port=port.container_port)


def default_pod_spec(spec: PodSpec) -> PodSpec:
    """SetDefaults_PodSpec and the defaults of all that it holds."""
    known = ALIKE.of(spec)
    if known is None:
        return _with_defaults(spec)
    if known.defaulted is None:
        ALIKE.defaulted(known, _with_defaults(known.decoded))
    return known.defaulted or spec


def _with_defaults(spec: PodSpec) -> PodSpec:
    changes: dict[str, Any] = {}
    if not spec.dns_policy:
        changes["dns_policy"] = "ClusterFirst"
    if not spec.restart_policy:
        changes["restart_policy"] = "Always"
    if not spec.scheduler_name:
        changes["scheduler_name"] = "default-scheduler"
    if spec.security_context is None:
        changes["security_context"] = _NO_SECURITY
    if spec.termination_grace_period_seconds is None:
        changes["termination_grace_period_seconds"] = GRACE_SECONDS
    account = spec.service_account_name or spec.service_account
    if account and spec.service_account != spec.service_account_name:
        # The older field follows the newer one, as the v1 conversion does.
        changes |= {"service_account": account, "service_account_name": account}
    _into(changes, spec, "containers", default_container)
    _into(changes, spec, "init_containers", default_container)
    _into(changes, spec, "ephemeral_containers", default_container)
    _into(changes, spec, "volumes", default_volume)
    return spec.replace(**changes) if changes else spec


def _into(changes: dict[str, Any], holder: Model, name: str, rule: Callable[[Any], Any]) -> None:
    old = getattr(holder, name)
    new = _each(old, rule)
    if new is not old:
        changes[name] = new


def default_container(container: C) -> C:
    """SetDefaults_Container and the defaults of its ports, environment, probes and hooks."""
    changes: dict[str, Any] = {}
    if not container.image_pull_policy:
        changes["image_pull_policy"] = default_pull_policy(container.image)
    if not container.termination_message_path:
        changes["termination_message_path"] = "/dev/termination-log"
    if not container.termination_message_policy:
        changes["termination_message_policy"] = "File"
    _into(changes, container, "ports", container_port_protocol)
    _into(changes, container, "env", _env)
    for name in ("liveness_probe", "readiness_probe", "startup_probe"):
        old: Probe | None = getattr(container, name)
        if old is not None:
            new = default_probe(old)
            if new is not old:
                changes[name] = new
    if container.lifecycle is not None:
        lifecycle = _lifecycle(container.lifecycle)
        if lifecycle is not container.lifecycle:
            changes["lifecycle"] = lifecycle
    return container.replace(**changes) if changes else container


@lru_cache(maxsize=1024)
def default_pull_policy(image: str) -> str:
    """Return Always for the tag `latest`, given or implied, else IfNotPresent.

    What is no image reference has no tag, not even an implied one.
    """
    reference = _REFERENCE.fullmatch(image)
    if reference is None or reference["digest"]:
        return "IfNotPresent"
    return "Always" if reference["tag"] in (None, "latest") else "IfNotPresent"


def container_port_protocol(port: P) -> P:
    """SetDefaults of a port's protocol."""
    return port if port.protocol else port.replace(protocol="TCP")


def _env(env: EnvVar) -> EnvVar:
    source = env.value_from
    if source is None or source.field_ref is None or source.field_ref.api_version:
        return env
    return env.replace(value_from=source.replace(field_ref=default_field_ref(source.field_ref)))


_PROBE = {
    "timeout_seconds": 1, "period_seconds": 10, "success_threshold": 1, "failure_threshold": 3,
}  # fmt: skip


def default_probe(probe: Probe) -> Probe:
    """SetDefaults_Probe and those of its handler."""
    changes: dict[str, Any] = {k: v for k, v in _PROBE.items() if not getattr(probe, k)}
    if probe.http_get is not None and not (probe.http_get.path and probe.http_get.scheme):
        changes["http_get"] = _http_get(probe.http_get)
    if probe.grpc is not None and probe.grpc.service is None:
        changes["grpc"] = probe.grpc.replace(service="")
    return probe.replace(**changes) if changes else probe


def _http_get(action: HTTPGetAction) -> HTTPGetAction:
    if action.path and action.scheme:
        return action
    return action.replace(path=action.path or "/", scheme=action.scheme or "HTTP")


def _lifecycle(lifecycle: Lifecycle) -> Lifecycle:
    post_start, pre_stop = _handler(lifecycle.post_start), _handler(lifecycle.pre_stop)
    if post_start is lifecycle.post_start and pre_stop is lifecycle.pre_stop:
        return lifecycle
    return lifecycle.replace(post_start=post_start, pre_stop=pre_stop)


def _handler(handler: LifecycleHandler | None) -> LifecycleHandler | None:
    if handler is None or handler.http_get is None:
        return handler
    action = _http_get(handler.http_get)
    return handler if action is handler.http_get else handler.replace(http_get=action)
