"""Replacing pods of an old template, a few at a time: a Deployment's rolling update. Pure.

Called by `loop.py` for controllers that a source manages. Its promises, over the pods that are
not being deleted: never more than `replicas + surge`; a deletion never leaves fewer available
than `replicas - unavailable`; where a pod holds something alone, none is made
beside one that is still leaving; a rollout that stopped makes no pod beyond `replicas`, so that
the old ones keep serving. A pod whose template is unknown counts as old: what Git says wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.controllers.podstate import is_active, is_available, is_terminal
from reconciler.controllers.replication import count
from reconciler.controllers.replication.actions import CreatePods, DeletePod, PodAction
from reconciler.controllers.replication.policy import RolloutPolicy
from reconciler.controllers.replication.ranking import by_deletion_order
from reconciler.controllers.replication.template import TEMPLATE_HASH
from reconciler.model.pod import Pod


@dataclass(frozen=True, slots=True)
class Generations:
    """The active pods of a controller by template: of the present one, and of any other.

    `leaving` are those that are being deleted and have not ended yet.
    """

    new: tuple[Pod, ...]
    old: tuple[Pod, ...]
    leaving: int = 0


def generations(owned: Sequence[Pod], digest: str) -> Generations:
    """Split the active pods in `owned` by whether they were made from template `digest`."""
    active = [pod for pod in owned if is_active(pod)]
    return Generations(
        tuple(pod for pod in active if pod.metadata.annotations.get(TEMPLATE_HASH) == digest),
        tuple(pod for pod in active if pod.metadata.annotations.get(TEMPLATE_HASH) != digest),
        sum(pod.metadata.deletion_timestamp is not None and not is_terminal(pod) for pod in owned),
    )


def plan(
    replicas: int, pods: Generations, policy: RolloutPolicy, now: datetime, *, stopped: bool
) -> tuple[PodAction, ...]:
    """Return the next steps of the rollout towards `replicas` pods of the present template.

    `stopped` says that it exceeded its progress deadline.
    """
    total = len(pods.new) + len(pods.old)
    if policy.stop_first and pods.leaving:
        room = replicas - total - pods.leaving
        if room <= 0 and total <= replicas:
            return ()
    if not pods.old:
        return count.plan(replicas, pods.new, now)
    room = replicas + (0 if stopped else policy.surge) - total
    wanted = min(replicas - len(pods.new), room, count.BURST)
    create: tuple[PodAction, ...] = (CreatePods(wanted),) if wanted > 0 else ()
    return create + _surplus_new(replicas, pods, now) + _old_to_go(replicas, pods, policy, now)


def _surplus_new(replicas: int, pods: Generations, now: datetime) -> tuple[PodAction, ...]:
    if len(pods.new) <= replicas:
        return ()
    order = by_deletion_order(pods.new, pods.new, now)
    return tuple(DeletePod(pod, "surplus") for pod in order[: len(pods.new) - replicas])


def _old_to_go(
    replicas: int, pods: Generations, policy: RolloutPolicy, now: datetime
) -> tuple[PodAction, ...]:
    """Choose old pods to delete: broken ones first, then as many as the new ones can replace.

    As in a Deployment, a broken one goes only while the others, counting the new ones as broken
    until they are available, could still make up the least number: what is not ready for a
    moment only is not given up for a template that nobody has seen work.
    """
    new = pods.new if len(pods.new) <= replicas else _kept_new(replicas, pods, now)
    serving = [pod for pod in pods.old if is_available(pod, policy.min_ready_seconds, now)]
    broken = [pod for pod in pods.old if not is_available(pod, policy.min_ready_seconds, now)]
    ready = sum(is_available(pod, policy.min_ready_seconds, now) for pod in new)
    least = max(replicas - policy.unavailable, 0)
    spare = max(ready + len(pods.old) - least, 0)
    related = (*pods.new, *pods.old)
    first = by_deletion_order(broken, related, now)[:spare]
    replaceable = max(ready + len(serving) - least, 0)
    then = by_deletion_order(serving, related, now)[:replaceable]
    return tuple(
        [DeletePod(pod, "broken pod of an old template") for pod in first]
        + [DeletePod(pod, "old template") for pod in then]
    )


def _kept_new(replicas: int, pods: Generations, now: datetime) -> tuple[Pod, ...]:
    return tuple(by_deletion_order(pods.new, pods.new, now)[len(pods.new) - replicas :])
