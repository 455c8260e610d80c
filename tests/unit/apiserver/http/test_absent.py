"""Lists of workloads that this server has no kind of: what `kubectl cluster-info dump` asks for."""

from __future__ import annotations

import pytest

from tests.unit.apiserver.security.cluster import Cluster

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Deployment", "/apis/apps/v1/namespaces/default/deployments"),
        ("DaemonSet", "/apis/apps/v1/daemonsets"),
        ("ReplicaSet", "/apis/apps/v1/replicasets"),
    ],
)
async def test_there_are_none(kind: str, path: str) -> None:
    cluster = await Cluster().start()
    code, found = await cluster.ask("GET", path)
    assert (code, found["kind"], found["apiVersion"]) == (200, f"{kind}List", "apps/v1")
    assert found["items"] == []
    assert int(found["metadata"]["resourceVersion"]) > 0
    _, table = await cluster.ask("GET", path, accept=TABLE)
    assert (table["kind"], table["rows"]) == ("Table", [])
    assert (await cluster.ask_as("jane", "GET", path))[0] == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/apis/apps/v1/namespaces/default/deployments/d"),
        ("GET", "/apis/apps/v1/namespaces/default/deployments?watch=1"),
        ("POST", "/apis/apps/v1/namespaces/default/deployments"),
        ("GET", "/apis/apps/v1/controllerrevisions"),
        ("GET", "/apis/apps/v1"),
        ("GET", "/apis/apps"),
        ("GET", "/apis/apps/v1beta1/deployments"),
    ],
)
async def test_nothing_takes_them_for_kinds_that_can_be_made(method: str, path: str) -> None:
    assert (await (await Cluster().start()).ask(method, path))[0] == 404
