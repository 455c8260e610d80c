"""What controllers, kubelets and people do to a cluster, and what a scenario reads of it."""

from __future__ import annotations

import orjson

from reconciler.model.config import ConfigMap
from reconciler.model.gitops import Source
from reconciler.model.pod import Pod
from reconciler.model.replication import ReplicationController, ReplicationControllerStatus
from tests.unit.sync.cluster import until
from tests.unit.sync.world import WEB


def names(cluster, kind):
    return [obj.metadata.name for obj in cluster.registry.list(kind, "web")]


async def ready(cluster, name):
    """Say what a controller would: all pods are there and ready."""
    live = cluster.registry.get(ReplicationController, name, "web")
    status = ReplicationControllerStatus(
        replicas=live.spec.replicas,
        ready_replicas=live.spec.replicas,
        observed_generation=live.metadata.generation,
    )
    await cluster.client.update(live.replace(status=status), subresource="status")


def data(cluster, name):
    return cluster.registry.get(ConfigMap, name, "web").data


def image(cluster, name):
    live = cluster.registry.get(ReplicationController, name, "web")
    return live.spec.template.spec.containers[0].image


def pod_of(body):
    return Pod.model_validate_json(orjson.dumps(body))


async def crash(cluster, name, restarts=3):
    """Let a pod of the controller crash again and again, as the kubelet would tell."""
    live = cluster.registry.get(ReplicationController, name, "web")
    owner = {
        "apiVersion": "v1", "kind": "ReplicationController", "name": name,
        "uid": live.metadata.uid, "controller": True,
    }  # fmt: skip
    metadata = {"name": f"{name}-x", "namespace": "web", "ownerReferences": [owner]}
    spec = {"containers": [{"name": "app", "image": "app:2"}]}
    ended = {
        "exitCode": 7, "reason": "Error", "message": "cannot open the database",
        "containerID": "docker://dead",
    }  # fmt: skip
    container = {
        "name": "app", "ready": False, "restartCount": restarts, "image": "app:2", "imageID": "",
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
        "lastState": {"terminated": ended},
    }  # fmt: skip
    there = [
        each for each in cluster.registry.list(Pod, "web") if each.metadata.name == f"{name}-x"
    ]
    made = (
        there[0]
        if there
        else await cluster.client.create(pod_of({"metadata": metadata, "spec": spec}))
    )
    told = made.status.replace(
        container_statuses=pod_of(
            {"metadata": metadata, "spec": spec, "status": {"containerStatuses": [container]}}
        ).status.container_statuses
    )
    await cluster.client.update(made.replace(status=told), subresource="status")


async def healthy(cluster, *tree):
    await cluster.apply(WEB, *tree)
    for each in tree:
        if each["kind"] == "ReplicationController":
            await ready(cluster, each["metadata"]["name"])
    return await cluster.source("Healthy")


async def fail(cluster, *tree):
    shown = cluster.feed.show(WEB, *tree)
    await until(lambda: cluster.registry.list(ReplicationController, "web"))
    await until(lambda: image(cluster, "c") == "app:2")
    await cluster.settled()
    await crash(cluster, "c")
    return shown


async def suspend(cluster, value):
    source = cluster.registry.get(Source, "main")
    await cluster.client.update(source.replace(spec=source.spec.replace(suspend=value)))
