"""Which pods go first when there are too many: Kubernetes' ActivePodsWithRanks. Pure.

Called by the count and rollout plans. The order is, at each step the first kind goes first:
unassigned before assigned, Pending before Unknown before Running, not ready before ready, lower
`controller.kubernetes.io/pod-deletion-cost`, more pods of the controller on the same node, ready
for a shorter time, more container restarts, created later. Times are compared by the logarithm
of their age, so that pods of about one age count as equal and go in the order of their uid.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cmp_to_key

from reconciler.controllers.podstate import is_active, is_ready, moment, ready_since
from reconciler.model.pod import Pod

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}
_INT32 = range(-(2**31), 2**31)


def by_deletion_order(pods: Iterable[Pod], related: Iterable[Pod], now: datetime) -> Sequence[Pod]:
    """Return `pods`, the first to delete first; `related` are all pods of the controller."""
    ranks = Counter(pod.spec.node_name for pod in related if is_active(pod))

    def compare(left: Pod, right: Pod) -> int:
        return _compare(left, right, ranks, now)

    return sorted(pods, key=cmp_to_key(compare))


def _compare(left: Pod, right: Pod, ranks: Counter[str], now: datetime) -> int:
    first, second = _lead(left, ranks), _lead(right, ranks)
    if first != second:
        return -1 if first < second else 1
    if is_ready(left):
        order = _by_age(left, right, ready_since(left), ready_since(right), now)
        if order:
            return order
    if _restarts(left) != _restarts(right):
        return -1 if _restarts(left) > _restarts(right) else 1
    return _by_age(left, right, _created(left), _created(right), now) or _by_uid(left, right)


def _lead(pod: Pod, ranks: Counter[str]) -> tuple[bool, int, bool, int, int]:
    node = pod.spec.node_name
    phase = _PHASES.get(pod.status.phase, 0)
    return (bool(node), phase, is_ready(pod), deletion_cost(pod), -ranks[node])


def deletion_cost(pod: Pod) -> int:
    """Return the pod's deletion cost annotation, an int32 in canonical form; 0 when it is none."""
    text = pod.metadata.annotations.get(DELETION_COST, "0")
    try:
        cost = int(text)
    except ValueError:
        return 0
    return cost if cost in _INT32 and str(cost) == text else 0


def _restarts(pod: Pod) -> int:
    return max((item.restart_count for item in pod.status.container_statuses), default=0)


def _created(pod: Pod) -> datetime | None:
    text = pod.metadata.creation_timestamp
    return moment(text) if text is not None else None


def _by_age(
    left: Pod, right: Pod, first: datetime | None, second: datetime | None, now: datetime
) -> int:
    """Compare two times: the later goes first, an unknown one before all; 0 when equal."""
    if first == second:
        return 0
    if first is None or second is None:
        return -1 if first is None else 1
    ages = _magnitude(now - first), _magnitude(now - second)
    if ages[0] == ages[1]:
        return _by_uid(left, right)
    return -1 if ages[0] < ages[1] else 1


def _magnitude(age: timedelta) -> int:
    nanoseconds = age // timedelta(microseconds=1) * 1000
    return int(math.log2(nanoseconds)) if nanoseconds > 0 else -1


def _by_uid(left: Pod, right: Pod) -> int:
    return -1 if left.metadata.uid < right.metadata.uid else 1
