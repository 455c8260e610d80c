"""Rules of the volume sources that pods and PersistentVolumes spell alike or nearly so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reconciler.admission.errors import Errors, GoValue, invalid, not_supported, required
from reconciler.admission.rules import names
from reconciler.model import schema
from reconciler.model.base import Model
from reconciler.model.volumesource import (
    AzureDiskVolumeSource,
    FCVolumeSource,
    FlockerVolumeSource,
    HostPathVolumeSource,
    NFSVolumeSource,
)

HOST_PATH_TYPES = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate",
    "Socket",
)  # fmt: skip
LUN_MAX = 255
_LUN = "must be between 0 and 255, inclusive"
_QUALIFIERS = ("iqn", "eui", "naa")


def needs(source: Model, path: str, *fields: str) -> Errors:
    """Yield a Required for each of `fields` (JSON names) that is empty."""
    attributes = schema.python_names(type(source))
    for field in fields:
        if not getattr(source, attributes[field]):
            yield required(f"{path}.{field}")


def host_path(source: HostPathVolumeSource, path: str) -> Errors:
    """ValidateHostPathVolumeSource."""
    if not source.path:
        yield required(f"{path}.path")
        return
    yield from names.each(f"{path}.path", source.path, names.path_without_backsteps(source.path))
    if source.type is not None and source.type not in HOST_PATH_TYPES:
        yield not_supported(f"{path}.type", source.type, HOST_PATH_TYPES)


def _nfs(source: NFSVolumeSource, path: str) -> Errors:
    yield from needs(source, path, "server", "path")
    if source.path and not source.path.startswith("/"):
        yield invalid(f"{path}.path", source.path, "must be an absolute path")


def _iscsi(source: Any, path: str) -> Errors:
    yield from needs(source, path, "targetPortal", "iqn")
    if source.iqn and not source.iqn.startswith(_QUALIFIERS):
        text = "must be valid format starting with iqn, eui, or naa"
        yield invalid(f"{path}.iqn", source.iqn, text)
    if not 0 <= source.lun <= LUN_MAX:
        yield invalid(f"{path}.lun", source.lun, _LUN)
    if (source.chap_auth_discovery or source.chap_auth_session) and source.secret_ref is None:
        yield required(f"{path}.secretRef")
    initiator = source.initiator_name
    if initiator is not None and not initiator.startswith(_QUALIFIERS):
        text = "must be valid format starting with iqn, eui, or naa"
        yield invalid(f"{path}.initiatorname", initiator, text)


def _cinder(source: Any, path: str) -> Errors:
    yield from needs(source, path, "volumeID")
    if source.secret_ref is not None and not source.secret_ref.name:
        yield required(f"{path}.secretRef.name")


def _flocker(source: FlockerVolumeSource, path: str) -> Errors:
    if not source.dataset_name and not source.dataset_uuid:
        yield required(path, "one of datasetName and datasetUUID is required")
    if source.dataset_name and source.dataset_uuid:
        text = "datasetName and datasetUUID can not be specified simultaneously"
        yield invalid(path, "resource", text)
    if "/" in source.dataset_name:
        yield invalid(f"{path}.datasetName", source.dataset_name, "must not contain '/'")


def _fc(source: FCVolumeSource, path: str) -> Errors:
    where = f"{path}.targetWWNs"
    if not source.target_wwns and not source.wwids:
        yield required(where, "must specify either targetWWNs or wwids, but not both")
    if source.target_wwns and source.wwids:
        text = "targetWWNs and wwids can not be specified simultaneously"
        yield invalid(where, source.target_wwns, text)
    if source.target_wwns and source.lun is None:
        yield required(f"{path}.lun", "lun is required if targetWWNs is specified")
    elif source.target_wwns and source.lun is not None and not 0 <= source.lun <= LUN_MAX:
        yield invalid(f"{path}.lun", source.lun, _LUN)


def _flex(source: Any, path: str) -> Errors:
    yield from needs(source, path, "driver")
    for key in source.options:
        domain = key.partition("/")[0]
        if "/" in key and (domain == "kubernetes.io" or domain.endswith(".kubernetes.io")):
            text = "kubernetes.io domains are reserved"
            yield invalid(f"{path}.options[{key}]", GoValue(key), text)


def _azure_disk(source: AzureDiskVolumeSource, path: str) -> Errors:
    yield from needs(source, path, "diskName", "diskURI")
    for field, value, supported in (
        ("cachingMode", source.caching_mode, ("None", "ReadOnly", "ReadWrite")),
        ("kind", source.kind, ("Dedicated", "Managed", "Shared")),
    ):
        if value is not None and value not in supported:
            yield not_supported(f"{path}.{field}", value, supported)


def _quobyte(source: Any, path: str) -> Errors:
    if not source.registry:
        text = "must be a host:port pair or multiple pairs separated by commas"
        yield required(f"{path}.registry", text)
    yield from needs(source, path, "volume")


def _plain(*fields: str) -> Callable[[Any, str], Errors]:
    """Make the rule of a source that only needs some fields."""
    return lambda source, path: needs(source, path, *fields)


SHARED: tuple[tuple[str, str, Callable[[Any, str], Errors]], ...] = (
    ("host_path", "hostPath", host_path),
    ("gce_persistent_disk", "gcePersistentDisk", _plain("pdName")),
    ("aws_elastic_block_store", "awsElasticBlockStore", _plain("volumeID")),
    ("nfs", "nfs", _nfs),
    ("iscsi", "iscsi", _iscsi),
    ("glusterfs", "glusterfs", _plain("endpoints", "path")),
    ("rbd", "rbd", _plain("monitors", "image")),
    ("cinder", "cinder", _cinder),
    ("cephfs", "cephfs", _plain("monitors")),
    ("flocker", "flocker", _flocker),
    ("fc", "fc", _fc),
    ("flex_volume", "flexVolume", _flex),
    ("azure_file", "azureFile", _plain("secretName", "shareName")),
    ("vsphere_volume", "vsphereVolume", _plain("volumePath")),
    ("photon_persistent_disk", "photonPersistentDisk", _plain("pdID")),
    ("portworx_volume", "portworxVolume", _plain("volumeID")),
    ("azure_disk", "azureDisk", _azure_disk),
    ("storageos", "storageos", _plain("volumeName")),
    ("scale_io", "scaleIO", _plain("gateway", "system", "volumeName")),
    ("quobyte", "quobyte", _quobyte),
)
"""Attribute, JSON name and rule of each shared source."""
