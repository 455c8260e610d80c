"""PersistentVolumes: storage that the cluster has. Claims are in `claim.py`."""

from __future__ import annotations

from typing import Literal

from reconciler.model.base import EMPTY, Model, always
from reconciler.model.claim import (
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    PersistentVolumeClaimStatus,
)
from reconciler.model.meta import KubeObject
from reconciler.model.reference import ObjectReference, SecretReference
from reconciler.model.scalar import Int32, ResourceList, Time
from reconciler.model.scheduling import NodeSelector
from reconciler.model.volumesource import (
    AWSElasticBlockStoreVolumeSource,
    AzureDiskVolumeSource,
    FCVolumeSource,
    FlockerVolumeSource,
    GCEPersistentDiskVolumeSource,
    HostPathVolumeSource,
    NFSVolumeSource,
    PhotonPersistentDiskVolumeSource,
    PortworxVolumeSource,
    QuobyteVolumeSource,
    VsphereVirtualDiskVolumeSource,
)

__all__ = [
    "PersistentVolume",
    "PersistentVolumeClaim",
    "PersistentVolumeClaimSpec",
    "PersistentVolumeClaimStatus",
    "PersistentVolumeSource",
    "PersistentVolumeSpec",
    "PersistentVolumeStatus",
]


class GlusterfsPersistentVolumeSource(Model):
    endpoints: str = always(str)
    path: str = always(str)
    read_only: bool = False
    endpoints_namespace: str | None = None


class RBDPersistentVolumeSource(Model):
    monitors: tuple[str, ...] = always(tuple)
    image: str = always(str)
    fs_type: str = ""
    pool: str = ""
    user: str = ""
    keyring: str = ""
    secret_ref: SecretReference | None = None
    read_only: bool = False


class ISCSIPersistentVolumeSource(Model):
    target_portal: str = always(str)
    iqn: str = always(str)
    lun: Int32 = always(int)
    iscsi_interface: str = ""
    fs_type: str = ""
    read_only: bool = False
    portals: tuple[str, ...] = ()
    chap_auth_discovery: bool = False
    chap_auth_session: bool = False
    secret_ref: SecretReference | None = None
    initiator_name: str | None = None


class CinderPersistentVolumeSource(Model):
    volume_id: str = always(str)
    fs_type: str = ""
    read_only: bool = False
    secret_ref: SecretReference | None = None


class CephFSPersistentVolumeSource(Model):
    monitors: tuple[str, ...] = always(tuple)
    path: str = ""
    user: str = ""
    secret_file: str = ""
    secret_ref: SecretReference | None = None
    read_only: bool = False


class FlexPersistentVolumeSource(Model):
    driver: str = always(str)
    fs_type: str = ""
    secret_ref: SecretReference | None = None
    read_only: bool = False
    options: dict[str, str] = EMPTY


class AzureFilePersistentVolumeSource(Model):
    secret_name: str = always(str)
    share_name: str = always(str)
    read_only: bool = False
    secret_namespace: str | None = always(lambda: None)


class ScaleIOPersistentVolumeSource(Model):
    gateway: str = always(str)
    system: str = always(str)
    secret_ref: SecretReference | None = always(lambda: None)
    ssl_enabled: bool = False
    protection_domain: str = ""
    storage_pool: str = ""
    storage_mode: str = ""
    volume_name: str = ""
    fs_type: str = ""
    read_only: bool = False


class LocalVolumeSource(Model):
    path: str = always(str)
    fs_type: str | None = None


class StorageOSPersistentVolumeSource(Model):
    volume_name: str = ""
    volume_namespace: str = ""
    fs_type: str = ""
    read_only: bool = False
    secret_ref: ObjectReference | None = None


class CSIPersistentVolumeSource(Model):
    driver: str = always(str)
    volume_handle: str = always(str)
    read_only: bool = False
    fs_type: str = ""
    volume_attributes: dict[str, str] = EMPTY
    controller_publish_secret_ref: SecretReference | None = None
    node_stage_secret_ref: SecretReference | None = None
    node_publish_secret_ref: SecretReference | None = None
    controller_expand_secret_ref: SecretReference | None = None
    node_expand_secret_ref: SecretReference | None = None


class PersistentVolumeSource(Model):
    gce_persistent_disk: GCEPersistentDiskVolumeSource | None = None
    aws_elastic_block_store: AWSElasticBlockStoreVolumeSource | None = None
    host_path: HostPathVolumeSource | None = None
    glusterfs: GlusterfsPersistentVolumeSource | None = None
    nfs: NFSVolumeSource | None = None
    rbd: RBDPersistentVolumeSource | None = None
    iscsi: ISCSIPersistentVolumeSource | None = None
    cinder: CinderPersistentVolumeSource | None = None
    cephfs: CephFSPersistentVolumeSource | None = None
    fc: FCVolumeSource | None = None
    flocker: FlockerVolumeSource | None = None
    flex_volume: FlexPersistentVolumeSource | None = None
    azure_file: AzureFilePersistentVolumeSource | None = None
    vsphere_volume: VsphereVirtualDiskVolumeSource | None = None
    quobyte: QuobyteVolumeSource | None = None
    azure_disk: AzureDiskVolumeSource | None = None
    photon_persistent_disk: PhotonPersistentDiskVolumeSource | None = None
    portworx_volume: PortworxVolumeSource | None = None
    scale_io: ScaleIOPersistentVolumeSource | None = None
    local: LocalVolumeSource | None = None
    storageos: StorageOSPersistentVolumeSource | None = None
    csi: CSIPersistentVolumeSource | None = None


class VolumeNodeAffinity(Model):
    required: NodeSelector | None = None


class ClaimReference(ObjectReference):
    """An ObjectReference whose members merge one by one (x-kubernetes-map-type: granular)."""

    atomic = False


class PersistentVolumeSpec(PersistentVolumeSource):
    capacity: ResourceList = EMPTY
    access_modes: tuple[str, ...] = ()
    claim_ref: ClaimReference | None = None
    persistent_volume_reclaim_policy: str = ""
    storage_class_name: str = ""
    mount_options: tuple[str, ...] = ()
    volume_mode: str | None = None
    node_affinity: VolumeNodeAffinity | None = None
    volume_attributes_class_name: str | None = None


class PersistentVolumeStatus(Model):
    phase: str = ""
    message: str = ""
    reason: str = ""
    last_phase_transition_time: Time | None = None


class PersistentVolume(KubeObject):
    api_version: Literal["v1"] = always(lambda: "v1")
    kind: Literal["PersistentVolume"] = always(lambda: "PersistentVolume")
    spec: PersistentVolumeSpec = always(PersistentVolumeSpec)
    status: PersistentVolumeStatus = always(PersistentVolumeStatus)
