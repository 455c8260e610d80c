"""Pods that fail one after the other are not replaced as fast as they fail. Pure.

Called by `loop.py`. A pod that its node rejects, for what the host cannot give or has not left,
ends within milliseconds; Kubernetes' ReplicationController would make the next at once, for ever.
The rule is the one of its DaemonSets (failedPodsBackoff): a second, doubled to 15 minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from reconciler.controllers.podstate import moment
from reconciler.controllers.replication.template import TEMPLATE_HASH
from reconciler.model.pod import Pod

_FIRST, _LONGEST = timedelta(seconds=1), timedelta(minutes=15)
_REMEMBERED = 2 * _LONGEST


def wait(owned: Sequence[Pod], digest: str, now: datetime) -> float:
    """Return the seconds until another pod of template `digest` may be made; 0 for now.

    Counted from the birth of the last one that failed: one that ran for long is replaced at once.
    """
    born = [_born(pod) for pod in owned if _failed(pod, digest)]
    recent = [each for each in born if now - each < _REMEMBERED]
    if not recent:
        return 0.0
    delay = min(_FIRST * (1 << min(len(recent) - 1, 10)), _LONGEST)
    return max(0.0, (max(recent) + delay - now).total_seconds())


def _failed(pod: Pod, digest: str) -> bool:
    return (
        pod.status.phase == "Failed"
        and pod.metadata.deletion_timestamp is None
        and pod.metadata.annotations.get(TEMPLATE_HASH) == digest
    )


def _born(pod: Pod) -> datetime:
    return moment(pod.metadata.creation_timestamp or "1970-01-01T00:00:00Z")
