"""How a start that failed is held: under which name, and what the status says of it. Pure.

Called by `worker.py`.
"""

from __future__ import annotations

from reconciler.kubelet.actions import AttachSandbox, CreateSandbox, StartContainer, UpdateVolumes
from reconciler.kubelet.containerstatus import Waiting
from reconciler.kubelet.labels import SANDBOX, VOLUMES
from reconciler.kubelet.starter import StartFailed


def held_name(action: CreateSandbox | AttachSandbox | StartContainer | UpdateVolumes) -> str:
    """Return by which name a failure is held: the container's, or one that no container has."""
    if isinstance(action, StartContainer):
        return action.name
    return VOLUMES if isinstance(action, UpdateVolumes) else SANDBOX


def waiting(error: StartFailed) -> Waiting:
    """Return what a container waits for.

    Mount and sandbox failures are events; the container is still being created.
    """
    if error.reason in ("FailedMount", "FailedCreatePodSandBox"):
        return Waiting("", error.message)
    return Waiting(error.reason, error.message)
