"""What a host cannot run is rejected with the kubelet's reason and words."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from reconciler.kubelet.podadmit import HostRules, pattern_fault, rejection
from tests.unit.kubelet.builders import pod
from tests.unit.kubelet.node import Node


def sysctl(name: str, **spec: Any) -> dict[str, Any]:
    return {"securityContext": {"sysctls": [{"name": name, "value": "1"}]}, **spec}


LABEL = {"seLinuxOptions": {"level": "s0"}}
PROFILE = {"appArmorProfile": {"type": "RuntimeDefault"}}


@pytest.mark.parametrize(
    ("spec", "reason", "message"),
    [
        (
            sysctl("kernel.msgmax"),
            "SysctlForbidden",
            'forbidden sysctl: "kernel.msgmax" not allowlisted',
        ),
        (
            sysctl("net/core/somaxconn"),
            "SysctlForbidden",
            'forbidden sysctl: "net.core.somaxconn" not allowlisted',
        ),
        (
            sysctl("net.ipv4.tcp_syncookies", hostNetwork=True),
            "SysctlForbidden",
            'forbidden sysctl: "net.ipv4.tcp_syncookies" not allowed with host net enabled',
        ),
        (
            sysctl("kernel.shm_rmid_forced", hostIPC=True),
            "SysctlForbidden",
            'forbidden sysctl: "kernel.shm_rmid_forced" not allowed with host ipc enabled',
        ),
        (
            {"securityContext": PROFILE},
            "AppArmor",
            "Cannot enforce AppArmor: AppArmor is not enabled on the host",
        ),
        (
            {"securityContext": LABEL},
            "SELinux",
            "Cannot apply seLinuxOptions: the engine runs without SELinux",
        ),
        (
            {"os": {"name": "windows"}},
            "PodOSNotSupported",
            "Failed to admit pod as the OS field doesn't match node OS",
        ),
        (
            {"hostUsers": False},
            "UserNamespaces",
            "Cannot map the users of one pod: its volumes would be nobody's",
        ),
    ],
)
def test_rejections(spec: dict[str, Any], reason: str, message: str) -> None:
    found = rejection(pod(**spec), HostRules())
    assert found is not None
    assert (found.reason, found.message) == (reason, message)


@pytest.mark.parametrize(
    ("spec", "rules"),
    [
        ({}, HostRules()),
        (sysctl("net.ipv4.ip_unprivileged_port_start"), HostRules()),
        (sysctl("kernel.msgmax"), HostRules(unsafe_sysctls=("kernel.msg*",))),
        (sysctl("net.core.somaxconn"), HostRules(unsafe_sysctls=("net.core.somaxconn",))),
        ({"securityContext": PROFILE}, HostRules(frozenset({"apparmor"}))),
        ({"securityContext": {"appArmorProfile": {"type": "Unconfined"}}}, HostRules()),
        ({"securityContext": LABEL}, HostRules(frozenset({"selinux"}))),
        ({"hostUsers": True}, HostRules()),
    ],
)
def test_what_may_run(spec: dict[str, Any], rules: HostRules) -> None:
    assert rejection(pod(**spec), rules) is None


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("kernel.msg*", ""),
        ("net.core.somaxconn", ""),
        ("net.*", ""),
        ("net.**", "must be either"),
        ("Kernel.msg", "must be either"),
        ("vm.swappiness", "not known to be of a namespace"),
    ],
)
def test_patterns_of_unsafe_sysctls(pattern: str, fault: str) -> None:
    assert fault in pattern_fault(pattern)
    assert bool(pattern_fault(pattern)) == bool(fault)


def test_a_rejected_pod_fails_and_nothing_is_made_of_it(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create(**sysctl("kernel.msgmax"))
        failed = await node.until(lambda pod: pod.status.phase == "Failed")
        assert failed.status.reason == "SysctlForbidden"
        assert failed.status.message == (
            'Pod was rejected: forbidden sysctl: "kernel.msgmax" not allowlisted'
        )
        assert node.events.reasons() == ["SysctlForbidden"]
        await asyncio.sleep(400)  # relists and all
        later = await node.pod()
        assert later is not None
        assert later.status == failed.status
        assert later.status.container_statuses == ()
        assert await node.containers() == []

    play(scene())
