"""A pod and the API: the token that it is given, and what that lets it do."""

from __future__ import annotations

import json
import ssl
import urllib.request

import pytest

from tests.integration.conftest import Launch
from tests.integration.harness import Container, Engine, Manifests, wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

IMAGE = "guestbook-php:v1"
FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
MANIFESTS = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: test}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: robot, namespace: test}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: reader, namespace: test}}
rules:
- {{apiGroups: [""], resources: [pods], verbs: [list]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: reader, namespace: test}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}}
subjects:
- {{kind: ServiceAccount, name: robot}}
---
apiVersion: v1
kind: Pod
metadata: {{name: robot, namespace: test}}
spec:
  serviceAccountName: robot
  terminationGracePeriodSeconds: 0
  containers: [{{name: c, image: "{IMAGE}", imagePullPolicy: Never, command: [sleep, "1000"]}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: plain, namespace: test}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{{name: c, image: "{IMAGE}", imagePullPolicy: Never, command: [sleep, "1000"]}}]
"""
# What a client in a pod does: it proves itself by the token, and has the server prove itself.
ASK = f"""
$tls = ['cafile' => '{FOLDER}/ca.crt', 'verify_peer' => true, 'verify_peer_name' => true];
$bearer = 'Authorization: Bearer ' . file_get_contents('{FOLDER}/token');
$http = ['ignore_errors' => true, 'header' => $bearer];
$context = stream_context_create(['http' => $http, 'ssl' => $tls]);
$space = file_get_contents('{FOLDER}/namespace');
$url = "https://kubernetes.default.svc/api/v1/namespaces/$space/pods";
echo file_get_contents($url, false, $context);
"""


def ask(engine: Engine, container: Container) -> dict[str, object]:
    answer: dict[str, object] = json.loads(engine.execute(container, "php", "-r", ASK))
    return answer


def test_a_pod_does_with_its_token_what_its_account_may(
    manifests: Manifests, launch: Launch, engine: Engine
) -> None:
    manifests.write("all.yaml", MANIFESTS)
    manifests.commit("Run two pods")
    daemon = launch(manifests.folder)
    running = wait_for(lambda: len(found := engine.running("", "test")) == 2 and found, "two pods")
    assert running
    robot = wait_for(lambda: [ask(engine, running["robot"])], "the API's answer")[0]
    assert robot["kind"] == "PodList", robot
    plain = ask(engine, running["plain"])
    assert plain["code"] == 403
    assert plain["message"] == (
        'pods is forbidden: User "system:serviceaccount:test:default" cannot list resource "pods"'
        ' in API group "" in the namespace "test"'
    )
    token = engine.execute(running["robot"], "cat", f"{FOLDER}/token").strip()
    assert token.count(".") == 2
    told = json.dumps([engine.api.inspect_container(c.id) for c in running.values()])
    assert token not in told
    assert token not in daemon.log_path.read_text()
    lies_on = engine.execute(running["robot"], "stat", "-f", "-c", "%T", f"{FOLDER}/token")
    assert lies_on.strip() == "tmpfs"
    # The host reaches the service, too, by an address that its certificate names.
    trust = ssl.create_default_context(cafile=daemon.state_dir / "pki" / "ca.crt")
    with urllib.request.urlopen("https://10.96.0.1/healthz", context=trust, timeout=10) as well:
        assert well.read() == b"ok"
