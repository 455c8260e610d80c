"""Volumes of mode Block on real Docker: a loop device is a disk as good as any."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.storage import PersistentVolume
from tests.integration.realnode import RealNode, docker
from tests.unit.kubelet.node import ready

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

WORDS = b"what the disk says"


@pytest.fixture
def disk(tmp_path: Path, host: None) -> Iterator[tuple[Path, str]]:
    """A file, and the block device that it is seen as."""
    file = tmp_path / "disk"
    file.write_bytes(WORDS + bytes((1 << 20) - len(WORDS)))
    made = subprocess.run(
        ["losetup", "--find", "--show", str(file)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"this host gives no loop devices: {made.stderr.strip()}")
    device = made.stdout.strip()
    yield file, device
    subprocess.run(["losetup", "--detach", device], check=True)


async def bound(node: RealNode, device: str, name: str, mode: str = "Block") -> None:
    """Create a volume of the device, and a claim that is bound to it."""
    volume = {
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Mi"},
            "accessModes": ["ReadWriteOnce"],
            "volumeMode": mode,
            "hostPath": {"path": device},
            "claimRef": {"namespace": "default", "name": name},
        },
    }
    claim = {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Mi"}},
            "volumeMode": mode,
            "volumeName": name,
        },
    }
    await node.client.create(PersistentVolume.model_validate_json(json.dumps(volume)))
    made = await node.client.create(PersistentVolumeClaim.model_validate_json(json.dumps(claim)))
    status = made.status.replace(phase="Bound")
    await node.client.update(made.replace(status=status), subresource="status")


def volumes(name: str, *, read_only: bool = False) -> list[dict[str, object]]:
    source = {"claimName": name, "readOnly": read_only}
    return [{"name": "d", "persistentVolumeClaim": source}]


async def test_a_container_reads_and_writes_a_block_device(
    node: RealNode, disk: tuple[Path, str]
) -> None:
    file, device = disk
    await bound(node, device, "disk")
    has = {"volumeDevices": [{"name": "d", "devicePath": "/dev/xvda"}]}
    script = "busybox dd if=/dev/xvda of=/said bs=18 count=1 && echo WHAT > /dev/xvda; sleep 600"
    await node.create(
        container={"command": ["sh", "-c", script]} | has,
        volumes=volumes("disk"),
        terminationGracePeriodSeconds=0,
    )
    await node.until(ready)
    app = await node.app()
    assert docker("exec", app.id, "ls", "-l", "/dev/xvda").startswith("b")
    await node.until(lambda _: file.read_bytes().startswith(b"WHAT\n"))
    assert docker("exec", app.id, "cat", "/said") == WORDS.decode()

    await node.create(
        "reader",
        container={"command": ["sh", "-c", "echo no >/dev/xvda || exec sleep 600"]} | has,
        volumes=volumes("disk", read_only=True),
        terminationGracePeriodSeconds=0,
    )
    await node.until(ready, "reader")


async def test_a_block_volume_is_no_file_system_and_a_file_no_device(
    node: RealNode, disk: tuple[Path, str]
) -> None:
    file, device = disk
    await bound(node, device, "disk")
    mount = {"volumeMounts": [{"name": "d", "mountPath": "/d"}]}
    await node.create(container={"command": ["true"]} | mount, volumes=volumes("disk"))
    words = "volume d has volumeMode Block, but is specified in volumeMounts"
    await node.until(lambda _: words in str(node.events.told))
    await bound(node, str(file), "file")
    has = {"volumeDevices": [{"name": "d", "devicePath": "/dev/xvda"}]}
    await node.create("file", container={"command": ["true"]} | has, volumes=volumes("file"))
    words = f"hostPath type check failed: {file} is not a block device"
    await node.until(lambda _: words in str(node.events.told), "file")
