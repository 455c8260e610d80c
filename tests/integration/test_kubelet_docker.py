"""The kubelet on real Docker and a real bridge; `realnode.py` makes the node."""

from __future__ import annotations

import asyncio

import pytest

from reconciler.model.config import ConfigMap, Secret
from reconciler.model.pod import Pod
from tests.integration.realnode import SERVER, Line, RealNode, became, docker, fetch, of_process
from tests.unit.kubelet.node import ready

pytestmark = [
    pytest.mark.integration,
    # Docker's SDK drops the socket of a connection that was refused without closing it.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]


async def some_containers(node: RealNode, count: int) -> None:
    async with asyncio.timeout(20):
        while len(await node.containers()) < count:  # noqa: ASYNC110 - Docker tells no test
            await asyncio.sleep(0.01)


async def run_in(node: RealNode, script: str) -> str:
    app = await node.app()
    result = await node.runtime.exec(app.id, ("sh", "-c", script), 10)
    assert result.exit_code == 0, result.output
    return result.output.decode()


async def test_a_pod_serves_at_its_address(node: RealNode) -> None:
    probe = {"httpGet": {"port": "http", "path": "/hostname"}}
    await node.create(
        container={
            "command": SERVER,
            "ports": [{"name": "http", "containerPort": 8080}],
            "readinessProbe": probe,
            "livenessProbe": {"tcpSocket": {"port": 8080}},
        }
    )
    pod = await node.until(ready)
    assert await fetch(pod.status.pod_ip) == "web\n"
    hosts = await fetch(pod.status.pod_ip, "/hosts")
    assert f"{pod.status.pod_ip}\tweb\n" in hosts
    resolver = await fetch(pod.status.pod_ip, "/resolv.conf")
    assert "nameserver 10.97.0.10\n" in resolver
    assert "default.svc.cluster.local" in resolver
    assert await run_in(node, "hostname") == "web\n"


async def test_pods_reach_each_other(node: RealNode) -> None:
    await node.create("server", container={"command": SERVER})
    server = await node.until(ready, "server")
    await node.create(container={"command": SERVER})
    await node.until(ready)
    app = next(c for c in await node.containers() if "k8s_app_web" in c.name)
    url = f"http://{server.status.pod_ip}:8080/hostname"
    loop = f"for i in 1 2 3 4 5; do wget -qO- {url} && exit 0; sleep 0.2; done; exit 1"
    result = await node.runtime.exec(app.id, ("sh", "-c", loop), 10)
    assert result.output == b"server\n"


async def test_a_killed_container_runs_again_in_its_sandbox(node: RealNode) -> None:
    await node.create(container={"command": SERVER})
    before = await node.until(ready)
    docker("kill", (await node.app()).id)
    after = await node.until(
        lambda p: ready(p) and p.status.container_statuses[0].restart_count == 1
    )
    assert after.status.pod_ip == before.status.pod_ip
    assert after.status.container_statuses[0].last_state.terminated.exit_code == 137


@pytest.mark.parametrize("victim", ["sandbox", "app"])
async def test_what_is_removed_by_force_comes_back(node: RealNode, victim: str) -> None:
    await node.create(container={"command": SERVER})
    before = await node.until(ready)
    target = await (node.sandbox() if victim == "sandbox" else node.app())
    docker("rm", "-f", target.id)
    after = await node.until(
        lambda p: ready(p) and p.status.container_statuses[0].restart_count == 1
    )
    assert (after.status.pod_ip != before.status.pod_ip) == (victim == "sandbox")
    assert len([c for c in await node.containers() if c.phase == "running"]) == 2
    assert len(await node.network.links()) == 1


async def test_a_deleted_pod_leaves_nothing_on_the_host(node: RealNode) -> None:
    await node.create(
        container={
            "command": SERVER,
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        },
        volumes=[{"name": "data", "emptyDir": {}}],
    )
    await node.until(ready)
    assert (await run_in(node, "touch /data/x && stat -c %a /data || ls -ld /data")).startswith(
        ("777", "drwxrwxrwx")
    )
    await node.client.delete(Pod, "web", "default")
    await node.until_gone(limit=10)
    assert await node.containers() == []
    assert await node.network.links() == frozenset()
    assert list((node.root / "state" / "pods").iterdir()) == []


async def test_running_containers_outlive_the_kubelet(node: RealNode) -> None:
    await node.create(container={"command": SERVER})
    before = await node.until(ready)
    containers = await node.containers()
    await node.stop()
    await node.start()
    await node.create("other", container={"command": SERVER})
    other = await node.until(ready, "other")
    assert await node.pod() == before
    assert [c for c in await node.containers() if "_web_" in c.name] == containers
    assert other.status.pod_ip != before.status.pod_ip


async def test_a_secret_reaches_the_program_and_not_the_engine(node: RealNode) -> None:
    value = "s3cret value"
    await node.client.create(
        Secret.model_validate_json(
            b'{"metadata":{"name":"s","namespace":"default"},"data":{"key":"czNjcmV0IHZhbHVl"}}'
        )
    )
    await node.client.create(
        ConfigMap.model_validate_json(
            b'{"metadata":{"name":"c","namespace":"default"},"data":{"COLOUR":"green"}}'
        )
    )
    await node.create(
        container={
            "command": SERVER,
            "env": [
                {"name": "A", "value": "plain"},
                {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}},
                {"name": "B", "value": "$(A)-$(S)"},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            ],
            "envFrom": [{"configMapRef": {"name": "c"}}],
            "securityContext": {"runAsUser": 1000},
        }
    )
    pod = await node.until(ready)
    app = await node.app()
    await became(app.pid, "sh\0")
    environment = of_process(app.pid, "environ").split("\0")
    assert {f"S={value}", f"B=plain-{value}", "A=plain", "COLOUR=green"} <= set(environment)
    assert f"IP={pod.status.pod_ip}" in environment
    assert of_process(app.pid, "cmdline").startswith("sh\0-c\0")
    inspected = docker("inspect", app.id)
    assert value not in inspected
    assert "czNj" not in inspected


async def test_what_cannot_run_says_why(node: RealNode) -> None:
    await node.create(container={"command": ["/no/such/program"]})
    pod = await node.until(
        lambda p: (
            bool(p.status.container_statuses)
            and p.status.container_statuses[0].last_state.terminated is not None
        )
    )
    ended = pod.status.container_statuses[0].last_state.terminated
    assert ended.reason == "ContainerCannotRun"
    assert "/no/such/program" in ended.message


async def test_an_engine_that_is_away_for_a_while_loses_and_doubles_nothing(
    node: RealNode, line: Line
) -> None:
    await node.create(container={"command": SERVER})
    before = await node.until(ready)
    app = await node.app()
    await line.cut()
    await node.create("late", container={"command": SERVER})
    docker("rm", "-f", app.id)
    await asyncio.sleep(1)
    assert ready(await node.pod())  # nobody can know yet
    await line.join()
    await node.until(ready, "late")
    after = await node.until(
        lambda p: ready(p) and p.status.container_statuses[0].restart_count == 1
    )
    assert after.status.pod_ip == before.status.pod_ip
    names = [c.name for c in await node.containers() if c.phase == "running"]
    assert len(names) == len(set(names)) == 4


async def test_an_engine_that_fails_in_the_middle_of_many_starts(
    node: RealNode, line: Line
) -> None:
    names = [f"pod-{number}" for number in range(8)]
    for name in names:
        await node.create(name, container={"command": SERVER})
    await some_containers(node, 5)
    await line.cut()
    await asyncio.sleep(0.5)
    await line.join()
    for name in names:
        await node.until(ready, name, limit=30)
    running = [c.name.rpartition("_")[0] for c in await node.containers() if c.phase == "running"]
    assert len(running) == len(set(running)) == 16
    assert len(await node.network.links()) == 8
    addresses = {(await node.pod(name)).status.pod_ip for name in names}
    assert len(addresses) == 8


async def test_a_crash_in_the_middle_of_many_starts(node: RealNode) -> None:
    names = [f"pod-{number}" for number in range(8)]
    for name in names:
        await node.create(name, container={"command": SERVER})
    await some_containers(node, 6)
    await node.stop()
    survivors = {c.id for c in await node.containers() if c.phase == "running"}
    await node.start()
    for name in names:
        await node.until(ready, name, limit=30)
    containers = await node.containers()
    running = [c.name.rpartition("_")[0] for c in containers if c.phase == "running"]
    assert len(running) == len(set(running)) == 16
    assert survivors <= {c.id for c in containers}
    assert len(await node.network.links()) == 8
