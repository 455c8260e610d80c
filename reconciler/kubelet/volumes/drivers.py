"""Network volumes in Docker's words: which volume of which driver stands for a source. Pure.

nfs is mounted by Docker's own driver `local`. The other types need a Docker volume plugin, which
the setting `volume_drivers` names for each type. The template is the same for all of them and
told in docs/volumes.md: each field that is set becomes the driver option of the same name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from reconciler.kubelet.runtime import EngineVolume
from reconciler.kubelet.volumes.protocol import VolumeError
from reconciler.model.base import Model
from reconciler.model.volumesource import NFSVolumeSource

TYPES: Mapping[str, str] = {
    "gce_persistent_disk": "gcePersistentDisk",
    "aws_elastic_block_store": "awsElasticBlockStore",
    "iscsi": "iscsi",
    "glusterfs": "glusterfs",
    "rbd": "rbd",
    "cinder": "cinder",
    "cephfs": "cephfs",
    "fc": "fc",
    "flocker": "flocker",
    "vsphere_volume": "vsphereVolume",
    "quobyte": "quobyte",
    "azure_disk": "azureDisk",
    "photon_persistent_disk": "photonPersistentDisk",
    "portworx_volume": "portworxVolume",
    "storageos": "storageos",
}
"""The types that a plugin may serve: attribute and JSON name."""

_SECRETS = ("secretRef", "secretFile")


def nfs_volume(source: NFSVolumeSource, mount_options: tuple[str, ...] = ()) -> EngineVolume:
    """Return the volume that Docker's driver `local` mounts from an NFS server."""
    mode = "ro" if source.read_only else "rw"
    options = {
        "type": "nfs",
        "o": ",".join((f"addr={source.server}", mode, *mount_options)),
        "device": f":{source.path}",
    }
    return _named("nfs", "local", options)


def plugin_volume(
    field: str,
    source: Model,
    drivers: Mapping[str, str],
    servers: tuple[str, ...] = (),
    mount_options: tuple[str, ...] = (),
) -> EngineVolume:
    """Return the volume of the configured plugin for a source of type `field` (its JSON name).

    `servers` are the addresses behind glusterfs' endpoints. Raises `VolumeError`.
    """
    driver = drivers.get(field)
    if not driver:
        raise VolumeError(
            f"no Docker volume driver is configured for {field}: name one in the setting "
            f"volumeDrivers: {{{field}: NAME}}"
        )
    fields = source.to_dict()
    for secret in _SECRETS:
        if fields.get(secret):
            raise VolumeError(
                f"{field}.{secret} is not supported: the driver's options can be read by anyone "
                "who may list Docker's volumes"
            )
    options = {name: _text(value) for name, value in fields.items() if value not in (None, "")}
    if servers:
        options["servers"] = ",".join(servers)
    if mount_options:
        options["mountOptions"] = ",".join(mount_options)
    return _named(field, driver, options)


def _text(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return ",".join(map(_text, value))
        case _:
            return str(value)


def _named(field: str, driver: str, options: dict[str, str]) -> EngineVolume:
    """Name the volume by what it is: equal sources share one, also between pods."""
    content = json.dumps([driver, options], sort_keys=True).encode()
    name = f"k8s_{field}_{hashlib.sha256(content).hexdigest()[:16]}"
    return EngineVolume(name, driver, tuple(sorted(options.items())))
