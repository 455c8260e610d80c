"""PersistentVolumeClaims: a wish for storage."""

from __future__ import annotations

from typing import Annotated, Literal

from reconciler.model.base import EMPTY, ListMap, Model, always, unset
from reconciler.model.meta import KubeObject
from reconciler.model.reference import TypedLocalObjectReference, TypedObjectReference
from reconciler.model.scalar import ResourceList, Time
from reconciler.model.selector import LabelSelector


class VolumeResourceRequirements(Model):
    limits: ResourceList = EMPTY
    requests: ResourceList = EMPTY


class PersistentVolumeClaimSpec(Model):
    access_modes: tuple[str, ...] = ()
    selector: LabelSelector | None = None
    resources: VolumeResourceRequirements = always(VolumeResourceRequirements)
    volume_name: str = ""
    storage_class_name: str | None = None
    volume_mode: str | None = None
    data_source: TypedLocalObjectReference | None = None
    data_source_ref: TypedObjectReference | None = None
    volume_attributes_class_name: str | None = None


class PersistentVolumeClaimCondition(Model):
    type: str = always(str)
    status: str = always(str)
    last_probe_time: Time | None = unset()
    last_transition_time: Time | None = unset()
    reason: str = ""
    message: str = ""


class ModifyVolumeStatus(Model):
    target_volume_attributes_class_name: str = ""
    status: str = always(str)


class PersistentVolumeClaimStatus(Model):
    phase: str = ""
    access_modes: tuple[str, ...] = ()
    capacity: ResourceList = EMPTY
    conditions: Annotated[tuple[PersistentVolumeClaimCondition, ...], ListMap("type")] = ()
    allocated_resources: ResourceList = EMPTY
    allocated_resource_statuses: dict[str, str] = EMPTY
    current_volume_attributes_class_name: str | None = None
    modify_volume_status: ModifyVolumeStatus | None = None


class PersistentVolumeClaim(KubeObject):
    api_version: Literal["v1"] = always(lambda: "v1")
    kind: Literal["PersistentVolumeClaim"] = always(lambda: "PersistentVolumeClaim")
    spec: PersistentVolumeClaimSpec = always(PersistentVolumeClaimSpec)
    status: PersistentVolumeClaimStatus = always(PersistentVolumeClaimStatus)
