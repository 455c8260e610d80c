"""How long a pod that Git declares itself may take to be ready. Pure.

Called by the loop. A ReplicationController has its rollout's deadline, told by its controller; a
pod without one would be waited for for ever, say when no node takes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.model.meta import KubeObject
from reconciler.model.pod import Pod
from reconciler.model.replication import PROGRESS_DEADLINE
from reconciler.model.time import parse_time
from reconciler.sync.health import is_ready
from reconciler.sync.hooks import is_hook


@dataclass(frozen=True, slots=True)
class Patience:
    """`seconds` is how long a pod may take whose annotation does not say so."""

    seconds: int

    def until(self, pod: Pod) -> datetime | None:
        """Return until when a pod has to be ready; of a hook, when a node has to have taken it up.

        One that is ready may wait for its first liveness probe, which says itself when it begins.
        A hook that has begun is ended by its kubelet: `activeDeadlineSeconds` counts from there.
        """
        if is_hook(pod):
            begun, limit = pod.status.start_time is not None, pod.spec.active_deadline_seconds
            return None if begun or not limit else _after(pod, limit)
        return None if is_ready(pod) else _after(pod, self._limit(pod))

    def over(self, pod: KubeObject, waits: str) -> str:
        """Return why a pod is given up that waited for what `waits` says."""
        if is_hook(pod):
            return f"the hook did not start within its time: {waits}"
        return f"not ready within {self._limit(pod)} s: {waits}"

    def _limit(self, pod: KubeObject) -> int:
        text = pod.metadata.annotations.get(PROGRESS_DEADLINE, "")
        return int(text) if text.isascii() and text.isdigit() and int(text) else self.seconds


def _after(pod: Pod, seconds: int) -> datetime | None:
    made = pod.metadata.creation_timestamp
    return parse_time(made) + timedelta(seconds=seconds) if made else None
