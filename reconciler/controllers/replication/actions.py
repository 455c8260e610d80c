"""What the replication plans ask for. Values only; `effects.py` carries them out."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.pod import Pod


@dataclass(frozen=True, slots=True)
class CreatePods:
    """Make `count` pods from the controller's template (slow start: 1, 2, 4, ... at a time)."""

    count: int


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Delete `pod`; `reason` says which rule chose it, for the log."""

    pod: Pod
    reason: str


@dataclass(frozen=True, slots=True)
class UpdatePod:
    """Give `pod` the present template as it is: images, labels and annotations."""

    pod: Pod


@dataclass(frozen=True, slots=True)
class MarkPod:
    """Let a pod rest, or run again: its controller is retired, or is not any more."""

    pod: Pod
    stopped: bool


@dataclass(frozen=True, slots=True)
class AdoptPod:
    """Make the controller the owner of an orphan that its selector matches."""

    pod: Pod


@dataclass(frozen=True, slots=True)
class ReleasePod:
    """Give up a pod whose labels no longer match the selector."""

    pod: Pod


ClaimAction = AdoptPod | ReleasePod
PodAction = CreatePods | DeletePod | UpdatePod | MarkPod
