"""Users, groups, profiles, sysctls, hostnames and secret arguments on real Docker."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.config import Secret
from tests.integration.realnode import SERVER, RealNode, docker, of_process
from tests.unit.kubelet.node import ready

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

ACCOUNTS = """FROM {image}
RUN echo 'app:x:1000:1001::/:/bin/sh' >>/etc/passwd && echo 'extra:x:50000:app' >>/etc/group
"""


def identity(pid: int) -> dict[str, list[str]]:
    """Return the numbers of Uid, Gid and Groups of a process, as the kernel has them."""
    rows = (line.partition(":") for line in of_process(pid, "status").splitlines())
    return {name: value.split() for name, _, value in rows if name in ("Uid", "Gid", "Groups")}


async def running_as(node: RealNode, name: str, image: str, **context: Any) -> dict[str, list[str]]:
    command = ["sh", "-c", "while :; do sleep 0.1; done"]
    await node.create(
        name, container={"image": image, "command": command}, securityContext=context,
        terminationGracePeriodSeconds=0,
    )  # fmt: skip
    pod = await node.until(ready, name)
    found = next(
        c for c in await node.containers() if f"_app_{name}_" in c.name and c.phase == "running"
    )
    seen, told = identity(found.pid), pod.status.container_statuses[0].user
    assert told is not None
    assert told.to_dict()["linux"] == {
        "uid": int(seen["Uid"][0]),
        "gid": int(seen["Gid"][0]),
        "supplementalGroups": [int(number) for number in seen["Groups"]],
    }
    return seen


async def test_the_groups_of_the_image_count_with_merge_and_not_with_strict(node: RealNode) -> None:
    image = "reconciler-test/accounts:1"
    docker("build", "-q", "-t", image, "-", stdin=ACCOUNTS.format(image=node.image))
    mine = {"runAsUser": 1000, "supplementalGroups": [7]}
    merged = await running_as(node, "merged", image, **mine, runAsGroup=5)
    assert (merged["Uid"][0], merged["Gid"][0]) == ("1000", "5")
    assert {"7", "50000"} <= set(merged["Groups"])
    strict = await running_as(node, "strict", image, **mine, supplementalGroupsPolicy="Strict")
    assert (strict["Uid"][0], strict["Gid"][0]) == ("1000", "1001")
    assert "7" in strict["Groups"]
    assert "50000" not in strict["Groups"]


async def test_a_secret_in_the_arguments_shows_nowhere_in_the_engine(node: RealNode) -> None:
    await node.client.create(
        Secret.model_validate_json(
            b'{"metadata":{"name":"s","namespace":"default"},"data":{"key":"czNjcmV0"}}'
        )
    )
    secret = {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}}
    script = 'echo "$0 $1 $S" >/said; trap "exit 0" TERM; while :; do sleep 0.1; done'
    await node.create(
        container={
            "command": ["sh", "-c", script],
            "args": ["--password=$(S)", "$$(S)"],
            "env": [secret],
            "readinessProbe": {
                "exec": {
                    "command": ["busybox", "grep", "-qF", "password=s3cret $(S) s3cret", "/said"]
                },
                "periodSeconds": 1,
            },
        }
    )
    await node.until(ready)
    app = await node.app()
    assert "s3cret" not in docker("inspect", app.id)
    assert "s3cret" not in str(node.events.told)
    assert "--password=s3cret" in of_process(app.pid, "cmdline")


async def test_a_seccomp_profile_of_the_host(node: RealNode) -> None:
    folder = node.root / "seccomp"
    folder.mkdir()
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}
    (folder / "no-folders.json").write_text(json.dumps(profile))
    await node.stop()
    node.options = replace(node.options, seccomp_profiles=folder)
    await node.start()
    local = {"type": "Localhost", "localhostProfile": "no-folders.json"}
    await node.create(
        container={
            "command": ["sh", "-c", "mkdir /x || touch /denied; exec sleep 600"],
            "securityContext": {"seccompProfile": local},
            "readinessProbe": {"exec": {"command": ["test", "-e", "/denied"]},
                               "periodSeconds": 1},
        },
        terminationGracePeriodSeconds=0,
    )  # fmt: skip
    await node.until(ready)
    gone = {"type": "Localhost", "localhostProfile": "gone.json"}
    await node.create("lost", securityContext={"seccompProfile": gone})
    pod = await node.until(lambda pod: _waits(pod) == "CreateContainerError", "lost")
    waiting = pod.status.container_statuses[0].state.waiting
    assert waiting is not None
    assert f'cannot load seccomp profile "{folder}/gone.json"' in waiting.message


def _waits(pod: Any) -> str:
    states = [status.state.waiting for status in pod.status.container_statuses]
    return states[0].reason if states and states[0] else ""


async def test_sysctls_that_the_settings_allow(node: RealNode) -> None:
    unsafe = {"sysctls": [{"name": "kernel.msgmax", "value": "4096"}]}
    await node.create("refused", securityContext=unsafe)
    failed = await node.until(lambda pod: pod.status.phase == "Failed", "refused")
    assert failed.status.reason == "SysctlForbidden"
    await node.stop()
    node.options = replace(node.options, unsafe_sysctls=("kernel.msg*",))
    await node.start()
    await node.create(container={"command": SERVER}, securityContext=unsafe)
    await node.until(ready)
    inside = docker("exec", (await node.app()).id, "cat", "/proc/sys/kernel/msgmax")
    assert inside.strip() == "4096"


async def test_a_host_without_apparmor_says_so(node: RealNode) -> None:
    version = await node.runtime.version()
    if "apparmor" in version.security:
        pytest.skip("this host has AppArmor: nothing is refused")
    await node.create(securityContext={"appArmorProfile": {"type": "RuntimeDefault"}})
    failed = await node.until(lambda pod: pod.status.phase == "Failed")
    assert failed.status.reason == "AppArmor"
    assert failed.status.message == (
        "Pod was rejected: Cannot enforce AppArmor: AppArmor is not enabled on the host"
    )


async def test_the_hostname_is_the_full_name_where_asked_for(node: RealNode) -> None:
    await node.create(
        container={"command": SERVER}, hostname="h", subdomain="sub", setHostnameAsFQDN=True
    )
    await node.until(ready)
    app = await node.app()
    assert docker("exec", app.id, "hostname").strip() == "h.sub.default.svc.cluster.local"
    assert docker("exec", app.id, "hostname", "-s").strip() == "h"
    await node.create("long", hostname="h" * 50, subdomain="sub", setHostnameAsFQDN=True)
    await node.until(lambda pod: "FailedCreatePodSandBox" in node.events.reasons("long"), "long")
    assert "is too long (64 characters is the max" in str(node.events.told)
