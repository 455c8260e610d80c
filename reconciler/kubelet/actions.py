"""What the planner may ask for. Each is one effect on the host or the API, done by `worker.py`.

The actions of one plan do not wait for one another: whatever must come later is in a later plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, order=True)
class CreateSandbox:
    """Allocate an address, create and start the sandbox, attach it to the network."""

    attempt: int


@dataclass(frozen=True, slots=True, order=True)
class AttachSandbox:
    """Plumb the network of a running sandbox whose link is missing (a crash in between)."""

    id: str


@dataclass(frozen=True, slots=True, order=True)
class StartContainer:
    """Create and start a container in the sandbox; `backoff` goes into its label."""

    name: str
    attempt: int
    backoff: float
    sandbox: str


@dataclass(frozen=True, slots=True, order=True)
class BeginStop:
    """Begin to stop: run the preStop hook (if `hook`), or wait for the turn, until `deadline`."""

    id: str
    name: str
    deadline: datetime
    message: str
    hook: bool


@dataclass(frozen=True, slots=True, order=True)
class StopContainer:
    """Send the stop signal, and SIGKILL at `deadline`; `message` tells the user why."""

    id: str
    name: str
    deadline: datetime
    message: str


@dataclass(frozen=True, slots=True, order=True)
class KillContainer:
    """Send SIGKILL: the grace is over."""

    id: str
    name: str


@dataclass(frozen=True, slots=True, order=True)
class RemoveContainer:
    """Remove a container that nobody needs any more."""

    id: str


@dataclass(frozen=True, slots=True, order=True)
class RemoveSandbox:
    """Remove a sandbox, dead or alive, with its link, and free its address."""

    id: str
    address: str


@dataclass(frozen=True, slots=True, order=True)
class UpdateVolumes:
    """Bring the contents of the pod's volumes up to date with what they are made of."""


@dataclass(frozen=True, slots=True, order=True)
class RemoveVolumes:
    """Let go of the volumes of a pod that succeeded or failed; its last words stay."""


@dataclass(frozen=True, slots=True, order=True)
class RemoveFiles:
    """Let go of the pod's volumes and remove its folders: nothing of it runs any more."""


@dataclass(frozen=True, slots=True, order=True)
class DeleteObject:
    """Delete the pod's object for good: nothing of it is left on the host."""


Action = (
    CreateSandbox
    | AttachSandbox
    | StartContainer
    | BeginStop
    | StopContainer
    | KillContainer
    | RemoveContainer
    | RemoveSandbox
    | UpdateVolumes
    | RemoveVolumes
    | RemoveFiles
    | DeleteObject
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, and when (at the latest) to plan again though nothing happened."""

    actions: tuple[Action, ...] = ()
    wake: datetime | None = None
