"""Which engine volume stands for a network volume, and what is refused with a reason."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.kubelet.volumes.drivers import TYPES, nfs_volume, plugin_volume
from reconciler.kubelet.volumes.protocol import VolumeError
from reconciler.model.storage import RBDPersistentVolumeSource
from reconciler.model.volume import Volume
from reconciler.model.volumesource import AWSElasticBlockStoreVolumeSource, NFSVolumeSource


def test_nfs_is_what_dockers_own_driver_mounts() -> None:
    source = NFSVolumeSource(server="files.example", path="/export", read_only=True)
    made = nfs_volume(source, ("nfsvers=4.1", "soft"))
    assert made.driver == "local"
    assert dict(made.options) == {
        "type": "nfs",
        "o": "addr=files.example,ro,nfsvers=4.1,soft",
        "device": ":/export",
    }
    assert made.name != nfs_volume(source.replace(read_only=False)).name
    assert made == nfs_volume(source, ("nfsvers=4.1", "soft"))


def test_each_field_that_is_set_becomes_an_option() -> None:
    source = AWSElasticBlockStoreVolumeSource(
        volume_id="vol-1", fs_type="ext4", partition=2, read_only=True
    )
    made = plugin_volume("awsElasticBlockStore", source, {"awsElasticBlockStore": "disks"})
    assert made.driver == "disks"
    assert dict(made.options) == {
        "volumeID": "vol-1", "fsType": "ext4", "partition": "2", "readOnly": "true",
    }  # fmt: skip
    rbd = RBDPersistentVolumeSource(monitors=("a:1", "b:2"), image="disk")
    assert dict(plugin_volume("rbd", rbd, {"rbd": "r"}).options)["monitors"] == "a:1,b:2"


def test_without_a_driver_the_setting_is_named() -> None:
    source = AWSElasticBlockStoreVolumeSource(volume_id="vol-1")
    with pytest.raises(VolumeError, match=r"volumeDrivers: \{awsElasticBlockStore: NAME\}"):
        plugin_volume("awsElasticBlockStore", source, {"rbd": "r"})


@pytest.mark.parametrize("field", ["secretRef", "secretFile"])
def test_a_secret_is_never_an_option(field: str) -> None:
    body: dict[str, Any] = {
        "monitors": ("a",),
        field: "/f" if field == "secretFile" else {"name": "s"},
    }
    source = Volume.model_validate({"name": "v", "cephfs": body}).cephfs
    assert source is not None
    with pytest.raises(VolumeError, match=f"cephfs.{field} is not supported"):
        plugin_volume("cephfs", source, {"cephfs": "c"})


def test_every_type_is_a_volume_source() -> None:
    for attribute, field in TYPES.items():
        assert Volume.model_fields[attribute].alias == field
