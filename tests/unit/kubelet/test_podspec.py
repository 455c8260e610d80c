"""A container of a pod in the engine's terms: its namespaces, its volumes, the pod's own files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.kubelet.env import Environment
from reconciler.kubelet.podspec import HostLimits, Prepared, container_spec, sandbox_spec
from reconciler.kubelet.runtime import ContainerSpec, Image
from reconciler.kubelet.volumes.protocol import Ready
from tests.unit.kubelet.builders import pod

FILES = (("/run/hosts", "/etc/hosts"), ("/run/resolv", "/etc/resolv.conf"))


def made(*mounts: dict[str, str], **spec: Any) -> ContainerSpec:
    wanted = pod(
        containers=[{"name": "app", "image": "app:1", "volumeMounts": list(mounts)}],
        volumes=[{"name": "v", "emptyDir": {}}],
        **spec,
    )
    ready = Prepared(
        Image("i"), Environment({}), files=FILES, volumes={"v": Ready(Path("/volume"))}
    )
    (container,) = wanted.spec.containers
    return container_spec(wanted, container, 0, 0, "box", ready, HostLimits())


def mounted(*paths: str) -> dict[str, str]:
    spec = made(*({"name": "v", "mountPath": path} for path in paths))
    return {mount.target: mount.source for mount in spec.mounts}


@pytest.mark.parametrize(
    ("asked", "engine"),
    [
        ("", "rprivate"),
        ("None", "rprivate"),
        ("HostToContainer", "rslave"),
        ("Bidirectional", "rshared"),
    ],
)
def test_mount_propagation_in_the_engines_words(asked: str, engine: str) -> None:
    mount = {"name": "v", "mountPath": "/v", **({"mountPropagation": asked} if asked else {})}
    assert [each.propagation for each in made(mount).mounts if each.target == "/v"] == [engine]


@pytest.mark.parametrize(
    ("asked", "container", "sandbox"),
    [
        ({}, ("container:box", "container:box", ""), ("none", "shareable", "")),
        ({"hostNetwork": True}, ("host", "container:box", ""), ("host", "shareable", "")),
        ({"hostIPC": True}, ("container:box", "host", ""), ("none", "host", "")),
        (
            {"hostPID": True},
            ("container:box", "container:box", "host"),
            ("none", "shareable", "host"),
        ),
        (
            {"shareProcessNamespace": True},
            ("container:box", "container:box", "container:box"),
            ("none", "shareable", ""),
        ),
    ],
)
def test_namespaces_are_the_sandboxs_or_the_hosts(
    asked: dict[str, bool], container: tuple[str, ...], sandbox: tuple[str, ...]
) -> None:
    app = made(**asked)
    box = sandbox_spec(pod(**asked), 0, "10.244.0.2", "pause", "web", HostLimits(), "")
    assert (app.network, app.ipc, app.pid) == container
    assert (box.network, box.ipc, box.pid) == sandbox
    assert bool(box.hostname) is ("hostNetwork" not in asked)


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
