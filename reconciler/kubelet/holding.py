"""How a start that failed is held: under which name, for how long, and what the status says of it.

Called by `worker.py`, whose memory of the pod it keeps.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from reconciler.kubelet import roster
from reconciler.kubelet.actions import AttachSandbox, CreateSandbox, StartContainer, UpdateVolumes
from reconciler.kubelet.containerstatus import Waiting
from reconciler.kubelet.labels import SANDBOX, VOLUMES
from reconciler.kubelet.memory import Memory
from reconciler.kubelet.starter import StartFailed
from reconciler.model.pod import Pod

_FIRST, _LONGEST = 1.0, 30.0


def held_name(action: CreateSandbox | AttachSandbox | StartContainer | UpdateVolumes) -> str:
    """Return by which name a failure is held: the container's, or one that no container has."""
    if isinstance(action, StartContainer):
        return action.name
    return VOLUMES if isinstance(action, UpdateVolumes) else SANDBOX


def hold(memory: Memory, name: str, pod: Pod, error: StartFailed, now: datetime) -> None:
    """Note that a start failed at `now`: when to try again, and what the containers wait for."""
    failures = memory.failures[name] = memory.failures.get(name, 0) + 1
    delay = min(_FIRST * 2.0 ** (failures - 1), _LONGEST)
    # A pull calls back when it ends; the long hold is only for a lost call.
    patience = _LONGEST if error.quiet else delay
    memory.held[name] = error.until or now + timedelta(seconds=patience)
    for container in _names(name, pod):
        memory.waiting[container] = _waiting(error)


def let(memory: Memory, name: str, pod: Pod) -> None:
    """Note that a start succeeded."""
    memory.failures.pop(name, None)
    memory.held.pop(name, None)
    for container in (name, *_names(name, pod)):
        memory.waiting.pop(container, None)


def _names(name: str, pod: Pod) -> list[str]:
    """Return the containers that wait for it: all of them for the sandbox."""
    return [name] if name != SANDBOX else [each.name for each in roster.members(pod)]


def _waiting(error: StartFailed) -> Waiting:
    """Return what a container waits for.

    Mount and sandbox failures are events; the container is still being created.
    """
    if error.reason in ("FailedMount", "FailedCreatePodSandBox"):
        return Waiting("", error.message)
    return Waiting(error.reason, error.message)
