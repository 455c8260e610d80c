"""Quality of service, and the engine's limits, from a pod's requests. Pure.

Kubernetes' rules: GetPodQOS, GetContainerOOMScoreAdjust, MilliCPUToShares, MilliCPUToQuota.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.kubelet.runtime import Resources
from reconciler.model.container import Container, ResourceRequirements
from reconciler.model.pod import PodSpec
from reconciler.model.quantity import to_int, to_milli

CPU_PERIOD = 100_000
_MIN_SHARES, _MAX_SHARES, _SHARES_PER_CPU = 2, 262_144, 1024
_MIN_QUOTA = 1000
_MEASURED = ("cpu", "memory")


def qos_class(spec: PodSpec) -> str:
    """Return Guaranteed, Burstable or BestEffort."""
    containers = (*spec.init_containers, *spec.containers)
    requests = [_nonzero(container.resources.requests) for container in containers]
    limits = [_nonzero(container.resources.limits) for container in containers]
    if not any(requests) and not any(limits):
        return "BestEffort"
    pairs = zip(requests, limits, strict=True)
    if all(set(limit) == set(_MEASURED) and request == limit for request, limit in pairs):
        return "Guaranteed"
    return "Burstable"


def _nonzero(amounts: Mapping[str, str]) -> dict[str, int]:
    return {name: to_milli(amounts[name]) for name in _MEASURED if to_milli(amounts.get(name, "0"))}


def engine_resources(requirements: ResourceRequirements) -> Resources:
    """Return limits in the engine's units; a CPU limit stands for a missing CPU request."""
    limit = to_milli(requirements.limits.get("cpu", "0"))
    request = to_milli(requirements.requests["cpu"]) if "cpu" in requirements.requests else limit
    return Resources(
        memory=to_int(requirements.limits.get("memory", "0")),
        cpu_shares=min(max(request * _SHARES_PER_CPU // 1000, _MIN_SHARES), _MAX_SHARES),
        cpu_quota=max(limit * CPU_PERIOD // 1000, _MIN_QUOTA) if limit else 0,
        cpu_period=CPU_PERIOD if limit else 0,
    )


def oom_score_adj(spec: PodSpec, container: Container, memory: int) -> int:
    """Return the kernel's adjustment on a node of `memory` bytes: -997 to 1000."""
    quality = qos_class(spec)
    if quality == "Guaranteed":
        return -997
    if quality == "BestEffort" or not memory:
        return 1000
    asked = to_int(container.resources.requests.get("memory", "0"))
    return min(max(1000 - 1000 * asked // memory, 3), 999)
