"""Roles and bindings as they decide requests, and the words of refusals."""

from __future__ import annotations

import pytest

from tests.unit.apiserver.security.cluster import PODS, RBAC, Cluster, on


async def test_a_refusal_has_the_words_of_kubernetes() -> None:
    cluster = await Cluster().start()
    code, answer = await cluster.ask_as("jane", "GET", PODS)
    assert code == 403
    assert answer["message"] == (
        'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the '
        'namespace "default"'
    )
    code, answer = await cluster.ask_as("jane", "GET", f"{RBAC}/clusterroles/x")
    assert answer["message"] == (
        'clusterroles.rbac.authorization.k8s.io "x" is forbidden: User "jane" cannot get resource'
        ' "clusterroles" in API group "rbac.authorization.k8s.io" at the cluster scope'
    )


async def test_a_binding_in_a_namespace_gives_nothing_elsewhere() -> None:
    cluster = await Cluster().start()
    await cluster.role("reader", on("get list", "pods"))
    await cluster.bind("readers", "reader", "jane", namespace="default")
    assert (await cluster.ask_as("jane", "GET", PODS))[0] == 200
    assert (await cluster.ask_as("jane", "GET", "/api/v1/namespaces/kube-system/pods"))[0] == 403
    assert (await cluster.ask_as("jane", "GET", "/api/v1/pods"))[0] == 403
    assert (await cluster.ask_as("joe", "GET", PODS))[0] == 403
    assert (await cluster.ask_as("jane", "DELETE", f"{PODS}/p"))[0] == 403


async def test_what_is_taken_away_is_gone_with_the_next_request() -> None:
    cluster = await Cluster().start()
    await cluster.role("reader", on("list", "pods"))
    await cluster.bind("readers", "reader", "jane")
    assert (await cluster.ask_as("jane", "GET", PODS))[0] == 200
    await cluster.ask("DELETE", f"{RBAC}/clusterrolebindings/readers")
    assert (await cluster.ask_as("jane", "GET", PODS))[0] == 403


async def test_a_binding_to_a_role_that_is_not_there_says_so() -> None:
    cluster = await Cluster().start()
    await cluster.bind("lost", "nowhere", "jane")
    _, answer = await cluster.ask_as("jane", "GET", PODS)
    assert answer["message"].endswith(
        'in the namespace "default": '
        'RBAC: clusterrole.rbac.authorization.k8s.io "nowhere" not found'
    )


async def test_a_name_may_be_allowed_for_get_and_for_the_watch_of_it_alone() -> None:
    cluster = await Cluster().start()
    await cluster.role("one", on("get list watch", "configmaps", resourceNames=["a"]))
    await cluster.bind("one", "one", "jane")
    maps = "/api/v1/namespaces/default/configmaps"
    assert (await cluster.ask_as("jane", "GET", f"{maps}/a"))[0] == 404
    assert (await cluster.ask_as("jane", "GET", f"{maps}/b"))[0] == 403
    assert (await cluster.ask_as("jane", "GET", maps))[0] == 403
    named = await cluster.ask_as("jane", "GET", f"{maps}?fieldSelector=metadata.name%3Da")
    assert named[0] == 403  # not decoded here: the connection does
    assert (await cluster.ask_as("jane", "GET", f"{maps}?fieldSelector=metadata.name=a"))[0] == 200


async def test_subresources_are_rights_of_their_own() -> None:
    cluster = await Cluster().start()
    await cluster.role("scaler", on("get", "pods/log"), on("get", "*/scale"))
    await cluster.bind("scalers", "scaler", "jane")
    assert (await cluster.ask_as("jane", "GET", f"{PODS}/p/log"))[0] == 404
    assert (await cluster.ask_as("jane", "GET", f"{PODS}/p"))[0] == 403
    scale = "/api/v1/namespaces/default/replicationcontrollers/r/scale"
    assert (await cluster.ask_as("jane", "GET", scale))[0] == 404
    assert (await cluster.ask_as("jane", "PUT", scale, {}))[0] == 403


async def test_a_namespace_lies_in_itself() -> None:
    cluster = await Cluster().start()
    await cluster.bind("viewers", "system:aggregate-to-view", "jane", namespace="default")
    assert (await cluster.ask_as("jane", "GET", "/api/v1/namespaces/default"))[0] == 200
    code, answer = await cluster.ask_as("jane", "GET", "/api/v1/namespaces/kube-system")
    assert code == 403
    assert answer["message"].endswith('in the namespace "kube-system"')


async def test_anonymous_callers_see_whether_it_is_well_and_no_more() -> None:
    cluster = await Cluster().start()
    for path, wanted in (("/healthz", 200), ("/version", 200), ("/api", 403), ("/metrics", 403)):
        assert (await cluster.ask("GET", path, authorization=""))[0] == wanted, path
    code, answer = await cluster.ask("GET", PODS, authorization="")
    assert code == 403
    assert 'User "system:anonymous"' in answer["message"]


async def test_acting_as_another_is_a_right() -> None:
    cluster = await Cluster().start()
    code, answer = await cluster.ask_as("jane", "GET", "/api")
    assert code == 200
    await cluster.role("actor", on("impersonate", "users", resourceNames=["joe"]))
    # The administrator may act as jane; whether jane may act as joe is asked in a review.
    await cluster.bind("actors", "actor", "jane")
    for name, allowed in (("joe", True), ("admin", False)):
        asked = {"verb": "impersonate", "resource": "users", "name": name}
        review = {"spec": {"user": "jane", "resourceAttributes": asked}}
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        _, answer = await cluster.ask("POST", path, review)
        assert answer["status"]["allowed"] is allowed


async def test_groups_without_a_user_are_refused() -> None:
    cluster = await Cluster().start()
    code, _ = await cluster.ask("GET", PODS, impersonate_group="system:masters")
    assert code == 500


async def test_a_kubelet_sees_the_secrets_of_its_own_pods_alone() -> None:
    cluster = await Cluster().start()
    for node, secret in (("n1", "mine"), ("n2", "theirs")):
        pod = {
            "metadata": {"name": f"on-{node}"},
            "spec": {
                "nodeName": node,
                "containers": [{"name": "c", "image": "i"}],
                "volumes": [{"name": "s", "secret": {"secretName": secret}}],
            },
        }
        assert (await cluster.ask("POST", PODS, pod))[0] == 201
    secrets = "/api/v1/namespaces/default/secrets"

    async def may(method: str, path: str) -> int:
        return (await cluster.ask_as("system:node:n1", method, path, groups="system:nodes"))[0]

    assert await may("GET", f"{secrets}/mine") == 404
    assert await may("GET", f"{secrets}/theirs") == 403
    assert await may("GET", secrets) == 403
    assert await may("DELETE", f"{PODS}/on-n2") == 403
    assert await may("PATCH", "/api/v1/nodes/n2/status") == 403
    assert await may("GET", PODS) == 200
    stranger = await cluster.ask_as("system:node:n1", "GET", f"{secrets}/mine")
    assert stranger[0] == 403  # a name alone makes no kubelet


@pytest.mark.parametrize(
    ("method", "part"),
    [
        ("GET", "log"),
        ("GET", "exec"),
        ("POST", "exec"),
        ("POST", "attach"),
        ("POST", "portforward"),
        ("GET", "proxy/secret"),
        ("POST", "eviction"),
        ("PUT", "ephemeralcontainers"),
        ("PATCH", "status"),
    ],
)
async def test_nobody_enters_the_pod_of_another(method: str, part: str) -> None:
    cluster = await Cluster().start()
    await cluster.bind("own", "system:aggregate-to-edit", "jane", namespace="kube-public")
    assert (await cluster.ask_as("jane", method, f"{PODS}/p/{part}"))[0] == 403


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/v1/namespaces/default/nodes", None),
        ("GET", "/api/v1/namespaces/default/nodes/n", None),
        ("POST", "/api/v1/namespaces/default/nodes", {"metadata": {"name": "m"}}),
        ("POST", "/api/v1/namespaces/default/persistentvolumes", {"metadata": {"name": "m"}}),
        ("PUT", "/api/v1/namespaces/default/nodes/n", {"metadata": {"name": "n"}}),
        ("PATCH", "/api/v1/namespaces/default/nodes/n", {"spec": {"unschedulable": True}}),
        ("PUT", "/api/v1/namespaces/default/nodes/n/status", {"metadata": {"name": "n"}}),
        ("DELETE", "/api/v1/namespaces/default/nodes/n", None),
        ("DELETE", "/api/v1/namespaces/default/nodes", None),
        ("POST", f"{RBAC}/namespaces/default/clusterroles", {"metadata": {"name": "m"}}),
    ],
)
async def test_what_lies_in_no_namespace_is_not_reached_through_one(
    method: str, path: str, body: dict[str, object] | None
) -> None:
    """All rights in a namespace give none outside of it: kube-apiserver has no such path."""
    cluster = await Cluster().start()
    await cluster.ask("POST", "/api/v1/nodes", {"metadata": {"name": "n"}})
    await cluster.bind("lords", "cluster-admin", "jane", namespace="default")
    before = cluster.registry.revision
    code, answer = await cluster.ask_as("jane", method, path, body)
    assert (code, answer["reason"]) == (404, "NotFound")
    assert cluster.registry.revision == before


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("PATCH", "leases/a?fieldManager=m", "application/apply-patch+yaml"),
        ("PUT", "leases/a", "application/json"),
    ],
)
async def test_who_creates_by_another_verb_must_be_allowed_to_create(
    method: str, path: str, kind: str
) -> None:
    cluster = await Cluster().start()
    group = "coordination.k8s.io"
    path = f"/apis/{group}/v1/namespaces/default/{path}"
    lease = {"apiVersion": f"{group}/v1", "kind": "Lease", "metadata": {"name": "a"}}
    sent = {"content_type": kind, "impersonate_user": "jane"}
    await cluster.role("writer", on("patch update", "leases", group))
    await cluster.bind("writer", "writer", "jane", namespace="default")
    code, answer = await cluster.ask(method, path, lease, **sent)
    assert code == 403
    assert 'User "jane" cannot create resource "leases"' in answer["message"]
    await cluster.role("maker", on("create", "leases", group))
    await cluster.bind("maker", "maker", "jane", namespace="default")
    assert (await cluster.ask(method, path, lease, **sent))[0] == 201
    await cluster.ask("DELETE", f"{RBAC}/namespaces/default/rolebindings/maker")
    assert (await cluster.ask(method, path, lease, **sent))[0] == 200


async def test_an_event_of_the_newer_group_is_not_created_by_a_patch_alone() -> None:
    cluster = await Cluster().start()
    group = "events.k8s.io"
    await cluster.role("writer", on("patch", "events", group))
    await cluster.bind("writer", "writer", "jane")
    event = {
        "apiVersion": f"{group}/v1",
        "kind": "Event",
        "metadata": {"name": "e"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "c",
        "reportingInstance": "i",
        "action": "a",
        "reason": "r",
        "type": "Normal",
    }
    path = f"/apis/{group}/v1/namespaces/default/events/e?fieldManager=m"
    sent = {"content_type": "application/apply-patch+yaml", "impersonate_user": "jane"}
    code, answer = await cluster.ask("PATCH", path, event, **sent)
    assert (code, answer["details"].get("group")) == (403, group)
