"""Pods of a controller that is retired: they rest until it is removed, or brought back. Pure.

Called by `loop.py`. What rests is kept as it is, so that bringing it back makes no new pod.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.controllers.podstate import is_active
from reconciler.controllers.replication.actions import MarkPod
from reconciler.model.pod import Pod
from reconciler.model.retirement import STOPPED


def plan(owned: Sequence[Pod], *, retired: bool) -> tuple[MarkPod, ...]:
    """Return the pods that must be told to rest, or to run again."""
    active = (pod for pod in owned if is_active(pod))
    wrong = (pod for pod in active if (STOPPED in pod.metadata.annotations) != retired)
    return tuple(MarkPod(pod, stopped=retired) for pod in wrong)
