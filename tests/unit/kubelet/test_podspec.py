"""A container of a pod in the engine's terms: where its volumes and the pod's own files lie."""

from __future__ import annotations

from pathlib import Path

from reconciler.kubelet.env import Environment
from reconciler.kubelet.podspec import HostLimits, Prepared, container_spec
from reconciler.kubelet.runtime import Image
from reconciler.kubelet.volumes.protocol import Ready
from tests.unit.kubelet.builders import pod

FILES = (("/run/hosts", "/etc/hosts"), ("/run/resolv", "/etc/resolv.conf"))


def mounted(*paths: str) -> dict[str, str]:
    mounts = [{"name": "v", "mountPath": path} for path in paths]
    wanted = pod(
        containers=[{"name": "app", "image": "app:1", "volumeMounts": mounts}],
        volumes=[{"name": "v", "emptyDir": {}}],
    )
    ready = Prepared(
        Image("i"), Environment({}), files=FILES, volumes={"v": Ready(Path("/volume"))}
    )
    (container,) = wanted.spec.containers
    spec = container_spec(wanted, container, 0, 0, "box", ready, HostLimits())
    return {mount.target: mount.source for mount in spec.mounts}


def test_a_mount_that_is_not_absolute_begins_at_the_root() -> None:
    assert mounted("data/x", "/y") == {
        "/data/x": "/volume",
        "/y": "/volume",
        "/etc/hosts": "/run/hosts",
        "/etc/resolv.conf": "/run/resolv",
    }


def test_a_volume_goes_before_a_file_of_the_pod() -> None:
    found = mounted("/etc/hosts/", "etc/resolv.conf")
    assert found == {"/etc/hosts/": "/volume", "/etc/resolv.conf": "/volume"}
