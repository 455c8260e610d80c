"""`pods/eviction` where no disruption budget is in the way: a delete that says why on the pod."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.apiserver.security.cluster import Cluster

PODS = "/api/v1/namespaces/default/pods"


async def running() -> tuple[Cluster, str]:
    """Return a cluster with the pod `p` bound to a node, and its uid."""
    cluster = await Cluster().start()
    spec = {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}
    code, pod = await cluster.ask("POST", PODS, {"metadata": {"name": "p"}, "spec": spec})
    assert code == 201
    return cluster, pod["metadata"]["uid"]


def eviction(version: str = "policy/v1", name: str = "p", **options: Any) -> dict[str, Any]:
    return {
        "apiVersion": version,
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": "default"},
        "deleteOptions": options,
    }


@pytest.mark.parametrize("version", ["policy/v1", "policy/v1beta1"])
async def test_a_pod_is_asked_to_go_and_says_why(version: str) -> None:
    cluster, _ = await running()
    code, answer = await cluster.ask(
        "POST", f"{PODS}/p/eviction", eviction(version, gracePeriodSeconds=7)
    )
    assert (code, answer["kind"], answer["status"]) == (201, "Status", "Success")
    _, pod = await cluster.ask("GET", f"{PODS}/p")
    assert pod["metadata"]["deletionGracePeriodSeconds"] == 7
    (why,) = [each for each in pod["status"]["conditions"] if each["type"] == "DisruptionTarget"]
    assert (why["status"], why["reason"]) == ("True", "EvictionByEvictionAPI")


async def test_a_dry_run_leaves_the_pod_alone() -> None:
    cluster, _ = await running()
    code, _ = await cluster.ask("POST", f"{PODS}/p/eviction", eviction(dryRun=["All"]))
    assert code == 201
    _, pod = await cluster.ask("GET", f"{PODS}/p")
    assert "deletionTimestamp" not in pod["metadata"]
    assert "conditions" not in pod["status"]


@pytest.mark.parametrize(
    ("asked", "code", "reason"),
    [
        (eviction(name="other"), 400, "BadRequest"),
        ({**eviction(), "deleteOptions": 5}, 400, "BadRequest"),
        (eviction(gracePeriodSeconds="7"), 400, "BadRequest"),
        (eviction("policy/v2"), 400, "BadRequest"),
        (eviction(preconditions={"uid": "another"}), 409, "Conflict"),
        (eviction(preconditions={"resourceVersion": "1"}), 409, "Conflict"),
    ],
)
async def test_what_is_not_meant_for_this_pod_is_refused(
    asked: dict[str, Any], code: int, reason: str
) -> None:
    cluster, _ = await running()
    found, answer = await cluster.ask("POST", f"{PODS}/p/eviction", asked)
    assert (found, answer["reason"]) == (code, reason)
    _, pod = await cluster.ask("GET", f"{PODS}/p")
    assert "deletionTimestamp" not in pod["metadata"]


async def test_a_pod_of_that_uid_goes() -> None:
    cluster, uid = await running()
    asked = eviction(preconditions={"uid": uid}, gracePeriodSeconds=0)
    assert (await cluster.ask("POST", f"{PODS}/p/eviction", asked))[0] == 201
    assert (await cluster.ask("GET", f"{PODS}/p"))[0] == 404
    assert (await cluster.ask("POST", f"{PODS}/p/eviction", asked))[0] == 404
