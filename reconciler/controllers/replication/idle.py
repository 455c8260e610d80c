"""Which controllers need no look when they are seen first. Pure.

Called by `loop.py`, which is told of every controller at a start: one that wants no pods, and said
so, has nothing to do until a pod shows that may be its own.
"""

from __future__ import annotations

from reconciler.controllers.replication.policy import is_rolled
from reconciler.controllers.replication.progress import PROGRESSING, says_complete
from reconciler.controllers.replication.status import REPLICA_FAILURE
from reconciler.model.replication import ReplicationController
from reconciler.model.retirement import is_retired


def is_idle(rc: ReplicationController) -> bool:
    """Return whether a look at the controller would find its status right, were there no pods."""
    meta, status = rc.metadata, rc.status
    if rc.spec.replicas != 0 or meta.deletion_timestamp is not None:
        return False
    if status.observed_generation != meta.generation or status.replicas:
        return False
    if status.fully_labeled_replicas or status.ready_replicas or status.available_replicas:
        return False
    own = [each for each in status.conditions if each.type in (PROGRESSING, REPLICA_FAILURE)]
    if is_retired(rc) or not is_rolled(rc):
        return not own
    if len(own) != 1 or own[0] is not status.conditions[-1]:
        return False
    return says_complete(own[0], replicas=0)
