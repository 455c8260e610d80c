"""Whether a rollout advances: the condition Progressing. Pure.

Called by `loop.py` before the rollout plan (a stopped rollout makes no more pods) and for the
status. What sync and people learn about a rollout, they learn from this condition:

* `RolloutComplete` (True): every pod is of the present template and available, and its liveness
  probe has succeeded once: one that never can would restart the pod again and again;
* `RollingOut` (True): not yet, and there was progress within the deadline;
* `ProgressDeadlineExceeded` (False): none for too long. Progress takes it back.

Progress is a change of the controller's spec, or one more pod of the present template that is
available. All of it is read from the objects, so that it survives a restart.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.controllers.podstate import is_available, is_proven, moment, ready_since
from reconciler.controllers.replication.policy import RolloutPolicy
from reconciler.controllers.replication.rollout import Generations
from reconciler.model.pod import Pod
from reconciler.model.replication import ReplicationController, ReplicationControllerCondition
from reconciler.model.time import format_time

PROGRESSING = "Progressing"
COMPLETE = "RolloutComplete"
ROLLING = "RollingOut"
EXCEEDED = "ProgressDeadlineExceeded"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a rollout stands. `condition` is what the status shall say.

    `check_in` is the seconds until the deadline would pass, None when nothing is waited for.
    """

    condition: ReplicationControllerCondition
    check_in: float | None

    @property
    def stopped(self) -> bool:
        """True when the rollout may make no pod beyond `replicas`."""
        return self.condition.reason == EXCEEDED


def assess(
    rc: ReplicationController,
    pods: Generations,
    policy: RolloutPolicy,
    now: datetime,
    watched_since: datetime,
) -> Progress:
    """Return the progress of `rc`, whose status still says what was known before.

    `watched_since` is when this process began to look: the time in which nobody acted does not
    count against a rollout.
    """
    replicas = rc.spec.replicas if rc.spec.replicas is not None else 1
    available = [pod for pod in pods.new if is_available(pod, policy.min_ready_seconds, now)]
    before = _condition(rc)
    changed = rc.status.observed_generation != rc.metadata.generation
    unproven = sum(not is_proven(pod) for pod in available)
    whole = not pods.old and len(pods.new) == replicas == len(available)
    if whole and not unproven:
        return Progress(_say(before, COMPLETE, _all_available(replicas), now), None)
    message = _so_far(replicas, len(available), len(pods.old), unproven)
    if before is None or changed or (before.reason == COMPLETE and pods.old):
        return _start(message, policy, now)
    if before.reason == COMPLETE:
        return Progress(before, None)  # complete once: what a pod does later is no rollout
    if whole and before.reason == ROLLING:
        # Their probes say when they begin; one that fails makes a pod unavailable.
        return Progress(_say(before, ROLLING, message, now), None)
    since = _transition(before, now)
    latest = max((since, *_available_since(available, policy)))
    if before.reason == EXCEEDED:
        return _start(message, policy, now) if latest > since else Progress(before, None)
    return _advance(before, message, max(latest, watched_since), policy, now)


def says_complete(condition: ReplicationControllerCondition, *, replicas: int) -> bool:
    """Return whether a status says, word for word, that all of so many pods are there."""
    said = (condition.type, condition.status, condition.reason, condition.message)
    return said == (PROGRESSING, "True", COMPLETE, _all_available(replicas))


def _advance(
    before: ReplicationControllerCondition,
    message: str,
    since: datetime,
    policy: RolloutPolicy,
    now: datetime,
) -> Progress:
    left = _left(since, policy, now)
    if left <= 0:
        reason = f"no progress for {policy.progress_deadline_seconds} s: {message}"
        return Progress(_say(before, EXCEEDED, reason, now), None)
    return Progress(_say(before, ROLLING, message, now), left)


def _start(message: str, policy: RolloutPolicy, now: datetime) -> Progress:
    return Progress(_say(None, ROLLING, message, now), policy.progress_deadline_seconds)


def _left(since: datetime, policy: RolloutPolicy, now: datetime) -> float:
    deadline = since + timedelta(seconds=policy.progress_deadline_seconds)
    return (deadline - now).total_seconds()


def _transition(condition: ReplicationControllerCondition, now: datetime) -> datetime:
    return moment(condition.last_transition_time) if condition.last_transition_time else now


def _available_since(available: list[Pod], policy: RolloutPolicy) -> list[datetime]:
    times = [since for pod in available if (since := ready_since(pod)) is not None]
    return [since + timedelta(seconds=policy.min_ready_seconds) for since in times]


def _all_available(replicas: int) -> str:
    return "1 pod available" if replicas == 1 else f"{replicas} pods available"


def _so_far(replicas: int, available: int, old: int, unproven: int) -> str:
    message = f"{available} of {replicas} pods of the present template available"
    if unproven:
        message += f", {unproven} of them not found alive by a liveness probe yet"
    return f"{message}, {old} of an old template left" if old else message


def _condition(rc: ReplicationController) -> ReplicationControllerCondition | None:
    for item in rc.status.conditions:
        if item.type == PROGRESSING:
            return item
    return None


def _say(
    before: ReplicationControllerCondition | None, reason: str, message: str, now: datetime
) -> ReplicationControllerCondition:
    """Return the condition; its transition time is that of `before` while the reason stays."""
    same = before is not None and before.reason == reason
    return ReplicationControllerCondition(
        type=PROGRESSING,
        status="False" if reason == EXCEEDED else "True",
        last_transition_time=before.last_transition_time if same and before else format_time(now),
        reason=reason,
        message=message,
    )
