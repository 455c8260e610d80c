"""Volume sources that pods and PersistentVolumes spell alike."""

from __future__ import annotations

from reconciler.model.base import Model, always
from reconciler.model.scalar import Int32


class HostPathVolumeSource(Model):
    path: str = always(str)
    type: str | None = None


class GCEPersistentDiskVolumeSource(Model):
    pd_name: str = always(str)
    fs_type: str = ""
    partition: Int32 = 0
    read_only: bool = False


class AWSElasticBlockStoreVolumeSource(Model):
    volume_id: str = always(str)
    fs_type: str = ""
    partition: Int32 = 0
    read_only: bool = False


class NFSVolumeSource(Model):
    server: str = always(str)
    path: str = always(str)
    read_only: bool = False


class FlockerVolumeSource(Model):
    dataset_name: str = ""
    dataset_uuid: str = ""


class FCVolumeSource(Model):
    target_wwns: tuple[str, ...] = ()
    lun: Int32 | None = None
    fs_type: str = ""
    read_only: bool = False
    wwids: tuple[str, ...] = ()


class VsphereVirtualDiskVolumeSource(Model):
    volume_path: str = always(str)
    fs_type: str = ""
    storage_policy_name: str = ""
    storage_policy_id: str = ""


class QuobyteVolumeSource(Model):
    registry: str = always(str)
    volume: str = always(str)
    read_only: bool = False
    user: str = ""
    group: str = ""
    tenant: str = ""


class AzureDiskVolumeSource(Model):
    disk_name: str = always(str)
    disk_uri: str = always(str)
    caching_mode: str | None = None
    fs_type: str | None = None
    read_only: bool | None = None
    kind: str | None = None


class PhotonPersistentDiskVolumeSource(Model):
    pd_id: str = always(str)
    fs_type: str = ""


class PortworxVolumeSource(Model):
    volume_id: str = always(str)
    fs_type: str = ""
    read_only: bool = False
