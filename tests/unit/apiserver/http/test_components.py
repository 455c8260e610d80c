"""componentstatuses: what `kubectl get componentstatuses` finds."""

from __future__ import annotations

from tests.unit.apiserver.security.cluster import Cluster

PATH = "/api/v1/componentstatuses"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


async def test_all_parts_are_well() -> None:
    cluster = await Cluster().start()
    code, found = await cluster.ask("GET", PATH)
    assert (code, found["kind"]) == (200, "ComponentStatusList")
    assert [each["metadata"]["name"] for each in found["items"]] == [
        "controller-manager",
        "etcd-0",
        "scheduler",
    ]
    code, one = await cluster.ask("GET", f"{PATH}/scheduler")
    assert one["conditions"] == [{"type": "Healthy", "status": "True", "message": "ok"}]
    _, table = await cluster.ask("GET", PATH, accept=TABLE)
    assert table["rows"][2]["cells"] == ["scheduler", "Healthy", "ok", ""]


async def test_there_are_no_others_and_nobody_writes_them() -> None:
    cluster = await Cluster().start()
    code, answer = await cluster.ask("GET", f"{PATH}/x")
    assert (code, answer["message"]) == (404, 'componentstatuses "x" not found')
    assert (await cluster.ask("DELETE", f"{PATH}/scheduler"))[0] == 405
    assert (await cluster.ask("GET", "/api/v1/namespaces/default/componentstatuses"))[0] == 404
    assert (await cluster.ask_as("jane", "GET", PATH))[0] == 403
