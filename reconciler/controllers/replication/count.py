"""How many pods there should be: Kubernetes' manageReplicas. Pure.

Called by `loop.py` for a ReplicationController that is not rolled, and by the rollout plan when
every pod is of the present template. Pods that end or are being deleted do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from reconciler.controllers.podstate import is_active
from reconciler.controllers.replication.actions import CreatePods, DeletePod, PodAction
from reconciler.controllers.replication.ranking import by_deletion_order
from reconciler.model.pod import Pod

BURST = 500
"""Most pods that one plan creates or deletes (Kubernetes' BurstReplicas)."""


def plan(replicas: int, owned: Sequence[Pod], now: datetime) -> tuple[PodAction, ...]:
    """Return what brings the number of active pods in `owned` to `replicas`."""
    active = [pod for pod in owned if is_active(pod)]
    missing = replicas - len(active)
    if missing > 0:
        return (CreatePods(min(missing, BURST)),)
    if missing == 0:
        return ()
    surplus = min(-missing, BURST)
    order = by_deletion_order(active, active, now) if surplus < len(active) else active
    return tuple(DeletePod(pod, "surplus") for pod in order[:surplus])
