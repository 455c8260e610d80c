"""kubectl's commands one by one, every version of it, on a control plane without Docker.

What needs pods that run is in `test_kubectl_streams.py`.
"""

from __future__ import annotations

import json
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.controlplane import CONTROLLER
from tests.integration.kubectls import Kubectl

pytestmark = pytest.mark.integration

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "labels": {"app": "p"}},
    "spec": {"containers": [{"name": "c", "image": "busybox:1"}]},
}


def _changed(path: str, value: Any) -> dict[str, Any]:
    """Return the controller with another value at a path of member names."""
    copy: dict[str, Any] = json.loads(json.dumps(CONTROLLER))
    place = copy
    *way, last = path.split(".")
    for step in way:
        place = place[step]
    place[last] = value
    return copy


def _shown(kubectl: Kubectl, what: str, path: str) -> str:
    return kubectl("get", what, "-o", f"jsonpath={path}")


@pytest.fixture
def web(kubectl: Kubectl) -> Kubectl:
    """kubectl in a namespace with the controller `web`."""
    kubectl("create", "-f", "-", given=CONTROLLER)
    return kubectl


def test_get_in_every_form(web: Kubectl) -> None:
    web("wait", "rc/web", "--for=jsonpath={.status.replicas}=2", "--timeout=20s")
    wide = web("get", "rc", "-o", "wide").splitlines()
    assert wide[0].split() == [
        *("NAME", "DESIRED", "CURRENT", "READY", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"),
    ]
    assert wide[1].split()[5:] == ["c", "busybox:1", "app=web"]
    assert "replicationcontroller/web" in web("get", "all")
    assert yaml.safe_load(web("get", "rc", "web", "-o", "yaml"))["spec"]["replicas"] == 2
    assert web("get", "rc", "-o", "custom-columns=N:.metadata.name").split() == ["N", "web"]
    assert web("get", "pods", "--no-headers", "--chunk-size=1").count("Pending") == 2
    labelled = web("get", "rc", "--show-labels", "-L", "app").splitlines()
    assert labelled[0].split()[-2:] == ["APP", "LABELS"]
    assert labelled[1].split()[-2:] == ["web", "app=web"]
    pending = web("get", "pods", "-o", "name", "--field-selector=status.phase=Pending")
    assert len(pending.split()) == 2
    told = web("get", "pods", "--field-selector=bogus=1", fails=True)
    assert "field label not supported: bogus" in told
    assert web.namespace in web("get", "rc", "-A", "--sort-by=.metadata.name")
    assert "No resources found" in web.run("get", "secrets").stderr


def test_describe(web: Kubectl) -> None:
    web("wait", "rc/web", "--for=jsonpath={.status.replicas}=2", "--timeout=20s")
    told = web("describe", "rc", "web")
    assert "2 current / 2 desired" in told
    assert "busybox:1" in told
    name = web("get", "pods", "-o", "name").split()[0]
    described = web("describe", name)
    assert "Controlled By:  ReplicationController/web" in described
    assert "BestEffort" in described
    assert "Active" in web("describe", "namespace", web.namespace)


def test_diff(web: Kubectl) -> None:
    assert not web("diff", "-f", "-", given=CONTROLLER)
    for flags in ((), ("--server-side", "--force-conflicts")):
        given = json.dumps(_changed("spec.replicas", 3))
        told = web.run("diff", *flags, "-f", "-", text=given)
        assert told.returncode == 1, told.stderr
        assert "-  replicas: 2\n+  replicas: 3\n" in told.stdout
    assert _shown(web, "rc/web", "{.spec.replicas}") == "2"


def test_scale(web: Kubectl) -> None:
    web("scale", "rc/web", "--replicas=3", "--current-replicas=2")
    told = web("scale", "rc/web", "--replicas=4", "--current-replicas=2", fails=True)
    assert "Expected replicas to be 2, was 3" in told
    web(
        "patch", "rc", "web", "--subresource=scale", "--type=merge", "-p", '{"spec":{"replicas":1}}'
    )
    table = web("get", "rc", "web", "--subresource=scale").splitlines()
    assert table[0].split() == ["NAME", "DESIRED", "AVAILABLE", "AGE"]
    assert table[1].split()[:2] == ["web", "1"]


def test_edit(web: Kubectl, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/replicas: 2/replicas: 1/" "$1"\n')
    editor.chmod(0o755)
    web.environment |= {"KUBE_EDITOR": str(editor), "TMPDIR": str(tmp_path)}
    assert "replicationcontroller/web edited" in web("edit", "rc", "web")
    assert _shown(web, "rc/web", "{.spec.replicas}") == "1"
    assert "no changes made" in web.run("edit", "rc", "web").stderr
    editor.write_text('#!/bin/sh\nsed -i "s/replicas: 1/replicas: -1/" "$1"\n')
    assert 'replicationcontrollers "web" is invalid' in web("edit", "rc", "web", fails=True)
    assert _shown(web, "rc/web", "{.spec.replicas}") == "1"


def test_replace(web: Kubectl) -> None:
    web("replace", "-f", "-", given=_changed("spec.replicas", 1))
    assert _shown(web, "rc/web", "{.spec.replicas}") == "1"
    before = _shown(web, "rc/web", "{.metadata.uid}")
    web("replace", "--force", "-f", "-", given=CONTROLLER)
    assert _shown(web, "rc/web", "{.metadata.uid}") != before
    gone = _changed("metadata.name", "nobody")
    assert "NotFound" in web("replace", "-f", "-", given=gone, fails=True)


def test_labels_and_annotations(web: Kubectl) -> None:
    web("label", "rc/web", "a=b")
    assert "a=b" in web("label", "rc/web", "--list")
    told = web("label", "rc/web", "a=c", fails=True)
    assert "already has a value" in told
    web("label", "rc/web", "a=c", "--overwrite")
    assert _shown(web, "rc/web", "{.metadata.labels.a}") == "c"
    web("label", "rc/web", "a-")
    assert not _shown(web, "rc/web", "{.metadata.labels.a}")
    assert "valid label" in web("label", "rc/web", "a=!", fails=True)
    web("annotate", "rc", "--all", "note=x")
    assert _shown(web, "rc/web", "{.metadata.annotations.note}") == "x"


def test_expose(web: Kubectl) -> None:
    web("expose", "rc", "web", "--port=80", "--target-port=8080", "--name=front")
    assert _shown(web, "svc/front", "{.spec.selector}") == '{"app":"web"}'
    assert _shown(web, "svc/front", "{.spec.ports[0].targetPort}") == "8080"
    web("set", "selector", "svc/front", "app=other")
    assert _shown(web, "svc/front", "{.spec.selector}") == '{"app":"other"}'


def test_run(kubectl: Kubectl) -> None:
    told = kubectl(
        "run", "a", "--image=busybox:1", "--port=80", "--expose", "--env=K=V", "-l", "x=y"
    )
    assert "service/a created" in told
    assert "pod/a created" in told
    assert _shown(kubectl, "pod/a", "{.spec.containers[0].env[0].value}") == "V"
    dry = kubectl("run", "b", "--image=busybox:1", "--dry-run=server", "-o", "yaml")
    assert yaml.safe_load(dry)["metadata"]["uid"]
    assert "NotFound" in kubectl("get", "pod", "b", fails=True)


def test_set(web: Kubectl) -> None:
    container = "{.spec.template.spec.containers[0]%s}"
    web("set", "image", "rc/web", "c=busybox:2")
    assert _shown(web, "rc/web", container % ".image") == "busybox:2"
    web("set", "env", "rc/web", "K=V")
    assert _shown(web, "rc/web", container % ".env") == '[{"name":"K","value":"V"}]'
    assert "K=V" in web("set", "env", "rc/web", "--list")
    web("set", "env", "rc/web", "K-")
    assert not _shown(web, "rc/web", container % ".env")
    web("set", "resources", "rc/web", "--limits=cpu=1,memory=64Mi", "--requests=cpu=100m")
    assert json.loads(_shown(web, "rc/web", container % ".resources")) == {
        "limits": {"cpu": "1", "memory": "64Mi"},
        "requests": {"cpu": "100m"},  # limits are requests of pods alone, not of templates
    }
    web("create", "serviceaccount", "robot")
    web("set", "serviceaccount", "rc", "web", "robot")
    assert _shown(web, "rc/web", "{.spec.template.spec.serviceAccountName}") == "robot"


def test_rollout_knows_no_replication_controllers(web: Kubectl) -> None:
    # kubectl itself says so, to Kubernetes' own API too.
    told = web("rollout", "status", "rc/web", fails=True)
    assert "no status viewer has been implemented for" in told
    assert "no history viewer has been implemented for" in web(
        "rollout", "history", "rc/web", fails=True
    )


def test_wait(web: Kubectl) -> None:
    web("wait", "rc/web", "--for=jsonpath={.status.replicas}=2", "--timeout=20s")
    told = web("wait", "pods", "--all", "--for=condition=Ready", "--timeout=1s", fails=True)
    assert "timed out" in told
    name = web("get", "pods", "-o", "name").split()[0]
    web("delete", name, "--wait=false")
    web("wait", name, "--for=delete", "--timeout=20s")


def test_explain(kubectl: Kubectl) -> None:
    told = kubectl("explain", "rc.spec.template.spec.containers.ports")
    assert "containerPort\t<integer>" in told
    tree = kubectl("explain", "pod", "--recursive")
    assert "terminationGracePeriodSeconds\t<integer>" in tree
    assert "interval\t<string>" in kubectl("explain", "source.spec")
    assert "verb\t<string>" in kubectl("explain", "selfsubjectaccessreview.spec.resourceAttributes")
    assert "FIELDS:" in kubectl("explain", "componentstatus")
    old = kubectl("explain", "rc.spec", "--recursive", "--output=plaintext-openapiv2")
    assert "minReadySeconds\t<integer>" in old
    assert "does not exist" in kubectl("explain", "pod.spec.nothing", fails=True)


def test_discovery(kubectl: Kubectl) -> None:
    of_ours = kubectl("api-resources", "--api-group=gitops.reconciler.dev", "-o", "wide")
    assert "revisions" in of_ours
    assert "deletecollection" in of_ours
    assert "po" in kubectl("api-resources", "--namespaced=true").split()
    assert {"v1", "storage.k8s.io/v1"} <= set(kubectl("api-versions").split())
    assert "is running at" in kubectl("cluster-info")
    assert "ok" in kubectl("get", "--raw", "/readyz")


def test_rights(kubectl: Kubectl) -> None:
    assert kubectl("auth", "can-i", "create", "pods") == "yes\n"
    asked = kubectl.run("auth", "can-i", "list", "secrets", "--as=jane")
    assert (asked.returncode, asked.stdout.strip().split(" ")[0]) == (1, "no")
    kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods,secrets")
    kubectl("create", "rolebinding", "jane", "--role=reader", "--user=jane")
    assert kubectl("auth", "can-i", "list", "secrets", "--as=jane") == "yes\n"
    assert kubectl.run("auth", "can-i", "list", "secrets", "--as=jane", "-A").returncode == 1
    told = kubectl("auth", "can-i", "--list", "--as=jane")
    assert "secrets" in told
    name = kubectl.namespace[:40]
    kubectl("create", "clusterrole", name, "--verb=list", "--resource=nodes")
    kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", "--user=jane")
    assert kubectl("auth", "can-i", "list", "nodes", "--as=jane").endswith("yes\n")
    refused = kubectl("get", "configmaps", "--as=jane", fails=True)
    assert 'User "jane" cannot list resource "configmaps" in API group ""' in refused
    kubectl("delete", "clusterrole,clusterrolebinding", name)


def test_tokens(kubectl: Kubectl) -> None:
    kubectl("create", "serviceaccount", "robot")
    kubectl("create", "role", "reader", "--verb=list", "--resource=pods")
    account = f"--serviceaccount={kubectl.namespace}:robot"
    kubectl("create", "rolebinding", "robot", "--role=reader", account)
    token = kubectl("create", "token", "robot", "--duration=20m").strip()
    assert token.count(".") == 2
    robot = Kubectl(kubectl.command[0], kubectl.config, kubectl.namespace)
    robot.command += [f"--token={token}"]
    assert not robot("get", "pods", "-o", "name")
    told = robot("get", "secrets", fails=True)
    assert f'User "system:serviceaccount:{kubectl.namespace}:robot" cannot list' in told
    if kubectl.minor >= 28:
        assert f"system:serviceaccount:{kubectl.namespace}:robot" in robot("auth", "whoami")
    kubectl("delete", "serviceaccount", "robot")
    assert "You must be logged in to the server" in robot("get", "pods", fails=True)


def test_events(kubectl: Kubectl) -> None:
    assert "No events found" in kubectl.run("events").stderr
    event = {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "p.1"}, "reason": "Started",
        "type": "Normal", "message": "it runs", "count": 2,
        "involvedObject": {"kind": "Pod", "namespace": kubectl.namespace, "name": "p",
                           "apiVersion": "v1"},
        "lastTimestamp": "2026-01-01T00:00:00Z", "firstTimestamp": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    kubectl("create", "-f", "-", given=event)
    assert "it runs" in kubectl("events")
    assert "it runs" in kubectl("events", "--for=pod/p", "--types=Normal")
    assert "No events found" in kubectl.run("events", "--types=Warning").stderr
    assert "Started" in kubectl("get", "events")


def test_top_is_refused(kubectl: Kubectl) -> None:
    for what in ("pods", "nodes"):
        assert "Metrics API not available" in kubectl("top", what, fails=True)


def test_what_has_no_kind_here_is_refused(kubectl: Kubectl) -> None:
    told = kubectl("create", "deployment", "d", "--image=busybox:1", fails=True)
    assert "could not find the requested resource" in told
    assert "doesn't have a resource type" in kubectl("get", "deployments", fails=True)


def test_a_dump_of_the_cluster(web: Kubectl) -> None:
    web("wait", "rc/web", "--for=jsonpath={.status.replicas}=2", "--timeout=20s")
    dump = web("cluster-info", "dump", "--namespaces", web.namespace)
    assert '"kind": "ReplicationController"' in dump
    assert '"image": "busybox:1"' in dump
    assert f"==== START logs for container c of pod {web.namespace}/web-" in dump


def test_kustomize(kubectl: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "rc.json").write_text(json.dumps(CONTROLLER))
    kustomization = {
        "resources": ["rc.json"],
        "namePrefix": "pre-",
        "configMapGenerator": [{"name": "conf", "literals": ["a=b"]}],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    told = kubectl("apply", "-k", str(tmp_path))
    assert "replicationcontroller/pre-web created" in told
    assert kubectl("get", "-k", str(tmp_path), "-o", "name").count("pre-") == 2
    assert kubectl("delete", "-k", str(tmp_path)).count("deleted") == 2


def test_apply_prunes(kubectl: Kubectl, tmp_path: Path) -> None:
    maps = [
        {"apiVersion": "v1", "kind": "ConfigMap",
         "metadata": {"name": name, "labels": {"set": "s"}}}
        for name in ("a", "b")
    ]  # fmt: skip
    both = {"apiVersion": "v1", "kind": "List", "items": maps}
    flags = ("-l", "set=s", "--prune", "--prune-allowlist=core/v1/ConfigMap", "-f", "-")
    kubectl("apply", *flags, given=both)
    assert "configmap/b pruned" in kubectl("apply", *flags, given={**both, "items": maps[:1]})


def test_delete(web: Kubectl) -> None:
    web("wait", "rc/web", "--for=jsonpath={.status.replicas}=2", "--timeout=20s")
    web("delete", "rc", "web", "--cascade=orphan")
    assert len(web("get", "pods", "-o", "name").split()) == 2
    web("delete", "pods", "-l", "app=web", "--now")
    assert "not found" in web("delete", "rc", "web", fails=True)
    assert not web("delete", "rc", "web", "--ignore-not-found")
    web("create", "-f", "-", given=POD)
    web("delete", "pods", "--all", "--force", "--grace-period=0")
    assert not web("get", "pods", "-o", "name")


def test_nodes(kubectl: Kubectl) -> None:
    name = Path(kubectl.command[0]).name.replace(".", "-")
    kubectl(
        "create", "-f", "-", given={"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
    )
    kubectl("taint", "node", name, "k=v:NoSchedule")
    assert "k" in _shown(kubectl, f"node/{name}", "{.spec.taints[*].key}").split()
    kubectl("taint", "node", name, "k-")
    kubectl("cordon", name)
    assert "SchedulingDisabled" in kubectl("get", "node", name)
    kubectl("uncordon", name)
    assert "SchedulingDisabled" not in kubectl("get", "node", name)
    assert "Taints:" in kubectl("describe", "node", name)
    assert "drained" in kubectl("drain", name, "--ignore-daemonsets")
    kubectl("delete", "node", name)


def test_debug_by_a_copy(kubectl: Kubectl) -> None:
    # kubectl from 1.32 on sends this pod in protobuf.
    volumes = [{"name": "v", "emptyDir": {}}, {"name": "m", "configMap": {"name": "m"}}]
    container = {
        "name": "c", "image": "busybox:1",
        "env": [{"name": "K", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        "resources": {"limits": {"memory": "64Mi"}},
        "ports": [{"containerPort": 80}],
        "securityContext": {"runAsNonRoot": False, "runAsUser": 0},
    }  # fmt: skip
    pod = {**POD, "spec": {"containers": [container], "volumes": volumes, "hostNetwork": False}}
    kubectl("create", "-f", "-", given=pod)
    kubectl("debug", "p", "--copy-to=copy", "--image=busybox:2", "--container=look")
    original, copy = (
        json.loads(kubectl("get", "pod", name, "-o", "json")) for name in ("p", "copy")
    )
    known, added = copy["spec"].pop("containers")
    assert added["name"] == "look"
    expected = original["spec"].pop("containers")[0]
    assert known == expected
    assert copy["spec"] == original["spec"]


def test_proxy(web: Kubectl) -> None:
    command = [*web.command, "proxy", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            address = process.stdout.readline().split()[-1]
            path = f"/api/v1/namespaces/{web.namespace}/replicationcontrollers/web"
            with urllib.request.urlopen(f"http://{address}{path}", timeout=20) as answer:
                assert json.load(answer)["metadata"]["name"] == "web"
        finally:
            process.terminate()
            process.wait(20)
