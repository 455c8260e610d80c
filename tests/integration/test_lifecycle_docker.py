"""Init containers, sidecars, hooks and probes on real Docker."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.config import Secret
from reconciler.model.container import EphemeralContainer
from reconciler.model.pod import Pod
from reconciler.model.podstatus import ContainerStatus
from tests.integration.realnode import SERVER, RealNode, became, docker, of_process
from tests.unit.kubelet.node import ready

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

VOLUME = {"volumes": [{"name": "d", "emptyDir": {}}]}
MOUNT = {"volumeMounts": [{"name": "d", "mountPath": "/d"}]}
# Leaves a word at its end, as a program with something to put away would.
POLITE = "trap 'echo {name} >>/d/log; exit 0' TERM; while :; do sleep 0.1; done"


def shell(node: RealNode, name: str, script: str, **fields: Any) -> dict[str, Any]:
    command = ["sh", "-c", script]
    return {"name": name, "image": node.image, "command": command, **MOUNT, **fields}


def log(node: RealNode, pod: Pod) -> Path:
    folder = node.root / "state" / "pods" / pod.metadata.uid / "volumes"
    return next(folder.glob("*/d")) / "log"


async def test_containers_run_and_end_in_their_order(node: RealNode) -> None:
    always = {"restartPolicy": "Always"}
    # The host's own folder: an emptyDir goes with the pod's last container.
    kept = node.root / "kept"
    kept.mkdir()
    await node.create(
        volumes=[{"name": "d", "hostPath": {"path": str(kept)}}],
        initContainers=[
            shell(node, "first", "echo first >>/d/log"),
            shell(node, "one", "echo one >>/d/log; " + POLITE.format(name="one-ends"), **always),
            shell(node, "two", "echo two >>/d/log; " + POLITE.format(name="two-ends"), **always,
                  startupProbe={"exec": {"command": ["test", "-s", "/d/log"]},
                                "periodSeconds": 1}),
            shell(node, "last", "echo last >>/d/log"),
        ],
        container=shell(node, "app", "echo app >>/d/log"),
        restartPolicy="Never",
    )  # fmt: skip
    pod = await node.until(lambda pod: pod.status.phase == "Succeeded", limit=40)
    said = (kept / "log").read_text().split()
    assert said == ["first", "one", "two", "last", "app", "two-ends", "one-ends"]
    assert all(s.ready for s in pod.status.init_container_statuses[::3])


async def test_hooks_run_in_the_container_with_its_secrets(node: RealNode) -> None:
    await node.client.create(
        Secret.model_validate_json(
            b'{"metadata":{"name":"s","namespace":"default"},"data":{"key":"czNjcmV0"}}'
        )
    )
    secret = {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}}
    check = ["sh", "-c", 'test "$S" = s3cret']
    await node.create(
        **VOLUME,
        container=shell(
            node,
            "app",
            POLITE.format(name="signal"),
            env=[secret],
            readinessProbe={"exec": {"command": check}},
            lifecycle={
                "postStart": {"exec": {"command": ["sh", "-c", 'echo "post $S" >>/d/log']}},
                "preStop": {"exec": {"command": ["sh", "-c", 'echo "pre $S" >>/d/log; sleep 1']}},
            },
        ),
    )
    pod = await node.until(ready)
    assert log(node, pod).read_text() == "post s3cret\n"
    assert "s3cret" not in docker("inspect", (await node.app()).id)
    assert "s3cret" not in str(node.events.told)
    with log(node, pod).open() as file:
        await node.client.delete(Pod, "web", "default")
        took = await node.until_gone(limit=20)
        assert file.read() == "post s3cret\npre s3cret\nsignal\n"
    assert 1 < took < 10


async def test_hooks_ask_by_http_and_tcp(node: RealNode) -> None:
    wait = {"name": "X", "value": "x"}
    hook = {"postStart": {"httpGet": {"port": 8080, "path": "/nothing-there"}},
            "preStop": {"tcpSocket": {"port": 8080}}}  # fmt: skip
    await node.create(container={"command": SERVER, "env": [wait], "lifecycle": hook})
    pod = await node.until(lambda pod: ready(pod) or _restarted(pod), limit=30)
    if _restarted(pod):  # its server listened later than the hook asked: the next one may not
        assert "FailedPostStartHook" in node.events.reasons()
        return
    await node.client.delete(Pod, "web", "default")
    await node.until_gone(limit=20)
    assert "FailedPreStopHook" not in node.events.reasons(), node.events.told


def _restarted(pod: Pod) -> bool:
    return any(status.restart_count for status in pod.status.container_statuses)


async def test_many_slow_hooks_hold_up_no_probe(node: RealNode) -> None:
    slow = {"postStart": {"exec": {"command": ["sleep", "60"]}}}
    containers = [shell(node, f"c{n}", POLITE.format(name="x"), lifecycle=slow) for n in range(12)]
    await node.create("slow", **VOLUME, containers=containers)
    await node.until(lambda pod: _running(pod) == 12, "slow", limit=60)
    probe = {"exec": {"command": ["true"]}, "timeoutSeconds": 2, "periodSeconds": 1}
    await node.create(container={"command": SERVER, "readinessProbe": probe})
    await node.until(ready, limit=15)


def _running(pod: Pod) -> int:
    return sum(status.state.running is not None for status in pod.status.container_statuses)


async def test_a_shorter_grace_cuts_a_pre_stop_hook_off(node: RealNode) -> None:
    hook = {"preStop": {"exec": {"command": ["sleep", "600"]}}}
    await node.create(container={"command": SERVER, "lifecycle": hook})
    await node.until(ready)
    began = node.clock.monotonic()
    await node.client.delete(Pod, "web", "default")
    await asyncio.sleep(1)
    await node.client.delete(Pod, "web", "default", grace_period_seconds=2)
    await node.until_gone(limit=20)
    assert node.clock.monotonic() - began < 8


async def test_a_stop_signal_of_the_image_is_sent(node: RealNode) -> None:
    name = "reconciler-test/stopsignal:1"
    docker("build", "-q", "-t", name, "-", stdin=f"FROM {node.image}\nSTOPSIGNAL SIGUSR1\n")
    script = "trap 'echo usr1 >>/d/log; exit 0' USR1; trap '' TERM; while :; do sleep 0.1; done"
    await node.create(**VOLUME, container={**shell(node, "app", script), "image": name})
    pod = await node.until(ready)
    await asyncio.sleep(0.5)  # the shell sets its trap after its start
    log(node, pod).touch()
    with log(node, pod).open() as file:
        await node.client.delete(Pod, "web", "default")
        assert await node.until_gone(limit=20) < 5
        assert file.read() == "usr1\n"


async def test_the_back_off_survives_the_daemon(node: RealNode) -> None:
    await node.create(container={"command": ["false"]})
    before = await node.until(lambda pod: _waits(pod) == "CrashLoopBackOff", limit=30)
    await node.stop()
    await node.start()
    await asyncio.sleep(1)
    after = await node.pod()
    assert after is not None
    assert after.status.container_statuses[0].restart_count == _count(before)
    again = await node.until(lambda pod: _count(pod) > _count(before), limit=15)
    last = again.status.container_statuses[0].last_state.terminated
    assert last is not None
    ended = datetime.fromisoformat(str(last.finished_at))
    assert (node.clock.now() - ended).total_seconds() > 8


def _waits(pod: Pod) -> str:
    waiting = [s.state.waiting for s in pod.status.container_statuses]
    return waiting[0].reason if waiting and waiting[0] else ""


def _count(pod: Pod) -> int:
    return pod.status.container_statuses[0].restart_count


async def test_a_tty_and_standard_input_are_given(node: RealNode) -> None:
    await node.create(container={"command": ["sh"], "tty": True, "stdin": True,
                                 "workingDir": "/www"})  # fmt: skip
    await node.until(ready)
    app = await node.app()
    await became(app.pid, "sh\0")
    assert (Path("/proc") / str(app.pid) / "fd/0").readlink().as_posix().startswith("/dev/pts")
    assert (Path("/proc") / str(app.pid) / "cwd").readlink().as_posix() == "/www"
    assert "TERM=xterm" in of_process(app.pid, "environ").split("\0")


async def test_standard_input_once_is_over_with_its_first_client(node: RealNode) -> None:
    """Kubernetes: with stdinOnce it closes when the client goes, else it waits for the next."""
    cat = {"image": node.image, "command": ["cat"], "stdin": True}
    containers = [{"name": "open", **cat}, {"name": "once", **cat, "stdinOnce": True}]
    await node.create(containers=containers, restartPolicy="Never")
    await node.until(ready)
    found = {c.name.split("_")[1]: c.id for c in await node.containers()}
    for name in ("open", "open", "once"):
        await said(found[name], f"{name}\n".encode())
    pod = await node.until(lambda pod: _ended_well(pod, "once"))
    assert not _ended_well(pod, "open")


async def said(container: str, words: bytes) -> None:
    """Attach to a container that repeats what it hears, say something to it, and go."""
    command = ("docker", "attach", "--sig-proxy=false", container)
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    client = await asyncio.create_subprocess_exec(*command, **pipes)
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(words)
    async with asyncio.timeout(20):
        assert await client.stdout.readline() == words
    client.kill()
    await client.wait()


def _ended_well(pod: Pod, name: str) -> bool:
    status = next(each for each in pod.status.container_statuses if each.name == name)
    return status.state.terminated is not None and status.state.terminated.exit_code == 0


async def test_an_ephemeral_container_sees_its_target(node: RealNode) -> None:
    await node.create(**VOLUME, container=shell(node, "app", "exec sleep 1234"))
    pod = await node.until(ready)
    look = {**shell(node, "look", "ps -o args >/d/seen"), "targetContainerName": "app"}
    added = EphemeralContainer.model_validate_json(json.dumps(look))
    spec = pod.spec.replace(ephemeral_containers=(added,))
    await node.client.update(pod.replace(spec=spec), subresource="ephemeralcontainers")
    pod = await node.until(lambda pod: _ended(pod.status.ephemeral_container_statuses))
    assert "sleep 1234" in log(node, pod).with_name("seen").read_text()


def _ended(statuses: tuple[ContainerStatus, ...]) -> bool:
    return any(status.state.terminated is not None for status in statuses)


async def test_a_container_that_fails_without_a_word_is_quoted(node: RealNode) -> None:
    policy = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    script = "echo out; echo why it failed; exit 3"
    containers = [
        shell(node, "app", script, **policy),
        shell(node, "words", "echo own words >/words; echo x; exit 4", **policy,
              terminationMessagePath="/words"),
        shell(node, "well", "echo fine", **policy),
        shell(node, "file", script),
    ]  # fmt: skip
    await node.create(**VOLUME, containers=containers, restartPolicy="Never")
    pod = await node.until(lambda pod: pod.status.phase == "Failed")
    said = {s.name: s.state.terminated.message for s in pod.status.container_statuses}
    assert said == {
        "app": "out\nwhy it failed\n",
        "words": "own words\n",
        "well": "",
        "file": "",
    }
