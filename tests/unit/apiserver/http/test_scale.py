"""The Scale of a ReplicationController: who owns the replicas after which write."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.apiserver.http.message import Reply, Request
from tests.unit.apiserver.security.cluster import Cluster

CONTROLLERS = "/api/v1/namespaces/default/replicationcontrollers"
SCALE = f"{CONTROLLERS}/web/scale"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


async def web() -> Cluster:
    """Return a cluster with the ReplicationController `web` of one replica, made by `maker`."""
    cluster = await Cluster().start()
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    spec = {"replicas": 1, "selector": {"a": "b"}, "template": template}
    made = {"metadata": {"name": "web"}, "spec": spec}
    assert (await cluster.ask("POST", CONTROLLERS, made, user_agent="maker"))[0] == 201
    return cluster


def scale(replicas: Any, **metadata: str) -> dict[str, Any]:
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": "web", **metadata},
        "spec": {"replicas": replicas},
    }


async def owners(cluster: Cluster, path: str) -> list[tuple[str, str, str, str]]:
    """Return manager, operation, version and subresource of each owner of the replicas."""
    _, found = await cluster.ask("GET", path)
    return [
        (each["manager"], each["operation"], each["apiVersion"], each.get("subresource", ""))
        for each in found["metadata"]["managedFields"]
        if "f:replicas" in each["fieldsV1"]["f:spec"]
    ]


async def test_who_scales_owns_the_replicas_by_the_subresource() -> None:
    cluster = await web()
    assert await owners(cluster, SCALE) == [("maker", "Update", "autoscaling/v1", "")]
    change = {"spec": {"replicas": 3}}
    code, told = await cluster.ask("PATCH", SCALE, change, user_agent="hpa", content_type=MERGE)
    assert (code, told["spec"]["replicas"]) == (200, 3)
    assert await owners(cluster, f"{CONTROLLERS}/web") == [("hpa", "Update", "v1", "scale")]
    assert await owners(cluster, SCALE) == [("hpa", "Update", "autoscaling/v1", "scale")]


async def test_an_apply_takes_the_replicas_by_force_only() -> None:
    cluster = await web()
    code, told = await cluster.ask(
        "PATCH", f"{SCALE}?fieldManager=hpa", scale(3), content_type=APPLY
    )
    assert (code, told["reason"]) == (409, "Conflict")
    assert told["details"]["causes"][0]["field"] == ".spec.replicas"
    forced = f"{SCALE}?fieldManager=hpa&force=true"
    code, told = await cluster.ask("PATCH", f"{forced}&dryRun=All", scale(3), content_type=APPLY)
    assert (code, told["spec"]["replicas"]) == (200, 3)
    assert (await cluster.ask("GET", SCALE))[1]["spec"]["replicas"] == 1
    code, told = await cluster.ask("PATCH", forced, scale(3), content_type=APPLY)
    assert (code, told["spec"]["replicas"]) == (200, 3)
    assert await owners(cluster, f"{CONTROLLERS}/web") == [("hpa", "Apply", "v1", "scale")]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (scale(3, resourceVersion="1"), 409),
        (scale(3, uid="another"), 409),
        (scale(-1), 422),
        (scale("three"), 500),  # as kube-apiserver answers what has no schema
        (scale(1 << 31), 400),
        ({**scale(3), "kind": "Pod"}, 400),
        (scale(3, name="other"), 400),
        ([], 400),
        (5, 400),
    ],
)
async def test_an_apply_of_a_wrong_scale_is_refused(sent: Any, code: int) -> None:
    cluster = await web()
    path = f"{SCALE}?fieldManager=hpa&force=true"
    assert (await cluster.ask("PATCH", path, sent, content_type=APPLY))[0] == code
    assert (await cluster.ask("GET", SCALE))[1]["spec"]["replicas"] == 1


OTHER_NAME = "the name of the object (other) does not match the name on the URL (web)"
TOO_MANY = (
    "json: cannot unmarshal number 2147483648 into Go struct field ScaleSpec.spec.replicas"
    " of type int32"
)


@pytest.mark.parametrize(
    ("sent", "code", "why"),
    [
        (scale(1 << 31), 400, TOO_MANY),
        (scale(1.5), 400, "cannot unmarshal number 1.5 into Go struct field ScaleSpec.spec"),
        (scale(3, name="other"), 400, OTHER_NAME),
        (scale(3, namespace="other"), 400, "does not match the namespace sent on the request"),
        (scale(3, labels=5), 400, "cannot unmarshal number into Go struct field"),
        ({**scale(3), "spec": {"replica": 3}}, 400, 'unknown field "spec.replica"'),
        (scale(-1), 422, 'Scale.autoscaling "web" is invalid: spec.replicas: Invalid value: -1'),
        (scale(3, resourceVersion="1"), 409, "the object has been modified"),
    ],
)
async def test_an_update_of_a_wrong_scale_is_refused(sent: Any, code: int, why: str) -> None:
    cluster = await web()
    answered, told = await cluster.ask("PUT", f"{SCALE}?fieldValidation=Strict", sent)
    assert (answered, why in told["message"]) == (code, True), told
    assert (await cluster.ask("GET", SCALE))[1]["spec"]["replicas"] == 1


@pytest.mark.parametrize(
    ("change", "code", "why"),
    [
        ({"spec": {"replicas": 1 << 31}}, 422, TOO_MANY),
        ({"spec": {"replicas": "three"}}, 422, "cannot unmarshal string into Go struct field"),
        ({"spec": None}, 200, ""),
        ({"spec": 5}, 422, "cannot unmarshal number into Go struct field"),
        ({"metadata": {"name": "other"}}, 400, OTHER_NAME),
        ({"kind": "Pod"}, 422, "is registered for version"),
    ],
)
async def test_a_patch_that_leaves_a_wrong_scale_is_refused(
    change: Any, code: int, why: str
) -> None:
    cluster = await web()
    answered, told = await cluster.ask("PATCH", SCALE, change, content_type=MERGE)
    assert (answered, why in told.get("message", "")) == (code, True), told
    left = (await cluster.ask("GET", SCALE))[1]["spec"].get("replicas", 0)
    assert left == (0 if code == 200 else 1)


async def test_an_unknown_field_of_a_scale_is_warned_of() -> None:
    cluster = await web()
    sent = json.dumps({**scale(2), "spec": {"replicas": 2, "more": 1}}).encode()
    headers = {"authorization": "Bearer right", "content-type": "application/json"}
    answer = await cluster.api.handle(Request("PUT", SCALE, {}, headers, sent))
    assert isinstance(answer, Reply)
    assert (answer.code, answer.warnings) == (200, ('299 - "unknown field \\"spec.more\\""',))
