"""The Scale of a ReplicationController: who owns the replicas after which write."""

from __future__ import annotations

from typing import Any

import pytest

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
        (scale("three"), 400),
        ({**scale(3), "kind": "Pod"}, 400),
        ([], 400),
        (5, 400),
    ],
)
async def test_an_apply_of_a_wrong_scale_is_refused(sent: Any, code: int) -> None:
    cluster = await web()
    path = f"{SCALE}?fieldManager=hpa&force=true"
    assert (await cluster.ask("PATCH", path, sent, content_type=APPLY))[0] == code
    assert (await cluster.ask("GET", SCALE))[1]["spec"]["replicas"] == 1
