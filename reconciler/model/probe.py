"""Probes and lifecycle hooks of a container."""

from __future__ import annotations

from reconciler.model.base import Model, always
from reconciler.model.scalar import Int32, Int64, IntOrString


class ExecAction(Model):
    command: tuple[str, ...] = ()


class HTTPHeader(Model):
    name: str = always(str)
    value: str = always(str)


class HTTPGetAction(Model):
    path: str = ""
    port: IntOrString = always(int)
    host: str = ""
    scheme: str = ""
    http_headers: tuple[HTTPHeader, ...] = ()


class TCPSocketAction(Model):
    port: IntOrString = always(int)
    host: str = ""


class GRPCAction(Model):
    port: Int32 = always(int)
    service: str | None = always(lambda: None)


class SleepAction(Model):
    seconds: Int64 = always(int)


class Probe(Model):
    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    grpc: GRPCAction | None = None
    initial_delay_seconds: Int32 = 0
    timeout_seconds: Int32 = 0
    period_seconds: Int32 = 0
    success_threshold: Int32 = 0
    failure_threshold: Int32 = 0
    termination_grace_period_seconds: Int64 | None = None


class LifecycleHandler(Model):
    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    sleep: SleepAction | None = None


class Lifecycle(Model):
    post_start: LifecycleHandler | None = None
    pre_stop: LifecycleHandler | None = None
