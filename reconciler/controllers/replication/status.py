"""What a ReplicationController's status says of its pods. Pure.

Called by `loop.py` after the effects, so that one write tells of them too. Equal input gives an
equal status, and no write.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from reconciler.controllers.podstate import available_in, is_active, is_available, is_ready
from reconciler.controllers.replication.progress import PROGRESSING
from reconciler.model.pod import Pod
from reconciler.model.replication import (
    ReplicationController,
    ReplicationControllerCondition,
    ReplicationControllerStatus,
)
from reconciler.model.time import format_time

REPLICA_FAILURE = "ReplicaFailure"


def status_of(
    rc: ReplicationController,
    owned: Sequence[Pod],
    min_ready_seconds: int,
    now: datetime,
    *,
    failure: tuple[str, str] | None,
    progressing: ReplicationControllerCondition | None,
) -> ReplicationControllerStatus:
    """Return the status, as calculateStatus does; `progressing` is kept as given.

    `failure` is the reason (FailedCreate, FailedDelete) and message of the last effect that the
    API refused, None when none was.
    """
    active = [pod for pod in owned if is_active(pod)]
    template = rc.spec.template
    labels = template.metadata.labels.items() if template is not None else {}.items()
    conditions = [
        item for item in rc.status.conditions if item.type not in (REPLICA_FAILURE, PROGRESSING)
    ]
    if progressing is not None:
        conditions.append(progressing)
    if failure is not None:
        conditions.append(_failed(rc, failure, now))
    return ReplicationControllerStatus(
        replicas=len(active),
        fully_labeled_replicas=sum(labels <= pod.metadata.labels.items() for pod in active),
        ready_replicas=sum(map(is_ready, active)),
        available_replicas=sum(is_available(pod, min_ready_seconds, now) for pod in active),
        observed_generation=rc.metadata.generation,
        conditions=tuple(conditions),
    )


def next_available(owned: Sequence[Pod], min_ready_seconds: int, now: datetime) -> float | None:
    """Return the seconds until the next ready pod is available, None when none will be so."""
    waits = [available_in(pod, min_ready_seconds, now) for pod in owned if is_active(pod)]
    return min((wait for wait in waits if wait is not None), default=None)


def _failed(
    rc: ReplicationController, failure: tuple[str, str], now: datetime
) -> ReplicationControllerCondition:
    reason, message = failure
    for item in rc.status.conditions:
        if item.type == REPLICA_FAILURE and (item.reason, item.message) == failure:
            return item
    return ReplicationControllerCondition(
        type=REPLICA_FAILURE,
        status="True",
        last_transition_time=format_time(now),
        reason=reason,
        message=message,
    )
