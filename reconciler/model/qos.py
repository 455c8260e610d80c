"""The quality of service of a pod: how it fares when its node runs out of something. Pure.

Called by the registry at a pod's birth and by the kubelet for the kernel's OOM killer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.model.container import Container
from reconciler.model.pod import PodSpec
from reconciler.model.quantity import to_milli

_MEASURED = ("cpu", "memory")


def qos_class(spec: PodSpec) -> str:
    """Return Guaranteed, Burstable or BestEffort (Kubernetes' ComputePodQOS).

    Amounts count by their value, however they are written, and add up over the containers.
    """
    containers = (*spec.init_containers, *spec.containers)
    requests = _sum(container.resources.requests for container in containers)
    limits = _sum(container.resources.limits for container in containers)
    if not requests and not limits:
        return "BestEffort"
    if requests == limits and all(map(_limited, containers)):
        return "Guaranteed"
    return "Burstable"


def _sum(maps: Iterable[Mapping[str, str]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for amounts in maps:
        for name in _MEASURED:
            amount = to_milli(amounts.get(name, "0"))
            if amount > 0:
                total[name] = total.get(name, 0) + amount
    return total


def _limited(container: Container) -> bool:
    return all(to_milli(container.resources.limits.get(name, "0")) > 0 for name in _MEASURED)
