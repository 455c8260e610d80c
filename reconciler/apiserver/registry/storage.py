"""PersistentVolumes and their claims: protection, the default class, phases at birth.

What Kubernetes' plug-ins StorageObjectInUseProtection, DefaultStorageClass and
PersistentVolumeClaimResize add is here; who takes the finalizers off again are the controllers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from reconciler.apiserver.registry import errors
from reconciler.apiserver.registry.strategy import Strategy
from reconciler.model import quantity
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.meta import KubeObject
from reconciler.model.storage import PersistentVolume
from reconciler.model.storageclass import StorageClass, default_class
from reconciler.model.volumebinding import CLAIM_FINALIZER, VOLUME_FINALIZER, class_of_claim

K = TypeVar("K", bound=KubeObject)

Classes = Callable[[], Sequence[StorageClass]]


class VolumeStrategy(Strategy[PersistentVolume]):
    """The rules of PersistentVolumes; `now` gives the time of a change of phase."""

    def __init__(self, now: Callable[[], str]) -> None:
        super().__init__(PersistentVolume)
        self._now = now

    def for_create(self, new: PersistentVolume) -> PersistentVolume:
        """Start as Pending, protected."""
        fresh = super().for_create(new)
        status = fresh.status.replace(phase="Pending", last_phase_transition_time=self._now())
        return _protected(fresh, VOLUME_FINALIZER).replace(status=status)

    def for_status(self, new: PersistentVolume, old: PersistentVolume) -> PersistentVolume:
        """Note when the phase changes."""
        after = super().for_status(new, old)
        same_time = after.status.last_phase_transition_time == old.status.last_phase_transition_time
        if after.status.phase == old.status.phase or not (
            same_time or after.status.last_phase_transition_time is None
        ):
            return after
        return after.replace(status=after.status.replace(last_phase_transition_time=self._now()))


class ClaimStrategy(Strategy[PersistentVolumeClaim]):
    """The rules of PersistentVolumeClaims; `classes` are the StorageClasses that there are."""

    def __init__(self, classes: Classes) -> None:
        super().__init__(PersistentVolumeClaim)
        self._classes = classes

    def for_create(self, new: PersistentVolumeClaim) -> PersistentVolumeClaim:
        """Start as Pending, protected, with the default class when it names none."""
        fresh = super().for_create(new)
        fresh = fresh.replace(status=fresh.status.replace(phase="Pending"))
        fresh = _protected(fresh, CLAIM_FINALIZER)
        if class_of_claim(fresh) is not None:
            return fresh
        default = default_class(self._classes())
        if default is None:
            return fresh
        return fresh.replace(spec=fresh.spec.replace(storage_class_name=default.metadata.name))

    def for_update(
        self, new: PersistentVolumeClaim, old: PersistentVolumeClaim
    ) -> PersistentVolumeClaim:
        """Refuse a larger request where the class allows no expansion."""
        kept = super().for_update(new, old)
        before, after = (each.spec.resources.requests.get("storage") for each in (old, kept))
        grows = before and after and quantity.compare(after, before) > 0
        if grows and old.status.phase == "Bound" and not self._expandable(old):
            raise errors.forbidden(
                self.resource,
                old.metadata.name,
                "only dynamically provisioned pvc can be resized and the storageclass that "
                "provisions the pvc must support resize",
            )
        return kept

    def _expandable(self, claim: PersistentVolumeClaim) -> bool:
        name = class_of_claim(claim)
        return any(c.metadata.name == name and c.allow_volume_expansion for c in self._classes())


def _protected(obj: K, finalizer: str) -> K:
    meta = obj.metadata
    if finalizer in meta.finalizers:
        return obj
    return obj.replace(metadata=meta.replace(finalizers=(*meta.finalizers, finalizer)))
