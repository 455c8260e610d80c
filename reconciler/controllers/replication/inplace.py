"""Giving pods a new template as they are, a few at a time, when their controller asks for it. Pure.

Called by `loop.py` instead of the rollout plan. Its promises: no pod is made or deleted for a
template whose shape is that of the pods; never fewer available than `replicas - unavailable` by
its doing, but one pod may always be updated; a rollout that stopped updates no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from reconciler.controllers.podstate import is_available
from reconciler.controllers.replication import count
from reconciler.controllers.replication.actions import PodAction, UpdatePod
from reconciler.controllers.replication.policy import RolloutPolicy
from reconciler.controllers.replication.ranking import by_deletion_order
from reconciler.controllers.replication.rollout import Generations
from reconciler.model.inplace import SHAPE
from reconciler.model.pod import Pod


def applies(pods: Generations, shape: str) -> bool:
    """Return whether every pod of an old template can take over one of this shape."""
    return bool(pods.old) and all(_fits(pod, shape) for pod in pods.old)


def plan(
    replicas: int, pods: Generations, policy: RolloutPolicy, now: datetime, *, stopped: bool
) -> tuple[PodAction, ...]:
    """Return the next updates, and what brings the number of pods to `replicas`."""
    active = (*pods.new, *pods.old)
    if len(active) != replicas:
        return count.plan(replicas, (*pods.old, *pods.new), now)
    if stopped:
        return ()
    return tuple(UpdatePod(pod) for pod in _next(replicas, pods, policy, now))


def _next(replicas: int, pods: Generations, policy: RolloutPolicy, now: datetime) -> Sequence[Pod]:
    """Choose old pods: those that serve nobody first, then as many as may be missing."""
    seconds = policy.min_ready_seconds
    serving = [pod for pod in pods.old if is_available(pod, seconds, now)]
    broken = [pod for pod in pods.old if not is_available(pod, seconds, now)]
    available = len(serving) + sum(is_available(pod, seconds, now) for pod in pods.new)
    least = max(replicas - max(policy.unavailable, 1), 0)
    order = by_deletion_order(serving, (*pods.new, *pods.old), now)
    return [*broken, *order[: max(available - least, 0)]]


def _fits(pod: Pod, shape: str) -> bool:
    return pod.metadata.annotations.get(SHAPE) == shape
