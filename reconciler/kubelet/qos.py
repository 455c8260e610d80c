"""The engine's limits, and the kernel's OOM score, from a pod's requests. Pure.

Kubernetes' rules: GetContainerOOMScoreAdjust, MilliCPUToShares, MilliCPUToQuota.
"""

from __future__ import annotations

from reconciler.kubelet.runtime import Resources
from reconciler.model.container import Container, ResourceRequirements
from reconciler.model.pod import PodSpec
from reconciler.model.qos import qos_class
from reconciler.model.quantity import to_int, to_milli

CPU_PERIOD = 100_000
_MIN_SHARES, _MAX_SHARES, _SHARES_PER_CPU = 2, 262_144, 1024
_MIN_QUOTA = 1000
_NODE_CRITICAL = "system-node-critical"


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
    if quality == "Guaranteed" or spec.priority_class_name == _NODE_CRITICAL:
        return -997
    if quality == "BestEffort" or not memory:
        return 1000
    asked = to_int(container.resources.requests.get("memory", "0"))
    return min(max(1000 - 1000 * asked // memory, 3), 999)
