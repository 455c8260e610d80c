"""Volumes of a Docker volume plugin, a real process, with the real daemon fed from Git.

On a host of its own: an engine asks a plugin that it has once known again and again, and each of
its calls about volumes then takes half a minute, until it is restarted.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.harness import Engine, Manifests, wait_for
from tests.integration.images import BUSYBOX
from tests.integration.privatehost import PrivateHost, private_host
from tests.integration.test_persistent_docker import APPROVED, messages, pod, shown

pytestmark = [pytest.mark.integration, pytest.mark.timeout(200)]

PLUGIN = "reconcilertest"
SOCKETS = "/run/docker/plugins"


class Plugin:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def asked(self, verb: str) -> list[dict[str, Any]]:
        log = self.folder / "asked"
        lines = log.read_text().splitlines() if log.exists() else []
        return [body for path, body in map(json.loads, lines) if path == f"/VolumeDriver.{verb}"]


@pytest.fixture
def own() -> Iterator[PrivateHost]:
    with private_host() as made:
        Path(SOCKETS).mkdir(parents=True, exist_ok=True)
        made.run("mount", "-t", "tmpfs", "tmpfs", SOCKETS)
        yield made


@pytest.fixture
def plugin(own: PrivateHost) -> Iterator[Plugin]:
    program, socket = Path(__file__).with_name("volumeplugin.py"), f"{SOCKETS}/{PLUGIN}.sock"
    command = (*own.enter, sys.executable, str(program), socket, str(own.folder))
    process = subprocess.Popen(command)
    try:
        wait_for(lambda: own.answers("test", "-S", socket), "the plugin's socket")
        yield Plugin(own.folder)
        assert [line for daemon in own.daemons for line in daemon.clean()] == []
        own.daemons.clear()
        for name in own.run("docker", "volume", "ls", "-q", "-f", f"driver={PLUGIN}").split():
            own.run("docker", "volume", "rm", name)
        own.stop_engine()
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def engine(own: PrivateHost) -> Iterator[Engine]:
    engine = Engine(f"unix://{own.folder}/docker.sock")
    yield engine
    engine.close()


def disk(name: str) -> dict[str, Any]:
    return {"awsElasticBlockStore": {"volumeID": name, "fsType": "ext4", "partition": 1}}


def test_a_plugin_is_asked_for_the_disk_as_the_template_says(
    git: Manifests, own: PrivateHost, engine: Engine, plugin: Plugin
) -> None:
    git.write("pod.yaml", pod("disk", BUSYBOX, "echo on-disk > /data/log", disk("vol-1")))
    git.write("refused.yaml", pod("refused", BUSYBOX, "true", disk("refuse")))
    source = {"rbd": {"monitors": ["a:6789"], "image": "i"}}
    git.write("unset.yaml", pod("unset", BUSYBOX, "true", source))
    git.commit("Use disks")
    daemon = own.launch(git, "--volume-drivers", f"awsElasticBlockStore={PLUGIN}")
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
