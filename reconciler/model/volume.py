"""Volumes of a pod. Sources shared with PersistentVolume are in `volumesource.py`."""

from __future__ import annotations

from reconciler.model.base import EMPTY, Model, always
from reconciler.model.claim import PersistentVolumeClaimSpec
from reconciler.model.container import ObjectFieldSelector, ResourceFieldSelector
from reconciler.model.meta import ObjectMeta
from reconciler.model.reference import LocalObjectReference
from reconciler.model.scalar import Int32, Int64, Quantity
from reconciler.model.selector import LabelSelector
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


class EmptyDirVolumeSource(Model):
    medium: str = ""
    size_limit: Quantity | None = None


class GitRepoVolumeSource(Model):
    repository: str = always(str)
    revision: str = ""
    directory: str = ""


class KeyToPath(Model):
    key: str = always(str)
    path: str = always(str)
    mode: Int32 | None = None


class SecretVolumeSource(Model):
    secret_name: str = ""
    items: tuple[KeyToPath, ...] = ()
    default_mode: Int32 | None = None
    optional: bool | None = None


class ConfigMapVolumeSource(Model):
    name: str = ""
    items: tuple[KeyToPath, ...] = ()
    default_mode: Int32 | None = None
    optional: bool | None = None


class ISCSIVolumeSource(Model):
    target_portal: str = always(str)
    iqn: str = always(str)
    lun: Int32 = always(int)
    iscsi_interface: str = ""
    fs_type: str = ""
    read_only: bool = False
    portals: tuple[str, ...] = ()
    chap_auth_discovery: bool = False
    chap_auth_session: bool = False
    secret_ref: LocalObjectReference | None = None
    initiator_name: str | None = None


class GlusterfsVolumeSource(Model):
    endpoints: str = always(str)
    path: str = always(str)
    read_only: bool = False


class PersistentVolumeClaimVolumeSource(Model):
    claim_name: str = always(str)
    read_only: bool = False


class RBDVolumeSource(Model):
    monitors: tuple[str, ...] = always(tuple)
    image: str = always(str)
    fs_type: str = ""
    pool: str = ""
    user: str = ""
    keyring: str = ""
    secret_ref: LocalObjectReference | None = None
    read_only: bool = False


class FlexVolumeSource(Model):
    driver: str = always(str)
    fs_type: str = ""
    secret_ref: LocalObjectReference | None = None
    read_only: bool = False
    options: dict[str, str] = EMPTY


class CinderVolumeSource(Model):
    volume_id: str = always(str)
    fs_type: str = ""
    read_only: bool = False
    secret_ref: LocalObjectReference | None = None


class CephFSVolumeSource(Model):
    monitors: tuple[str, ...] = always(tuple)
    path: str = ""
    user: str = ""
    secret_file: str = ""
    secret_ref: LocalObjectReference | None = None
    read_only: bool = False


class DownwardAPIVolumeFile(Model):
    path: str = always(str)
    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    mode: Int32 | None = None


class DownwardAPIVolumeSource(Model):
    items: tuple[DownwardAPIVolumeFile, ...] = ()
    default_mode: Int32 | None = None


class AzureFileVolumeSource(Model):
    secret_name: str = always(str)
    share_name: str = always(str)
    read_only: bool = False


class SecretProjection(Model):
    name: str = ""
    items: tuple[KeyToPath, ...] = ()
    optional: bool | None = None


class ConfigMapProjection(Model):
    name: str = ""
    items: tuple[KeyToPath, ...] = ()
    optional: bool | None = None


class DownwardAPIProjection(Model):
    items: tuple[DownwardAPIVolumeFile, ...] = ()


class ServiceAccountTokenProjection(Model):
    audience: str = ""
    expiration_seconds: Int64 | None = None
    path: str = always(str)


class ClusterTrustBundleProjection(Model):
    name: str | None = None
    signer_name: str | None = None
    label_selector: LabelSelector | None = None
    optional: bool | None = None
    path: str = always(str)


class VolumeProjection(Model):
    secret: SecretProjection | None = None
    downward_api: DownwardAPIProjection | None = None
    config_map: ConfigMapProjection | None = None
    service_account_token: ServiceAccountTokenProjection | None = None
    cluster_trust_bundle: ClusterTrustBundleProjection | None = None


class ProjectedVolumeSource(Model):
    sources: tuple[VolumeProjection, ...] = always(tuple)
    default_mode: Int32 | None = None


class ScaleIOVolumeSource(Model):
    gateway: str = always(str)
    system: str = always(str)
    secret_ref: LocalObjectReference | None = always(lambda: None)
    ssl_enabled: bool = False
    protection_domain: str = ""
    storage_pool: str = ""
    storage_mode: str = ""
    volume_name: str = ""
    fs_type: str = ""
    read_only: bool = False


class StorageOSVolumeSource(Model):
    volume_name: str = ""
    volume_namespace: str = ""
    fs_type: str = ""
    read_only: bool = False
    secret_ref: LocalObjectReference | None = None


class CSIVolumeSource(Model):
    driver: str = always(str)
    read_only: bool | None = None
    fs_type: str | None = None
    volume_attributes: dict[str, str] = EMPTY
    node_publish_secret_ref: LocalObjectReference | None = None


class PersistentVolumeClaimTemplate(Model):
    metadata: ObjectMeta = always(ObjectMeta)
    spec: PersistentVolumeClaimSpec = always(PersistentVolumeClaimSpec)


class EphemeralVolumeSource(Model):
    volume_claim_template: PersistentVolumeClaimTemplate | None = None


class ImageVolumeSource(Model):
    reference: str = ""
    pull_policy: str = ""


class VolumeSource(Model):
    host_path: HostPathVolumeSource | None = None
    empty_dir: EmptyDirVolumeSource | None = None
    gce_persistent_disk: GCEPersistentDiskVolumeSource | None = None
    aws_elastic_block_store: AWSElasticBlockStoreVolumeSource | None = None
    git_repo: GitRepoVolumeSource | None = None
    secret: SecretVolumeSource | None = None
    nfs: NFSVolumeSource | None = None
    iscsi: ISCSIVolumeSource | None = None
    glusterfs: GlusterfsVolumeSource | None = None
    persistent_volume_claim: PersistentVolumeClaimVolumeSource | None = None
    rbd: RBDVolumeSource | None = None
    flex_volume: FlexVolumeSource | None = None
    cinder: CinderVolumeSource | None = None
    cephfs: CephFSVolumeSource | None = None
    flocker: FlockerVolumeSource | None = None
    downward_api: DownwardAPIVolumeSource | None = None
    fc: FCVolumeSource | None = None
    azure_file: AzureFileVolumeSource | None = None
    config_map: ConfigMapVolumeSource | None = None
    vsphere_volume: VsphereVirtualDiskVolumeSource | None = None
    quobyte: QuobyteVolumeSource | None = None
    azure_disk: AzureDiskVolumeSource | None = None
    photon_persistent_disk: PhotonPersistentDiskVolumeSource | None = None
    projected: ProjectedVolumeSource | None = None
    portworx_volume: PortworxVolumeSource | None = None
    scale_io: ScaleIOVolumeSource | None = None
    storageos: StorageOSVolumeSource | None = None
    csi: CSIVolumeSource | None = None
    ephemeral: EphemeralVolumeSource | None = None
    image: ImageVolumeSource | None = None


class Volume(VolumeSource):
    name: str = always(str)
