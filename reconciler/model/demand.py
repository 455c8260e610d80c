"""What a pod asks of a node: resources and host ports. Pure.

Called by the scheduler and by the kubelet that a pod names. CPU is counted in thousandths,
everything else in whole units (bytes, devices).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.model import quantity
from reconciler.model.container import Container
from reconciler.model.pod import Pod

CPU, MEMORY = "cpu", "memory"

# What a container without a request counts for in scores (DefaultMilliCPURequest and
# DefaultMemoryRequest), so that many such pods still spread.
_SCORED_CPU = 100
_SCORED_MEMORY = 200 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class HostPort:
    """A port of the node that a container binds; `ip` "0.0.0.0" means every address."""

    ip: str
    protocol: str
    port: int


@dataclass(frozen=True, slots=True)
class Demand:
    """A pod's effective requests, what it counts for in scores, and its host ports."""

    resources: Mapping[str, int]
    scored_cpu: int
    scored_memory: int
    host_ports: frozenset[HostPort]


def demand_of(pod: Pod) -> Demand:
    """Return the pod's demand, as Kubernetes' PodRequests computes it.

    Containers add up; an init container counts only where it asks for more than all of them; a
    restartable one (a sidecar) adds to the containers and to the init containers after it.
    """
    resources = _requests(pod)
    return Demand(
        resources=resources,
        scored_cpu=max(_scored(pod, CPU, _SCORED_CPU), resources.get(CPU, 0)),
        scored_memory=max(_scored(pod, MEMORY, _SCORED_MEMORY), resources.get(MEMORY, 0)),
        host_ports=frozenset(_host_ports(pod.spec.containers)),
    )


def amounts(resources: Mapping[str, str]) -> dict[str, int]:
    """Return quantities as numbers: CPU in thousandths, the rest in whole units."""
    return {
        name: quantity.to_milli(text) if name == CPU else quantity.to_int(text)
        for name, text in resources.items()
    }


def _requests(pod: Pod) -> dict[str, int]:
    total: dict[str, int] = {}
    for container in pod.spec.containers:
        _add(total, _asked(container))
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in pod.spec.init_containers:
        asked = _asked(container)
        if container.restart_policy == "Always":
            _add(total, asked)
            _add(sidecars, asked)
            asked = sidecars
        else:
            asked = {name: amount + sidecars.get(name, 0) for name, amount in asked.items()}
        for name, amount in asked.items():
            peak[name] = max(peak.get(name, 0), amount)
    for name, amount in peak.items():
        total[name] = max(total.get(name, 0), amount)
    _add(total, amounts(pod.spec.overhead))
    return total


def _asked(container: Container) -> dict[str, int]:
    return amounts(container.resources.requests)


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


def _scored(pod: Pod, name: str, default: int) -> int:
    return sum(_asked(container).get(name, default) for container in pod.spec.containers)


def _host_ports(containers: Iterable[Container]) -> Iterable[HostPort]:
    for container in containers:
        for port in container.ports:
            if port.host_port:
                yield HostPort(port.host_ip or "0.0.0.0", port.protocol or "TCP", port.host_port)  # noqa: S104 - Kubernetes' word for every address


def ports_clash(wanted: Iterable[HostPort], taken: Iterable[HostPort]) -> bool:
    """Say whether one of `wanted` is taken: same port and protocol, and addresses that overlap."""
    by_port: dict[tuple[str, int], set[str]] = {}
    for port in taken:
        by_port.setdefault((port.protocol, port.port), set()).add(port.ip)
    return any(
        (held := by_port.get((port.protocol, port.port)))
        and (port.ip == "0.0.0.0" or port.ip in held or "0.0.0.0" in held)  # noqa: S104 - as above
        for port in wanted
    )
