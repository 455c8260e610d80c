"""Real Kubernetes clients in Python against the API of a control plane without Docker.

The official client, kr8s, lightkube, and an operator that kopf runs. What they stream is in
`test_python_streams.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio._backends._asyncio  # noqa: F401 - pytest cannot rewrite it where kr8s would load it
import kr8s
import kubernetes
import lightkube
import pytest
from kubernetes import dynamic
from kubernetes.client import ApiException
from kubernetes.watch import Watch
from lightkube.models.core_v1 import Container as LightContainer
from lightkube.models.core_v1 import PodSpec, PodTemplateSpec, ReplicationControllerSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap as LightMap
from lightkube.resources.core_v1 import Pod as LightPod
from lightkube.resources.core_v1 import ReplicationController as LightController
from lightkube.types import PatchType

from tests.integration.controlplane import CONTROLLER
from tests.integration.harness import wait_for

pytestmark = [
    pytest.mark.integration,
    # The clients leave a watch's connection to the garbage collector.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket"),
]

OPERATOR = Path(__file__).with_name("operator_mirror.py")


@pytest.fixture
def official(cluster: Path) -> Iterator[kubernetes.client.ApiClient]:
    with kubernetes.config.new_client_from_config(str(cluster)) as client:
        yield client


def _namespace(client: kubernetes.client.ApiClient, name: str) -> str:
    body = {"metadata": {"name": name}}
    kubernetes.client.CoreV1Api(client).create_namespace(body)
    return name


def test_the_official_client(official: kubernetes.client.ApiClient) -> None:
    space, core = _namespace(official, "official"), kubernetes.client.CoreV1Api(official)
    made = core.create_namespaced_replication_controller(space, CONTROLLER)
    assert made.spec.template.spec.containers[0].image == "busybox:1"
    core.patch_namespaced_replication_controller_scale("web", space, {"spec": {"replicas": 3}})
    assert core.read_namespaced_replication_controller_scale("web", space).spec.replicas == 3
    wait_for(lambda: len(core.list_namespaced_pod(space).items) == 3, "three pods")
    first = core.list_namespaced_pod(space, limit=2)
    assert first.metadata.remaining_item_count == 1
    rest = core.list_namespaced_pod(space, limit=2, _continue=first.metadata._continue)
    assert len(first.items) + len(rest.items) == 3
    patched = core.patch_namespaced_replication_controller(
        "web", space, {"metadata": {"labels": {"a": "b"}}}
    )
    assert patched.metadata.labels == {"app": "web", "a": "b"}
    made.metadata.resource_version = "1"
    with pytest.raises(ApiException) as refused:
        core.replace_namespaced_replication_controller("web", space, made)
    assert (refused.value.status, refused.value.reason) == (409, "Conflict")
    core.delete_namespaced_replication_controller("web", space, propagation_policy="Foreground")
    wait_for(lambda: not core.list_namespaced_pod(space).items, "the pods go with it")
    with pytest.raises(ApiException) as gone:
        core.read_namespaced_replication_controller("web", space)
    assert gone.value.status == 404


def test_the_official_client_watches(official: kubernetes.client.ApiClient) -> None:
    space, core = _namespace(official, "official-watch"), kubernetes.client.CoreV1Api(official)
    start = core.list_namespaced_config_map(space).metadata.resource_version

    def change() -> None:
        core.create_namespaced_config_map(space, {"metadata": {"name": "m"}})
        core.patch_namespaced_config_map("m", space, {"data": {"k": "v"}})
        core.delete_namespaced_config_map("m", space)

    writer = threading.Thread(target=change)
    writer.start()
    watch, seen = Watch(), []
    for event in watch.stream(
        core.list_namespaced_config_map,
        space,
        resource_version=start,
        field_selector="metadata.name=m",
        timeout_seconds=30,
    ):
        seen.append((event["type"], event["object"].data))
        if event["type"] == "DELETED":
            watch.stop()
    writer.join()
    assert seen == [("ADDED", None), ("MODIFIED", {"k": "v"}), ("DELETED", {"k": "v"})]


def test_the_official_dynamic_client(official: kubernetes.client.ApiClient, tmp_path: Path) -> None:
    space = _namespace(official, "dynamic")
    client = dynamic.DynamicClient(official, cache_file=str(tmp_path / "discovery.json"))
    maps = client.resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": space},
            "data": {"k": "v"}}  # fmt: skip
    applied = client.server_side_apply(maps, body=body, namespace=space, field_manager="dynamic")
    assert applied.metadata.managedFields[0].operation == "Apply"
    changed = {**body, "data": {"k": "w"}}
    with pytest.raises(dynamic.exceptions.ConflictError):
        client.server_side_apply(maps, body=changed, namespace=space, field_manager="other")
    sources = client.resources.get(api_version="gitops.reconciler.dev/v1alpha1", kind="Source")
    assert sources.get().items == []


async def test_kr8s(cluster: Path, scratch: None) -> None:
    api = await kr8s.asyncio.api(kubeconfig=str(cluster))
    space = await kr8s.asyncio.objects.Namespace({"metadata": {"name": "kr8s"}}, api=api)
    await space.create()
    web = await kr8s.asyncio.objects.ReplicationController(
        {**CONTROLLER, "metadata": {**CONTROLLER["metadata"], "namespace": "kr8s"}}, api=api
    )
    await web.create()
    await web.wait("jsonpath='{.status.replicas}'=2", timeout=30)
    await web.scale(1)
    await web.label({"a": "b"})
    await web.refresh()
    assert (web.spec.replicas, web.labels["a"]) == (1, "b")
    found = [pod async for pod in api.get("pods", namespace="kr8s", label_selector="app=web")]
    assert found
    owner = found[0].metadata.ownerReferences[0]
    assert (owner.kind, owner.uid) == ("ReplicationController", web.metadata.uid)
    await web.delete("Foreground")
    await web.wait("delete", timeout=30)
    assert not await web.exists()
    kinds = {each["kind"] for each in await api.api_resources()}
    assert {"Pod", "Source", "StorageClass"} <= kinds


def test_lightkube(cluster: Path) -> None:
    config = lightkube.KubeConfig.from_file(str(cluster))
    client = lightkube.Client(config=config, namespace="lightkube", field_manager="light")
    space = lightkube.resources.core_v1.Namespace(metadata=ObjectMeta(name="lightkube"))
    client.create(space)
    template = PodTemplateSpec(
        metadata=ObjectMeta(labels={"app": "l"}),
        spec=PodSpec(containers=[LightContainer(name="c", image="busybox:1")]),
    )
    spec = ReplicationControllerSpec(replicas=1, selector={"app": "l"}, template=template)
    client.create(LightController(metadata=ObjectMeta(name="l"), spec=spec))
    wait_for(lambda: list(client.list(LightPod, labels={"app": "l"})), "a pod of the controller")
    client.apply(LightMap(metadata=ObjectMeta(name="m"), data={"k": "v"}))
    client.patch(LightMap, "m", {"data": {"j": "w"}}, patch_type=PatchType.MERGE)
    assert client.get(LightMap, "m").data == {"k": "v", "j": "w"}
    kind, seen = next(iter(client.watch(LightMap, fields={"metadata.name": "m"})))
    assert (kind, seen.metadata.name) == ("ADDED", "m")
    with pytest.raises(lightkube.ApiError) as refused:
        client.create(LightMap(metadata=ObjectMeta(name="m")))
    assert refused.value.status.reason == "AlreadyExists"
    client.deletecollection(LightMap)
    with pytest.raises(lightkube.ApiError):
        client.get(LightMap, "m")


@pytest.fixture
def operator(cluster: Path, tmp_path: Path) -> Iterator[None]:
    """The operator at work, as kopf runs it."""
    # What the client keeps in files, it leaves there when it is told to end.
    environment = {**os.environ, "KUBECONFIG": str(cluster), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "kopf", "run", "--standalone", "-n", "kopf", str(OPERATOR)]
    log = tmp_path / "operator.log"
    with (
        log.open("wb") as out,
        subprocess.Popen(command, stdout=out, stderr=out, env=environment) as process,
    ):
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)
            print(log.read_text())  # noqa: T201 - shown with a failure


def test_an_operator_of_kopf(official: kubernetes.client.ApiClient, request: Any) -> None:
    space, core = _namespace(official, "kopf"), kubernetes.client.CoreV1Api(official)
    request.getfixturevalue("operator")

    def mirrored() -> dict[str, str] | None:
        found = core.list_namespaced_config_map(space, field_selector="metadata.name=m-mirror")
        return found.items[0].data if found.items else None

    core.create_namespaced_config_map(
        space, {"metadata": {"name": "m", "labels": {"mirror": "yes"}}, "data": {"k": "hello"}}
    )
    wait_for(lambda: mirrored() == {"k": "HELLO"}, "the operator mirrors the ConfigMap")
    core.patch_namespaced_config_map("m", space, {"data": {"k": "bye"}})
    wait_for(lambda: mirrored() == {"k": "BYE"}, "the operator follows a change")
    assert core.read_namespaced_config_map("m", space).metadata.finalizers
    core.delete_namespaced_config_map("m", space)
    wait_for(lambda: mirrored() is None, "the operator lets the mirror go")
    wait_for(
        lambda: not core.list_namespaced_config_map(space, label_selector="mirror=yes").items,
        "its finalizer is taken off",
    )
    told = core.list_namespaced_event(space).items
    assert any("mirrored" in each.message for each in told)
    body = {
        "apiVersion": "gitops.reconciler.dev/v1alpha1", "kind": "Source",
        "metadata": {"name": "seen"}, "spec": {"url": "https://example.org/r.git"},
    }  # fmt: skip
    custom = kubernetes.client.CustomObjectsApi(official)
    place = ("gitops.reconciler.dev", "v1alpha1", "sources")
    custom.create_cluster_custom_object(*place, body)

    def counted() -> bool:
        found = core.list_namespaced_config_map(space, field_selector="metadata.name=sources")
        return bool(found.items) and found.items[0].data == {"seen": "https://example.org/r.git"}

    wait_for(counted, "the operator watches our own kind")
    custom.delete_cluster_custom_object(*place, "seen")
