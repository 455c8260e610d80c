"""Rules of probes and lifecycle hooks."""

from __future__ import annotations

from reconciler.admission.errors import Errors, forbidden, invalid, not_supported, required
from reconciler.admission.rules import names
from reconciler.model.container import Container
from reconciler.model.probe import HTTPGetAction, LifecycleHandler, Probe

NOT_NEGATIVE = "must be greater than or equal to 0"
_SECOND_HANDLER = "may not specify more than 1 handler type"
_COUNTS = (
    ("initialDelaySeconds", "initial_delay_seconds"), ("timeoutSeconds", "timeout_seconds"),
    ("periodSeconds", "period_seconds"), ("successThreshold", "success_threshold"),
    ("failureThreshold", "failure_threshold"),
)  # fmt: skip


def hooks_and_probes(container: Container, grace: int, path: str) -> Errors:
    """Validate the hooks and probes of a container that may have them."""
    if container.lifecycle is not None:
        if container.lifecycle.post_start is not None:
            where = f"{path}.lifecycle.postStart"
            yield from handler(container.lifecycle.post_start, grace, where)
        if container.lifecycle.pre_stop is not None:
            yield from handler(container.lifecycle.pre_stop, grace, f"{path}.lifecycle.preStop")
    if container.liveness_probe is not None:
        yield from probe(container.liveness_probe, grace, f"{path}.livenessProbe")
        yield from _one_success(container.liveness_probe, f"{path}.livenessProbe")
    if container.readiness_probe is not None:
        yield from _readiness(container.readiness_probe, grace, f"{path}.readinessProbe")
    if container.startup_probe is not None:
        yield from probe(container.startup_probe, grace, f"{path}.startupProbe")
        yield from _one_success(container.startup_probe, f"{path}.startupProbe")


def _one_success(held: Probe, path: str) -> Errors:
    if held.success_threshold != 1:
        yield invalid(f"{path}.successThreshold", held.success_threshold, "must be 1")


def _readiness(held: Probe, grace: int, path: str) -> Errors:
    yield from probe(held, grace, path)
    if held.termination_grace_period_seconds is not None:
        yield invalid(
            f"{path}.terminationGracePeriodSeconds",
            held.termination_grace_period_seconds,
            "must not be set for readinessProbes",
        )


def probe(held: Probe, grace: int, path: str) -> Errors:
    """ValidateProbe: one handler, no negative number."""
    yield from handler(held, grace, path)
    for field, attribute in _COUNTS:
        value = getattr(held, attribute)
        if value < 0:
            yield invalid(f"{path}.{field}", value, NOT_NEGATIVE)
    seconds = held.termination_grace_period_seconds
    if seconds is not None and seconds <= 0:
        yield invalid(f"{path}.terminationGracePeriodSeconds", seconds, "must be greater than 0")


def handler(held: Probe | LifecycleHandler, grace: int, path: str) -> Errors:
    """ValidateHandler: exactly one way to ask or to act."""
    count = 0
    for field, rule in _HANDLERS:
        action = getattr(held, field, None)
        if action is None:
            continue
        where = f"{path}.{_JSON[field]}"
        count += 1
        if count > 1:
            yield forbidden(where, _SECOND_HANDLER)
        else:
            yield from rule(action, grace, where)
    if not count:
        yield required(path, "must specify a handler type")


def _exec(action: object, _grace: int, path: str) -> Errors:
    if not getattr(action, "command", ()):
        yield required(f"{path}.command")


def _http_get(action: HTTPGetAction, _grace: int, path: str) -> Errors:
    if not action.path:
        yield required(f"{path}.path")
    yield from port_number_or_name(action.port, f"{path}.port")
    if action.scheme not in ("HTTP", "HTTPS"):
        yield not_supported(f"{path}.scheme", action.scheme, ("HTTP", "HTTPS"))
    for header in action.http_headers:
        messages = names.header_name(header.name)
        yield from names.each(f"{path}.httpHeaders", header.name, messages)


def _port(action: object, _grace: int, path: str) -> Errors:
    yield from port_number_or_name(getattr(action, "port", 0), f"{path}.port")


def _sleep(action: object, grace: int, path: str) -> Errors:
    seconds = getattr(action, "seconds", 0)
    if not 0 < seconds <= grace:
        text = f"must be greater than 0 and less than terminationGracePeriodSeconds ({grace})"
        yield invalid(path, seconds, text)


def port_number_or_name(port: int | str, path: str) -> Errors:
    """ValidatePortNumOrName."""
    messages = names.port_number(port) if isinstance(port, int) else names.port_name(port)
    return names.each(path, port, messages)


_HANDLERS = (
    ("exec", _exec), ("http_get", _http_get), ("tcp_socket", _port), ("grpc", _port),
    ("sleep", _sleep),
)  # fmt: skip
_JSON = {
    "exec": "exec", "http_get": "httpGet", "tcp_socket": "tcpSocket", "grpc": "grpc",
    "sleep": "sleep",
}  # fmt: skip
