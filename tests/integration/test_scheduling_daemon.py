"""Priorities and anti-affinity by the real daemon on real Docker, from Git."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.model.event import Event
from reconciler.model.meta import KubeObject
from reconciler.model.pod import Pod
from tests.integration.conftest import Launch
from tests.integration.harness import (
    Daemon,
    Engine,
    Manifests,
    namespace_manifest,
    wait_for,
)
from tests.integration.images import ensure_busybox

pytestmark = [pytest.mark.integration, pytest.mark.timeout(200)]

WAIT = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"
PORT = 18979


def spec(image: str, **more: Any) -> dict[str, Any]:
    main = {"name": "main", "image": image, "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", WAIT]}  # fmt: skip
    if more.pop("port", False):
        main["ports"] = [{"containerPort": 80, "hostPort": PORT}]
    return {"terminationGracePeriodSeconds": 1, "containers": [main], **more}


def manifest(kind: str, name: str, group: str = "v1", **body: Any) -> str:
    meta = {"name": name} if kind == "PriorityClass" else {"name": name, "namespace": "test"}
    return json.dumps({"apiVersion": group, "kind": kind, "metadata": meta, **body})


def objects(daemon: Daemon, kind: type[KubeObject]) -> list[Any]:
    from reconciler.cli.reading import open_world
    from reconciler.settings import load

    with open_world(load({"state_dir": str(daemon.state_dir)})) as world:
        return list(world.all(kind))


def running(engine: Engine) -> set[str]:
    return {name for name in engine.running("", "test") if name}


def why(daemon: Daemon, prefix: str) -> str:
    """Return what the pending pod of that name is told by the scheduler."""
    for pod in objects(daemon, Pod):
        if pod.metadata.name.startswith(prefix) and not pod.spec.node_name:
            told = (c.message for c in pod.status.conditions if c.type == "PodScheduled")
            return str(next(told, ""))
    return ""


def test_a_pod_of_high_priority_takes_the_place_of_a_low_one(
    manifests: Manifests, launch: Launch, engine: Engine
) -> None:
    image = ensure_busybox()
    manifests.write("namespace.yaml", namespace_manifest("test"))
    manifests.write("low.yaml", manifest("Pod", "low", spec=spec(image, port=True)))
    far = {
        "labelSelector": {"matchLabels": {"app": "far"}},
        "topologyKey": "kubernetes.io/hostname",
    }
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [far]}}
    template = {"metadata": {"labels": {"app": "far"}}, "spec": spec(image, affinity=affinity)}
    body = {"replicas": 2, "selector": {"app": "far"}, "template": template}
    manifests.write("far.yaml", manifest("ReplicationController", "far", spec=body))
    manifests.commit("A pod that holds a port, and two that keep apart")
    daemon = launch(manifests.folder)
    wait_for(lambda: "low" in running(engine), "the pod of low priority")
    apart = "1 node(s) didn't match pod anti-affinity rules"
    wait_for(lambda: apart in why(daemon, "far-"), "the second pod to say why it waits")
    wait_for(lambda: sum(name.startswith("far-") for name in running(engine)) == 1, "the first")

    group = "scheduling.k8s.io/v1"
    manifests.write("high.yaml", manifest("PriorityClass", "high", group, value=1000))
    important = spec(image, port=True, priorityClassName="high")
    manifests.write("vip.yaml", manifest("Pod", "vip", spec=important))
    manifests.commit("One that is more important")
    wait_for(lambda: "vip" in running(engine), "the pod of high priority")
    ports = "node(s) didn't have free ports for the requested pod ports"
    wait_for(lambda: ports in why(daemon, "low"), "Git's other pod to wait, as it has no place")
    assert "low" not in running(engine)
    told = [event.message for event in objects(daemon, Event) if event.reason == "Preempted"]
    assert any("Preempted by pod" in message for message in told)
