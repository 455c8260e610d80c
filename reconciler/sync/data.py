"""What a plan means for data: which volumes lose their claim, and what then becomes of them. Pure.

Called by `reconciler plan`. It foresees what the volume controller will do; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.model.storage import PersistentVolume
from reconciler.model.volumebinding import DRIVER
from reconciler.sync.actions import Prune, Replace, Retire
from reconciler.sync.plan import Plan, Situation


@dataclass(frozen=True, slots=True)
class DataEffect:
    """What becomes of the data of one volume; `cause` is the object whose end it is."""

    fate: Literal["wipe", "keep"]
    volume: str
    claim: str
    policy: str
    cause: ObjectKey


def data_effects(plan: Plan, situation: Situation) -> tuple[DataEffect, ...]:
    """Return the effects by volume; nothing for claims that stay."""
    found: dict[str, DataEffect] = {}
    for action in plan.actions:
        if isinstance(action, Retire | Prune | Replace):
            for effect in _effects(action.key, situation):
                found.setdefault(effect.volume, effect)
    return tuple(found[name] for name in sorted(found))


def _effects(gone: ObjectKey, situation: Situation) -> Iterator[DataEffect]:
    for obj in situation.live.values():
        if isinstance(obj, PersistentVolumeClaim) and _ends(obj, gone) and obj.spec.volume_name:
            volume = situation.live.get(ObjectKey("PersistentVolume", "", obj.spec.volume_name))
            if isinstance(volume, PersistentVolume):
                claim = f"{obj.metadata.namespace}/{obj.metadata.name}"
                yield _effect(volume, claim, gone)
        elif isinstance(obj, PersistentVolume) and obj.key == gone and obj.spec.claim_ref:
            ref = obj.spec.claim_ref
            yield _effect(obj, f"{ref.namespace}/{ref.name}", gone)


def _ends(claim: KubeObject, gone: ObjectKey) -> bool:
    in_namespace = gone.kind == "Namespace" and claim.metadata.namespace == gone.name
    return in_namespace or claim.key == gone


def _effect(volume: PersistentVolume, claim: str, cause: ObjectKey) -> DataEffect:
    """Only volumes that we made are ever wiped; all others keep what they hold."""
    policy = volume.spec.persistent_volume_reclaim_policy or "Retain"
    ours = volume.spec.csi is not None and volume.spec.csi.driver == DRIVER
    fate: Literal["wipe", "keep"] = "wipe" if ours and policy == "Delete" else "keep"
    return DataEffect(fate, volume.metadata.name, claim, policy, cause)
