"""Nobody grants what he has not."""

from __future__ import annotations

import pytest

from tests.unit.apiserver.security.cluster import RBAC, Cluster, on

WRITER = on("create update patch get", "roles rolebindings", "rbac.authorization.k8s.io")
ROLES = f"{RBAC}/namespaces/default/roles"
BINDINGS = f"{RBAC}/namespaces/default/rolebindings"


async def with_writer(*more: dict[str, object]) -> Cluster:
    cluster = await Cluster().start()
    await cluster.role("writer", WRITER, on("get list", "pods"), *more)
    await cluster.bind("writer", "writer", "jane", namespace="default")
    return cluster


def role(*rules: dict[str, object]) -> dict[str, object]:
    return {"metadata": {"name": "r"}, "rules": list(rules)}


def binding(kind: str, name: str) -> dict[str, object]:
    subject = {"kind": "User", "name": "joe"}
    return {
        "metadata": {"name": "b"},
        "roleRef": {"kind": kind, "name": name},
        "subjects": [subject],
    }


async def test_one_may_grant_what_one_has() -> None:
    cluster = await with_writer()
    assert (await cluster.ask_as("jane", "POST", ROLES, role(on("get", "pods"))))[0] == 201
    assert (await cluster.ask_as("jane", "POST", BINDINGS, binding("Role", "r")))[0] == 201


async def test_one_may_not_grant_more() -> None:
    cluster = await with_writer()
    wanted = role(on("get delete", "pods"), on("get", "secrets"))
    code, answer = await cluster.ask_as("jane", "POST", ROLES, wanted)
    assert code == 403
    assert answer["message"] == (
        'roles.rbac.authorization.k8s.io "r" is forbidden: user "jane" '
        '(groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently '
        'held:\n{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}\n'
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}'
    )


async def test_no_update_and_no_patch_grants_more() -> None:
    cluster = await with_writer()
    await cluster.ask_as("jane", "POST", ROLES, role(on("get", "pods")))
    more = role(on("get", "secrets"))
    assert (await cluster.ask_as("jane", "PUT", f"{ROLES}/r", more))[0] == 403
    for kind in ("merge-patch+json", "apply-patch+yaml"):
        forced = "&force=true" if kind.startswith("apply") else ""
        path = f"{ROLES}/r?fieldManager=jane{forced}"
        whole = {"kind": "Role", "apiVersion": "rbac.authorization.k8s.io/v1", **more}
        code, answer = await cluster.ask(
            "PATCH", path, whole, impersonate_user="jane", content_type=f"application/{kind}"
        )
        assert code == 403, answer
    assert (await cluster.ask("GET", f"{ROLES}/r"))[1]["rules"] == [on("get", "pods")]


async def test_a_role_of_others_cannot_be_bound() -> None:
    cluster = await with_writer()
    code, answer = await cluster.ask_as(
        "jane", "POST", BINDINGS, binding("ClusterRole", "cluster-admin")
    )
    assert code == 403
    assert '{APIGroups:["*"], Resources:["*"], Verbs:["*"]}' in answer["message"]
    code, answer = await cluster.ask_as("jane", "POST", BINDINGS, binding("Role", "nowhere"))
    assert code == 404


@pytest.mark.parametrize(
    ("right", "path", "body"),
    [
        ("escalate", ROLES, role(on("get", "secrets"))),
        ("bind", BINDINGS, binding("ClusterRole", "cluster-admin")),
    ],
)
async def test_escalate_and_bind_are_rights(right: str, path: str, body: dict[str, object]) -> None:
    given = on(right, "roles clusterroles", "rbac.authorization.k8s.io")
    cluster = await with_writer(given)
    code, answer = await cluster.ask_as("jane", "POST", path, body)
    assert code == 201, answer


async def test_a_bindings_role_cannot_be_changed() -> None:
    cluster = await Cluster().start()
    await cluster.bind("b", "view", "joe")
    path = f"{RBAC}/clusterrolebindings/b"
    _, live = await cluster.ask("GET", path)
    live["roleRef"]["name"] = "edit"
    code, answer = await cluster.ask("PUT", path, live)
    assert code == 422
    assert answer["message"] == (
        'ClusterRoleBinding.rbac.authorization.k8s.io "b" is invalid: roleRef: Invalid value: '
        'rbac.RoleRef{APIGroup:"rbac.authorization.k8s.io", Kind:"ClusterRole", Name:"edit"}: '
        "cannot change roleRef"
    )
