"""Defaults of volumes and claims. Called by `defaults` and `defaultpod` only. Pure."""

from __future__ import annotations

from typing import Any

from reconciler.model.claim import PersistentVolumeClaimSpec
from reconciler.model.container import ObjectFieldSelector
from reconciler.model.reference import TypedLocalObjectReference, TypedObjectReference
from reconciler.model.storage import PersistentVolumeSource
from reconciler.model.volume import (
    DownwardAPIVolumeFile,
    EmptyDirVolumeSource,
    ProjectedVolumeSource,
    Volume,
    VolumeProjection,
    VolumeSource,
)

DEFAULT_MODE = 0o644
TOKEN_SECONDS = 3600
_DATA_SOURCES = (("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot"))

_SOURCES = tuple(VolumeSource.model_fields)


def default_volume(volume: Volume) -> Volume:
    """SetDefaults_Volume and those of its source; a volume without a source is an emptyDir."""
    if volume.empty_dir is not None:
        return volume
    changes = {**default_volume_source(volume), **_pod_only(volume)}
    changes = {name: new for name, new in changes.items() if new != getattr(volume, name)}
    if not changes and not any(volume.__dict__[name] for name in _SOURCES):
        return volume.replace(empty_dir=EmptyDirVolumeSource())
    return volume.replace(**changes) if changes else volume


def default_volume_source(source: VolumeSource | PersistentVolumeSource) -> dict[str, Any]:
    """Return the changed members of the sources that pods and PersistentVolumes share."""
    changes: dict[str, Any] = {}
    if source.host_path is not None and source.host_path.type is None:
        changes["host_path"] = source.host_path.replace(type="")
    if source.iscsi is not None and not source.iscsi.iscsi_interface:
        changes["iscsi"] = source.iscsi.replace(iscsi_interface="default")
    for name, defaults in _ZERO_DEFAULTS.items():
        held = getattr(source, name)
        if held is not None:
            missing = {key: value for key, value in defaults.items() if not getattr(held, key)}
            if missing:
                changes[name] = held.replace(**missing)
    if source.azure_disk is not None:
        disk = source.azure_disk
        missing = {k: v for k, v in _AZURE_DISK.items() if getattr(disk, k) is None}
        if missing:
            changes["azure_disk"] = disk.replace(**missing)
    return changes


_ZERO_DEFAULTS: dict[str, dict[str, str]] = {
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "scale_io": {"fs_type": "xfs", "storage_mode": "ThinProvisioned"},
}
_AZURE_DISK: dict[str, Any] = {
    "caching_mode": "ReadWrite", "fs_type": "ext4", "read_only": False, "kind": "Shared",
}  # fmt: skip


def _pod_only(volume: Volume) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if volume.secret is not None and volume.secret.default_mode is None:
        changes["secret"] = volume.secret.replace(default_mode=DEFAULT_MODE)
    if volume.config_map is not None and volume.config_map.default_mode is None:
        changes["config_map"] = volume.config_map.replace(default_mode=DEFAULT_MODE)
    if volume.downward_api is not None:
        mode = volume.downward_api.default_mode
        changes["downward_api"] = volume.downward_api.replace(
            default_mode=DEFAULT_MODE if mode is None else mode,
            items=tuple(_file(item) for item in volume.downward_api.items),
        )
    if volume.projected is not None:
        changes["projected"] = _projected(volume.projected)
    template = volume.ephemeral and volume.ephemeral.volume_claim_template
    if volume.ephemeral and template:
        defaulted = template.replace(spec=default_claim_spec(template.spec))
        changes["ephemeral"] = volume.ephemeral.replace(volume_claim_template=defaulted)
    return changes


def _projected(source: ProjectedVolumeSource) -> ProjectedVolumeSource:
    mode = DEFAULT_MODE if source.default_mode is None else source.default_mode
    return source.replace(default_mode=mode, sources=tuple(map(_projection, source.sources)))


def _projection(source: VolumeProjection) -> VolumeProjection:
    changes: dict[str, Any] = {}
    token = source.service_account_token
    if token is not None and token.expiration_seconds is None:
        changes["service_account_token"] = token.replace(expiration_seconds=TOKEN_SECONDS)
    if source.downward_api is not None:
        items = tuple(_file(item) for item in source.downward_api.items)
        changes["downward_api"] = source.downward_api.replace(items=items)
    return source.replace(**changes) if changes else source


def _file(item: DownwardAPIVolumeFile) -> DownwardAPIVolumeFile:
    if item.field_ref is None or item.field_ref.api_version:
        return item
    return item.replace(field_ref=default_field_ref(item.field_ref))


def default_field_ref(selector: ObjectFieldSelector) -> ObjectFieldSelector:
    """SetDefaults_ObjectFieldSelector."""
    return selector if selector.api_version else selector.replace(api_version="v1")


def default_claim_spec(spec: PersistentVolumeClaimSpec) -> PersistentVolumeClaimSpec:
    """SetDefaults_PersistentVolumeClaimSpec."""
    return spec if spec.volume_mode is not None else spec.replace(volume_mode="Filesystem")


def normal_data_sources(spec: PersistentVolumeClaimSpec) -> PersistentVolumeClaimSpec:
    """Drop a `dataSource` of an unknown kind, then let it and `dataSourceRef` say the same.

    EnforceDataSourceBackwardsCompatibility and NormalizeDataSources of the claim's strategy.
    """
    source, ref = spec.data_source, spec.data_source_ref
    if source is not None and ref is None:
        if (source.api_group or "", source.kind) not in _DATA_SOURCES:
            return spec.replace(data_source=None)
        copy = TypedObjectReference(api_group=source.api_group, kind=source.kind, name=source.name)
        return spec.replace(data_source_ref=copy)
    if ref is not None and source is None and not ref.namespace:
        back = TypedLocalObjectReference(api_group=ref.api_group, kind=ref.kind, name=ref.name)
        return spec.replace(data_source=back)
    return spec
