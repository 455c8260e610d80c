"""Every kubectl found on this machine against the API of an in-memory control plane: no Docker."""

from __future__ import annotations

import json

import pytest

from tests.integration.controlplane import CONTROLLER
from tests.integration.kubectls import Kubectl

pytestmark = pytest.mark.integration


def test_objects(kubectl: Kubectl) -> None:
    assert "replicationcontroller/web created" in kubectl("create", "-f", "-", given=CONTROLLER)
    kubectl("wait", "rc/web", "--for=jsonpath={.status.replicas}=2", "--timeout=20s")
    table = kubectl("get", "rc,pods")
    assert "DESIRED" in table
    assert table.count("pod/web-") == 2
    assert "Pod Template" in kubectl("describe", "rc", "web")
    assert "scaled" in kubectl("scale", "rc/web", "--replicas=3")
    kubectl("wait", "rc/web", "--for=jsonpath={.status.replicas}=3", "--timeout=20s")
    kubectl("label", "rc/web", "tier=front")
    kubectl("annotate", "rc/web", "note=hello")
    assert "web" in kubectl("get", "rc", "-l", "tier=front", "-o", "name")
    assert "deleted" in kubectl("delete", "rc", "web", "--cascade=foreground")
    assert not kubectl("get", "pods", "-o", "name")


def test_priority_classes(kubectl: Kubectl) -> None:
    name = f"high-{kubectl.namespace}"
    kubectl("create", "priorityclass", name, "--value=100", "--description=first")
    table = kubectl("get", "pc").splitlines()
    assert table[0].split()[:3] == ["NAME", "VALUE", "GLOBAL-DEFAULT"]
    assert any(line.split()[:3] == [name, "100", "false"] for line in table)
    assert "2000001000" in kubectl("describe", "priorityclass", "system-node-critical")
    assert "Forbidden" in kubectl("delete", "pc", "system-node-critical", fails=True)
    kubectl("delete", "pc", name)


def test_apply_on_the_client(kubectl: Kubectl) -> None:
    changed = json.loads(json.dumps(CONTROLLER))
    assert "created" in kubectl("apply", "-f", "-", given=CONTROLLER)
    assert "unchanged" in kubectl("apply", "-f", "-", given=CONTROLLER)
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = "busybox:2"
    assert "configured" in kubectl("apply", "-f", "-", given=changed)
    image = "jsonpath={.spec.template.spec.containers[0].image}"
    assert kubectl("get", "rc", "web", "-o", image) == "busybox:2"


def test_apply_on_the_server(kubectl: Kubectl) -> None:
    apply = ("apply", "--server-side", "-f", "-")
    assert "serverside-applied" in kubectl(*apply, given=CONTROLLER)
    other = json.loads(json.dumps(CONTROLLER))
    other["spec"]["replicas"] = 5
    told = kubectl(*apply, "--field-manager=other", given=other, fails=True)
    assert "conflict" in told
    kubectl(*apply, "--field-manager=other", "--force-conflicts", given=other)
    assert kubectl("get", "rc", "web", "-o", "jsonpath={.spec.replicas}") == "5"


def test_patches(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", given=CONTROLLER)
    container = '{"spec":{"template":{"spec":{"containers":[{"name":"d","image":"x"}]}}}}'
    kubectl("patch", "rc", "web", "--type=strategic", "-p", container)
    kubectl("patch", "rc", "web", "--type=merge", "-p", '{"metadata":{"labels":{"a":"b"}}}')
    operation = '[{"op":"replace","path":"/spec/replicas","value":1}]'
    kubectl("patch", "rc", "web", "--type=json", "-p", operation)
    found = json.loads(kubectl("get", "rc", "web", "-o", "json"))
    names = [each["name"] for each in found["spec"]["template"]["spec"]["containers"]]
    assert sorted(names) == ["c", "d"]
    assert found["metadata"]["labels"]["a"] == "b"
    assert found["spec"]["replicas"] == 1


def test_what_newer_versions_send_in_protobuf(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "m", "--from-literal=k=v")
    assert kubectl("get", "cm", "m", "-o", "jsonpath={.data.k}") == "v"
    kubectl("create", "secret", "generic", "s", "--from-literal=k=v")
    assert kubectl("get", "secret", "s", "-o", "jsonpath={.data.k}") == "dg=="
    kubectl("create", "serviceaccount", "a")
    kubectl("create", "quota", "q", "--hard=pods=5,cpu=2")
    assert kubectl("get", "quota", "q", "-o", "jsonpath={.spec.hard.pods}") == "5"
    kubectl("create", "service", "clusterip", "v", "--tcp=80:8080")
    assert kubectl("get", "svc", "v", "-o", "jsonpath={.spec.ports[0].targetPort}") == "8080"
    kubectl("create", "namespace", f"n-{kubectl.namespace}"[:63].rstrip("-"))
    told = kubectl("create", "configmap", "m", "--from-literal=k=v", fails=True)
    assert "AlreadyExists" in told or "already exists" in told


def test_refusals(kubectl: Kubectl) -> None:
    broken = json.loads(json.dumps(CONTROLLER))
    broken["spec"]["replicas"] = -1
    assert "must be greater than or equal to 0" in kubectl(
        "create", "-f", "-", given=broken, fails=True
    )
    misspelt = json.loads(json.dumps(CONTROLLER))
    misspelt["spec"]["replicsa"] = 1
    told = kubectl("create", "-f", "-", given=misspelt, fails=True)
    assert 'unknown field "spec.replicsa"' in told
    assert "NotFound" in kubectl("get", "pod", "nobody", fails=True)


def test_discovery(kubectl: Kubectl) -> None:
    listed = kubectl("api-resources")
    assert "replicationcontrollers" in listed
    assert "sources" in listed
    assert "containers" in kubectl("explain", "pod.spec")
    assert "v1" in kubectl("api-versions").split()
    assert "v1.31.0+reconciler" in kubectl("version")
    assert "nodes" in kubectl("api-resources", "--namespaced=false", "-o", "name")


def test_watch_and_delete(kubectl: Kubectl) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "busybox:1"}]},
    }
    kubectl("create", "-f", "-", given=pod)
    assert "Pending" in kubectl("get", "pod", "p", "--watch", "--request-timeout=2s")
    assert "deleted" in kubectl("delete", "pod", "p", "--wait=true", "--timeout=20s")


def test_debug(kubectl: Kubectl) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
           "spec": {"containers": [{"name": "c", "image": "busybox:1"}]}}  # fmt: skip
    kubectl("create", "-f", "-", given=pod)
    kubectl("debug", "p", "--image=busybox:2", "--target=c", "--container=look", "--", "sleep", "9")
    found = json.loads(kubectl("get", "pod", "p", "-o", "json"))["spec"]["ephemeralContainers"][0]
    assert (found["name"], found["image"], found["command"]) == (
        "look",
        "busybox:2",
        ["sleep", "9"],
    )
    assert found["targetContainerName"] == "c"
