"""Access reviews: what kubectl auth can-i, --list and whoami ask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.apiserver.http.message import Reply, Request
from tests.unit.apiserver.security.cluster import Cluster, on

AUTHORIZATION = "/apis/authorization.k8s.io/v1"
AUTHENTICATION = "/apis/authentication.k8s.io/v1"


def about(verb: str, resource: str, **more: str) -> dict[str, Any]:
    return {"spec": {"resourceAttributes": {"verb": verb, "resource": resource, **more}}}


async def with_jane() -> Cluster:
    cluster = await Cluster().start()
    await cluster.role("reader", on("get list", "pods"))
    await cluster.bind("readers", "reader", "jane", namespace="default")
    return cluster


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        (about("list", "pods", namespace="default"), True),
        (about("list", "pods", namespace="kube-system"), False),
        (about("list", "pods"), False),
        (about("get", "pods", namespace="default", subresource="log"), False),
        ({"spec": {"nonResourceAttributes": {"verb": "get", "path": "/version"}}}, True),
        ({"spec": {"nonResourceAttributes": {"verb": "get", "path": "/metrics"}}}, False),
    ],
)
async def test_one_may_ask_about_oneself(asked: dict[str, Any], allowed: bool) -> None:
    cluster = await with_jane()
    path = f"{AUTHORIZATION}/selfsubjectaccessreviews"
    code, answer = await cluster.ask_as("jane", "POST", path, asked)
    assert code == 201
    assert answer["status"]["allowed"] is allowed
    assert answer["spec"] == asked["spec"]


async def test_a_review_tells_why_it_is_allowed() -> None:
    cluster = await with_jane()
    path = f"{AUTHORIZATION}/selfsubjectaccessreviews"
    asked = about("list", "pods", namespace="default")
    _, answer = await cluster.ask_as("jane", "POST", path, asked)
    assert answer["status"]["reason"] == (
        'RBAC: allowed by RoleBinding "readers/default" of ClusterRole "reader" to User "jane"'
    )


async def test_asking_about_others_is_a_right() -> None:
    cluster = await with_jane()
    asked = about("list", "pods", namespace="default")
    asked["spec"]["user"] = "jane"
    path = f"{AUTHORIZATION}/subjectaccessreviews"
    assert (await cluster.ask_as("joe", "POST", path, asked))[0] == 403
    assert (await cluster.ask("POST", path, asked))[1]["status"]["allowed"] is True
    local = f"{AUTHORIZATION}/namespaces/default/localsubjectaccessreviews"
    assert (await cluster.ask("POST", local, asked))[1]["status"]["allowed"] is True
    elsewhere = f"{AUTHORIZATION}/namespaces/kube-system/localsubjectaccessreviews"
    assert (await cluster.ask("POST", elsewhere, asked))[0] == 400


async def test_the_rules_of_oneself() -> None:
    cluster = await with_jane()
    path = f"{AUTHORIZATION}/selfsubjectrulesreviews"
    _, answer = await cluster.ask_as("jane", "POST", path, {"spec": {"namespace": "default"}})
    assert on("get list", "pods") in answer["status"]["resourceRules"]
    assert answer["status"]["incomplete"] is False
    urls = [url for r in answer["status"]["nonResourceRules"] for url in r["nonResourceURLs"]]
    assert "/healthz" in urls
    assert (await cluster.ask_as("jane", "POST", path, {"spec": {}}))[0] == 400


async def test_who_one_is() -> None:
    cluster = await with_jane()
    path = f"{AUTHENTICATION}/selfsubjectreviews"
    _, answer = await cluster.ask_as("jane", "POST", path, {}, groups="team")
    assert answer["status"]["userInfo"] == {
        "username": "jane",
        "groups": ["team", "system:authenticated"],
    }


async def test_kubectl_127_asks_a_version_that_is_not_advertised() -> None:
    cluster = await with_jane()
    beta = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1beta1"}
    root = "/apis/authentication.k8s.io/v1beta1"
    code, answer = await cluster.ask_as("jane", "POST", f"{root}/selfsubjectreviews", beta)
    assert (code, answer["apiVersion"]) == (201, "authentication.k8s.io/v1beta1")
    _, groups = await cluster.ask("GET", "/apis/authentication.k8s.io")
    assert [each["version"] for each in groups["versions"]] == ["v1"]
    assert (await cluster.ask("POST", f"{root}/tokenreviews", {"spec": {"token": "x"}}))[0] == 404


async def test_whose_a_token_is() -> None:
    cluster = await with_jane()
    path = f"{AUTHENTICATION}/tokenreviews"
    assert (await cluster.ask_as("jane", "POST", path, {"spec": {"token": "right"}}))[0] == 403
    _, answer = await cluster.ask("POST", path, {"spec": {"token": "right"}})
    assert answer["status"]["authenticated"] is True
    assert answer["status"]["user"]["username"] == "admin"
    assert (await cluster.ask("POST", path, {"spec": {}}))[0] == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{AUTHORIZATION}/selfsubjectaccessreviews"),
        ("GET", f"{AUTHORIZATION}/selfsubjectaccessreviews/x"),
        ("POST", f"{AUTHORIZATION}/namespaces/default/selfsubjectaccessreviews"),
        ("POST", f"{AUTHORIZATION}/localsubjectaccessreviews"),
        ("POST", f"{AUTHORIZATION}/nothings"),
    ],
)
async def test_reviews_are_created_where_they_are_and_nothing_else(method: str, path: str) -> None:
    cluster = await Cluster().start()
    assert (await cluster.ask(method, path, about("get", "pods")))[0] in (404, 405)


@pytest.mark.parametrize(
    ("path", "asked", "why"),
    [
        (
            f"{AUTHORIZATION}/selfsubjectaccessreviews",
            {"spec": "x"},
            "cannot unmarshal string into Go struct field SelfSubjectAccessReview.spec",
        ),
        (
            f"{AUTHORIZATION}/selfsubjectaccessreviews",
            {"spec": {"resourceAttributes": {"verb": 5}}},
            "cannot unmarshal number into Go struct field ResourceAttributes.spec",
        ),
        (
            f"{AUTHORIZATION}/subjectaccessreviews",
            {"spec": {"user": "x", "extra": {"a": 5}}},
            "cannot unmarshal number into Go struct field SubjectAccessReviewSpec.spec.extra",
        ),
        (
            f"{AUTHORIZATION}/selfsubjectrulesreviews",
            {"spec": {"namespace": "x", "more": 1}},
            'unknown field "spec.more"',
        ),
        (
            f"{AUTHENTICATION}/tokenreviews",
            {"spec": {"token": "x", "audiences": "x"}},
            "cannot unmarshal string into Go struct field TokenReviewSpec.spec.audiences",
        ),
    ],
)
async def test_what_is_no_such_review_is_refused(path: str, asked: Any, why: str) -> None:
    cluster = await Cluster().start()
    code, told = await cluster.ask("POST", f"{path}?fieldValidation=Strict", asked)
    assert (code, why in told["message"]) == (400, True), told


async def test_an_unknown_field_of_a_review_is_left_out_and_warned_of() -> None:
    cluster = await Cluster().start()
    asked = about("get", "pods")
    asked["spec"]["more"] = 1
    headers = {"authorization": "Bearer right"}
    path = f"{AUTHORIZATION}/selfsubjectaccessreviews"
    body = json.dumps(asked).encode()
    answer = await cluster.api.handle(Request("POST", path, {}, headers, body))
    assert isinstance(answer, Reply)
    assert answer.warnings == ('299 - "unknown field \\"spec.more\\""',)
    assert "more" not in json.loads(answer.body)["spec"]


@pytest.mark.parametrize(
    ("spec", "code", "why"),
    [
        ({"expirationSeconds": "x"}, 400, "cannot unmarshal string into Go struct field"),
        ({"expirationSeconds": 1}, 422, "may not specify a duration less than 10 minutes"),
        ({"audiences": 5}, 400, "cannot unmarshal number into Go struct field"),
        ({"boundObjectRef": 5}, 400, "cannot unmarshal number into Go struct field"),
        ({"more": 5}, 400, 'unknown field "spec.more"'),
    ],
)
async def test_what_is_no_token_request_is_refused(
    tmp_path: Path, spec: Any, code: int, why: str
) -> None:
    cluster = await Cluster(tmp_path).start()
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    await cluster.ask("POST", accounts, {"metadata": {"name": "a"}})
    path = f"{accounts}/a/token?fieldValidation=Strict"
    found, told = await cluster.ask("POST", path, {"spec": spec})
    assert (found, why in told["message"]) == (code, True), told
