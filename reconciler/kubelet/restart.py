"""When a container that ended runs again: restart policy and crash-loop back-off. Pure.

Kubernetes' rules: the first restart at once, then 10 s doubling to 300 s, forgotten when the
container ran for 10 minutes. The back-off in force stands in a label of the container that it
made, so a restart of the daemon forgets nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from reconciler.kubelet.labels import PodContainer
from reconciler.kubelet.roster import Member, Role
from reconciler.model.pod import Pod

FIRST = 10.0
LONGEST = 300.0
FORGET = timedelta(seconds=2 * LONGEST)


def policy_of(pod: Pod, member: Member) -> str:
    """Return the policy that a container of the pod has by its part there.

    A sidecar is always restarted, an init container until it succeeds, an ephemeral one never.
    """
    policy = pod.spec.restart_policy or "Always"
    if member.is_sidecar:
        return "Always"
    if member.role is Role.EPHEMERAL:
        return "Never"
    return "OnFailure" if member.role is Role.INIT and policy == "Always" else policy


def should_restart(pod: Pod, member: Member, ended: PodContainer) -> bool:
    """Tell whether a container that ended is to run again."""
    policy = policy_of(pod, member)
    if policy == "Never":
        return False
    return policy != "OnFailure" or ended.state.exit_code != 0


def not_before(ended: PodContainer) -> datetime:
    """Return the earliest time of the next start of a container that ended."""
    if _forgotten(ended):
        return ended.ended
    return ended.ended + timedelta(seconds=ended.backoff)


def next_backoff(ended: PodContainer) -> float:
    """Return the back-off, in seconds, for the label of the container that replaces `ended`."""
    if _forgotten(ended) or not ended.backoff:
        return FIRST
    return min(2 * ended.backoff, LONGEST)


def _forgotten(ended: PodContainer) -> bool:
    return ended.ended - ended.state.created > FORGET
