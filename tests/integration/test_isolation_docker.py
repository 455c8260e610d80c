"""Rights, limits and namespaces of containers as the kernel has them, on real Docker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.kubelet.sandboxprofile import PROFILE
from reconciler.model.podstatus import ContainerStateTerminated
from tests.integration.images import ensure_busybox
from tests.integration.realnode import RealNode, docker, of_process
from tests.unit.kubelet.node import ready

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

SLEEPER = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
GREEDY = ["busybox", "tail", "/dev/zero"]
NET_BIND_SERVICE = 1 << 10


def tells_of_memory() -> bool:
    """Ask the engine itself: on hosts with both versions of control groups it may be deaf."""
    made = docker("create", "--memory", "16m", ensure_busybox(), *GREEDY).strip()
    try:
        docker("start", made)
        docker("wait", made)
        return docker("inspect", "--format", "{{.State.OOMKilled}}", made).strip() == "true"
    finally:
        docker("rm", "--force", made)


async def ended(node: RealNode) -> ContainerStateTerminated:
    pod = await node.until(lambda pod: pod.status.phase in ("Succeeded", "Failed"))
    state = pod.status.container_statuses[0].state.terminated
    assert state is not None
    return state


async def test_a_container_that_takes_too_much_memory_is_told_to_have_done_so(
    node: RealNode,
) -> None:
    if not tells_of_memory():
        pytest.skip("this host's engine does not hear whom the kernel kills for memory")
    greedy = {"command": GREEDY, "resources": {"limits": {"memory": "16Mi"}}}
    await node.create(container=greedy, restartPolicy="Never")
    end = await ended(node)
    assert (end.reason, end.exit_code) == ("OOMKilled", 137)


async def test_last_words_are_read_where_the_container_writes_them(node: RealNode) -> None:
    command = ["sh", "-c", "printf 'no more disks' >/tmp/why; exit 3"]
    speaking = {"command": command, "terminationMessagePath": "/tmp/why"}  # noqa: S108
    await node.create(container=speaking, restartPolicy="Never")
    end = await ended(node)
    assert (end.message, end.reason, end.exit_code) == ("no more disks", "Error", 3)


async def test_a_sandbox_is_confined_to_what_its_program_needs(node: RealNode) -> None:
    await node.create(container={"command": SLEEPER}, terminationGracePeriodSeconds=0)
    await node.until(ready)
    box = await node.sandbox()
    told = docker("inspect", "--format", "{{json .HostConfig.SecurityOpt}}", box.id)
    assert json.loads(told) == ["no-new-privileges", f"seccomp={PROFILE}"]
    assert "\nSeccomp:\t2\n" in of_process(box.pid, "status")  # a filter, as proc(5) has it


async def test_a_container_has_the_rights_that_it_is_given_and_no_more(node: RealNode) -> None:
    context = {
        "runAsUser": 1000,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
    }
    await node.create(
        container={"command": SLEEPER, "securityContext": context},
        terminationGracePeriodSeconds=0,
    )
    await node.until(ready)
    process = (await node.app()).pid
    status = dict(line.split(":\t", 1) for line in of_process(process, "status").splitlines())
    assert status["Uid"].split()[0] == "1000"
    assert status["NoNewPrivs"] == "1"
    assert int(status["CapBnd"], 16) == NET_BIND_SERVICE
    root = next(line.split() for line in of_process(process, "mounts").splitlines())
    assert (root[1], root[3].split(",")[0]) == ("/", "ro")
    assert of_process(process, "oom_score_adj").strip() == "1000"  # BestEffort


async def test_containers_see_each_others_processes_only_where_they_share_them(
    node: RealNode,
) -> None:
    def pids(process: int | str) -> Path:
        return Path(f"/proc/{process}/ns/pid").readlink()

    for name, shared in (("shared", True), ("alone", False)):
        await node.create(
            name,
            container={"command": SLEEPER},
            shareProcessNamespace=shared,
            terminationGracePeriodSeconds=0,
        )
        await node.until(ready, name)
        here = [c for c in await node.containers() if f"_{name}_" in c.name]
        sandbox, app = sorted(here, key=lambda each: "k8s_POD_" not in each.name)
        assert (pids(sandbox.pid) == pids(app.pid)) is shared
        assert pids(app.pid) != pids("self")


async def test_namespaces_of_the_host_are_given_where_asked_for(node: RealNode) -> None:
    def shared(process: int) -> set[str]:
        names = ("ipc", "net", "pid")
        links = {n: Path(f"/proc/{process}/ns/{n}").readlink() for n in names}
        return {n for n, link in links.items() if link == Path(f"/proc/self/ns/{n}").readlink()}

    for asked, name in (("hostIPC", "ipc"), ("hostNetwork", "net"), ("hostPID", "pid")):
        await node.create(
            name, container={"command": SLEEPER}, terminationGracePeriodSeconds=0, **{asked: True}
        )
        await node.until(ready, name)
        (app,) = [c for c in await node.containers() if f"k8s_app_{name}_" in c.name]
        assert shared(app.pid) == {name}
