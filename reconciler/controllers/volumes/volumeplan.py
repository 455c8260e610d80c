"""What to do about one PersistentVolume: its phase, and its end. Pure; called by `binder.py`.

Kubernetes' syncVolume and reclaimVolume. Whether the claim is really gone is the caller's to ask
at the API: a cache that lags behind must not wipe data.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.storage import PersistentVolume
from reconciler.model.volumebinding import DRIVER, PROVISIONED_BY


@dataclass(frozen=True, slots=True)
class SetPhase:
    """Write the phase; `event` is its reason and message, when it is worth one."""

    phase: str
    message: str = ""
    event: str = ""


@dataclass(frozen=True, slots=True)
class Unbind:
    """Free a volume whose claim has another one."""


@dataclass(frozen=True, slots=True)
class DeleteVolume:
    """Delete the object, and with it the data that its node has."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Nothing to do."""


Action = SetPhase | Unbind | DeleteVolume | Keep
_NO_RECYCLING = "the reclaim policy Recycle is not supported: its data stay; use Retain or Delete"


def plan_volume(volume: PersistentVolume, claim: PersistentVolumeClaim | None) -> Action:
    """Return the next step; `claim` is the live object that claimRef names, None for none.

    A deleted volume still needs the phase that it is in: as long as it is Bound it is protected.
    """
    action = _planned(volume, claim)
    gone = volume.metadata.deletion_timestamp is not None
    return Keep() if gone and isinstance(action, DeleteVolume) else action


def _planned(volume: PersistentVolume, claim: PersistentVolumeClaim | None) -> Action:
    ref = volume.spec.claim_ref
    if ref is None or not ref.uid:
        return _phase(volume, "Available")
    if claim is None or claim.metadata.uid != ref.uid:
        return _released(volume)
    if not claim.spec.volume_name:
        return Keep()  # the claim's own plan goes on with it
    if claim.spec.volume_name == volume.metadata.name:
        return _phase(volume, "Bound")
    spare = PROVISIONED_BY in volume.metadata.annotations
    return DeleteVolume() if spare and _policy(volume) == "Delete" else Unbind()


def _phase(volume: PersistentVolume, phase: str) -> Action:
    return Keep() if volume.status.phase == phase else SetPhase(phase)


def _released(volume: PersistentVolume) -> Action:
    if volume.status.phase not in ("Released", "Failed"):
        return SetPhase("Released")
    match _policy(volume):
        case "Delete" if _ours(volume):
            return DeleteVolume()
        case "Delete" if volume.spec.csi is None:
            name = volume.metadata.name
            text = f'error getting deleter volume plugin for volume "{name}": no deletable volume'
            return _failed(volume, "VolumeFailedDelete", f"{text} plugin matched")
        case "Recycle":
            return _failed(volume, "VolumeFailedRecycle", _NO_RECYCLING)
        case _:
            return Keep()


def _failed(volume: PersistentVolume, event: str, message: str) -> Action:
    return Keep() if volume.status.phase == "Failed" else SetPhase("Failed", message, event)


def _policy(volume: PersistentVolume) -> str:
    return volume.spec.persistent_volume_reclaim_policy or "Retain"


def _ours(volume: PersistentVolume) -> bool:
    return volume.spec.csi is not None and volume.spec.csi.driver == DRIVER
