"""Claims, volumes and their data on real Docker, with the real daemon fed from Git."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.event import Event
from reconciler.model.meta import KubeObject
from tests.integration.conftest import Launch
from tests.integration.harness import (
    Daemon,
    Engine,
    Manifests,
    wait_for,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(200)]

APPROVED = "reconciler.dev/approve: prune"
WAIT = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"


def claim(name: str = "data", **spec: Any) -> str:
    body = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    meta = {"name": name, "namespace": "test"}
    return json.dumps(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": body}
    )


def pod(name: str, image: str, script: str, source: dict[str, Any], **spec: Any) -> str:
    main = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", f"{script}; {WAIT}"],
        "volumeMounts": [{"name": "v", "mountPath": "/data"}],
    }
    body = {
        "terminationGracePeriodSeconds": 1,
        "containers": [main],
        "volumes": [{"name": "v", **source}],
        **spec,
    }
    meta = {"name": name, "namespace": "test"}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": body})


CLAIM = {"persistentVolumeClaim": {"claimName": "data"}}


def volumes() -> set[str]:
    command = ["docker", "volume", "ls", "--quiet", "--filter", "label=reconciler.dev/managed"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {name for name in done.stdout.split() if name.startswith("pvc-")}


def shown(engine: Engine, pod: str, path: str = "/data/log") -> str:
    running = engine.running(pod, "test")
    return engine.execute(running[pod], "cat", path) if pod in running else ""


def restart_host(daemon: Daemon, engine: Engine) -> None:
    """Leave what a restart of the host leaves: no process, no mount and no link of ours."""
    for each in engine.containers("test"):
        engine.kill(each)
    for line in reversed(Path("/proc/mounts").read_text().splitlines()):
        target = line.split()[1]
        if Path(target).is_relative_to(daemon.run_dir):
            subprocess.run(["umount", "--lazy", target], check=True)
    shutil.rmtree(daemon.run_dir)
    subprocess.run(["ip", "link", "delete", "reconciler0"], check=True)


def test_data_outlive_pods_daemons_and_hosts_and_go_with_the_claim_alone(
    git: Manifests, launch: Launch, engine: Engine, busybox: str
) -> None:
    before = volumes()
    git.write("claim.yaml", claim())
    git.write("pod.yaml", pod("writer", busybox, "echo first >> /data/log", CLAIM))
    git.commit("Keep data")
    daemon = launch(git.folder)
    wait_for(lambda: shown(engine, "writer") == "first\n", "the writer's line")
    (made,) = volumes() - before

    git.delete("pod.yaml")
    git.write("reader.yaml", pod("reader", busybox, "echo second >> /data/log", CLAIM))
    git.commit(f"Another pod\n\n{APPROVED}")
    wait_for(lambda: shown(engine, "reader") == "first\nsecond\n", "the data in another pod")
    daemon.kill()
    daemon.start()
    wait_for(lambda: shown(engine, "reader") == "first\nsecond\n", "the data after a crash")
    daemon.kill()
    restart_host(daemon, engine)
    daemon.start()
    lines = "first\nsecond\nsecond\n"
    wait_for(lambda: shown(engine, "reader") == lines, "the data after the host's restart")
    assert volumes() - before == {made}

    git.delete("reader.yaml")
    git.delete("claim.yaml")
    daemon.stop()
    git.commit(f"Give the data up\n\n{APPROVED}")
    plan = daemon.command("plan", "--source", str(git.folder), check=False)
    assert f"wipe    volume {made} of claim test/data" in plan.stdout, plan.stdout
    daemon.start()
    wait_for(lambda: not volumes() - before, "the volume to go with its claim")


def test_a_retained_volume_on_the_host_keeps_its_data(
    git: Manifests, launch: Launch, engine: Engine, busybox: str, tmp_path: Path
) -> None:
    place = tmp_path / "disk"
    place.mkdir()
    spec = {
        "capacity": {"storage": "2Gi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": str(place), "type": "Directory"},
    }
    volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "disk"}}
    git.write("volume.yaml", json.dumps({**volume, "spec": spec}))
    git.write("claim.yaml", claim(storageClassName=""))
    script = "echo here > /data/log; touch /data/sub || true"
    git.write("pod.yaml", pod("writer", busybox, script, CLAIM))
    git.commit("Use a folder")
    daemon = launch(git.folder)
    wait_for(lambda: shown(engine, "writer") == "here\n", "the pod on the host's folder")
    git.delete("pod.yaml")
    git.delete("claim.yaml")
    git.commit(f"Give the claim up\n\n{APPROVED}")
    plan = daemon.command("plan", "--source", str(git.folder), check=False)
    wait_for(lambda: not engine.containers("test"), "the pod to go")
    wait_for(lambda: _phase(daemon, "disk") == "Released", "the volume to be released")
    assert (place / "log").read_text() == "here\n"
    if plan.returncode == 2:  # the sync may have been faster
        assert "keep    volume disk of claim test/data" in plan.stdout


def _phase(daemon: Daemon, name: str) -> str:
    from reconciler.model.storage import PersistentVolume

    found = [v for v in _objects(daemon, PersistentVolume) if v.metadata.name == name]
    return found[0].status.phase if found else ""


def _objects(daemon: Daemon, kind: type[KubeObject]) -> list[Any]:
    from reconciler.cli.reading import open_world
    from reconciler.settings import load

    with open_world(load({"state_dir": str(daemon.state_dir)})) as world:
        return list(world.all(kind))


def messages(daemon: Daemon, reason: str) -> list[str]:
    return [event.message for event in _objects(daemon, Event) if event.reason == reason]


def test_an_ephemeral_volume_lives_and_ends_with_its_pod(
    git: Manifests, launch: Launch, engine: Engine, busybox: str
) -> None:
    before = volumes()
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    source = {"ephemeral": {"volumeClaimTemplate": {"spec": spec}}}
    own = {"securityContext": {"runAsUser": 1000, "fsGroup": 2000}}
    git.write("pod.yaml", pod("scratch", busybox, "echo mine > /data/log", source, **own))
    git.commit("Use scratch space")
    launch(git.folder)
    wait_for(lambda: shown(engine, "scratch") == "mine\n", "a user's write by its fsGroup")
    assert len(volumes() - before) == 1
    git.delete("pod.yaml")
    git.commit(f"Done\n\n{APPROVED}")
    wait_for(lambda: not volumes() - before, "the volume to end with its pod")


def test_docker_is_asked_for_nfs_and_its_refusal_is_told(
    git: Manifests, launch: Launch, engine: Engine, busybox: str
) -> None:
    source = {"nfs": {"server": "127.0.0.1", "path": "/export", "readOnly": True}}
    git.write("pod.yaml", pod("files", busybox, "true", source))
    git.commit("Use NFS")
    daemon = launch(git.folder)
    name = wait_for(_nfs_volume, "Docker's volume")
    inspected = subprocess.run(
        ["docker", "volume", "inspect", name], capture_output=True, text=True, check=True
    )
    (made,) = json.loads(inspected.stdout)
    assert made["Options"] == {"type": "nfs", "o": "addr=127.0.0.1,ro", "device": ":/export"}
    wait_for(
        lambda: any("failed to mount local volume" in text for text in messages(daemon, "Failed")),
        "Docker's refusal on the pod",
    )
    git.delete("pod.yaml")
    git.commit(f"Without NFS\n\n{APPROVED}")
    wait_for(lambda: not _nfs_volume(), "the volume to go")


def _nfs_volume() -> str:
    command = ["docker", "volume", "ls", "--quiet", "--filter", "name=k8s_nfs_"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
