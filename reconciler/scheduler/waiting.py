"""What of a change could help a pod that no node takes: Kubernetes' queueing hints. Pure.

Called by `loop.py`, so that pods whose wait others cannot shorten cost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.pod import Pod
from reconciler.scheduler.snapshot import priority_of
from reconciler.scheduler.spreading import Constraint, constraints_of
from reconciler.scheduler.terms import Profile, Spaces, profile_of


@dataclass(frozen=True, slots=True)
class Waiting:
    """A pod that waits, and why. `message` is empty while that has yet to be said."""

    message: str
    priority: int
    profile: Profile
    spread: tuple[Constraint, ...]

    def is_helped_by(self, other: Profile, spaces: Spaces) -> bool:
        """Say whether the pod may fit once `other` is on a node, or has begun to leave it."""
        return any(term.takes(other, spaces) for term in self.profile.terms.affinity) or any(
            constraint.selector is not None
            and other.namespace == self.profile.namespace
            and constraint.selector.matches(other.labels)
            for constraint in self.spread
        )


def waiting_of(pod: Pod, message: str) -> Waiting:
    """Return the record of a pod that waits."""
    spread = constraints_of(pod, "DoNotSchedule")
    return Waiting(message, priority_of(pod), profile_of(pod), spread)
