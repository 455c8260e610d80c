"""Volumes of a Docker volume plugin, a real process, with the real daemon fed from Git.

In a file of its own that runs last: an engine asks a plugin that it has once known again and
again, and each of its own calls about volumes then takes half a minute, until it is restarted.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Launch
from tests.integration.harness import Engine, Manifests, wait_for
from tests.integration.test_persistent_docker import APPROVED, messages, pod, shown

pytestmark = [pytest.mark.integration, pytest.mark.timeout(200)]

PLUGIN = "reconcilertest"


class Plugin:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def asked(self, verb: str) -> list[dict[str, Any]]:
        log = self.folder / "asked"
        lines = log.read_text().splitlines() if log.exists() else []
        return [body for path, body in map(json.loads, lines) if path == f"/VolumeDriver.{verb}"]


@pytest.fixture
def plugin(host: None, tmp_path: Path) -> Iterator[Plugin]:
    folder = tmp_path / "plugin"
    folder.mkdir()
    socket = Path(f"/run/docker/plugins/{PLUGIN}.sock")
    program = Path(__file__).with_name("volumeplugin.py")
    process = subprocess.Popen([sys.executable, str(program), str(socket), str(folder)])
    try:
        wait_for(socket.exists, "the plugin's socket")
        yield Plugin(folder)
    finally:
        command = ["docker", "volume", "ls", "--quiet", "--filter", f"driver={PLUGIN}"]
        names = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        for name in names.split():
            subprocess.run(["docker", "volume", "rm", name], capture_output=True, check=False)
        process.terminate()
        process.wait()
        socket.unlink(missing_ok=True)


def disk(name: str) -> dict[str, Any]:
    return {"awsElasticBlockStore": {"volumeID": name, "fsType": "ext4", "partition": 1}}


def test_a_plugin_is_asked_for_the_disk_as_the_template_says(
    git: Manifests, launch: Launch, engine: Engine, busybox: str, plugin: Plugin
) -> None:
    git.write("pod.yaml", pod("disk", busybox, "echo on-disk > /data/log", disk("vol-1")))
    git.write("refused.yaml", pod("refused", busybox, "true", disk("refuse")))
    source = {"rbd": {"monitors": ["a:6789"], "image": "i"}}
    git.write("unset.yaml", pod("unset", busybox, "true", source))
    git.commit("Use disks")
    daemon = launch(git.folder, "--volume-drivers", f"awsElasticBlockStore={PLUGIN}")
    wait_for(lambda: shown(engine, "disk") == "on-disk\n", "the pod on the plugin's disk")
    (made,) = [each for each in plugin.asked("Create") if each["Opts"]["volumeID"] == "vol-1"]
    assert made["Opts"] == {"volumeID": "vol-1", "fsType": "ext4", "partition": "1"}
    assert [each["Name"] for each in plugin.asked("Mount")] == [made["Name"]]
    setting = "volumeDrivers: {rbd: NAME}"
    wait_for(
        lambda: any(setting in text for text in messages(daemon, "FailedMount")),
        "an event that names the setting",
    )
    wait_for(
        lambda: any("no such disk" in text for text in messages(daemon, "FailedMount")),
        "the plugin's own words on the pod",
    )
    git.delete("pod.yaml")
    git.commit(f"Leave the disk\n\n{APPROVED}")
    wait_for(lambda: plugin.asked("Unmount"), "the disk to be unmounted")
    wait_for(lambda: not engine.running("disk", "test"), "the pod to go")
    assert plugin.asked("Remove") == []
