"""The Binding of a pod: what is refused, and what a dry run leaves alone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.apiserver.security.cluster import PODS, Cluster

PATHS = (f"{PODS}/p/binding", "/api/v1/namespaces/default/bindings")


async def waiting() -> Cluster:
    """Return a cluster with the pod `p`, which waits for a node."""
    cluster = await Cluster().start()
    spec = {"containers": [{"name": "c", "image": "i"}]}
    assert (await cluster.ask("POST", PODS, {"metadata": {"name": "p"}, "spec": spec}))[0] == 201
    return cluster


async def node_of(cluster: Cluster) -> str:
    return str((await cluster.ask("GET", f"{PODS}/p"))[1]["spec"].get("nodeName", ""))


def binding(**target: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "target": target}


@pytest.mark.parametrize("path", PATHS)
async def test_a_dry_run_binds_nothing(path: str) -> None:
    cluster = await waiting()
    code, _ = await cluster.ask("POST", f"{path}?dryRun=All", binding(name="n"))
    assert (code, await node_of(cluster)) == (201, "")
    code, _ = await cluster.ask("POST", path, binding(kind="Node", name="n"))
    assert (code, await node_of(cluster)) == (201, "n")
    assert (await cluster.ask("POST", f"{path}?dryRun=All", binding(name="m")))[0] == 409


@pytest.mark.parametrize("path", PATHS)
async def test_a_pod_is_bound_to_nothing_but_a_node(path: str) -> None:
    cluster = await waiting()
    code, answer = await cluster.ask("POST", path, binding(kind="Pod", name="n"))
    assert (code, await node_of(cluster)) == (500, "")
    assert answer["message"] == (
        'target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>"'
    )


async def test_a_binding_is_of_the_pod_of_the_url() -> None:
    cluster = await waiting()
    other = {**binding(name="n"), "metadata": {"name": "other"}}
    code, answer = await cluster.ask("POST", PATHS[0], other)
    assert (code, await node_of(cluster)) == (400, "")
    assert answer["message"] == "name in URL does not match name in Binding object"
    code, answer = await cluster.ask("POST", PATHS[0], {**binding(name="n"), "target": 5})
    assert (code, await node_of(cluster)) == (400, "")
    assert "cannot unmarshal number into Go struct field Binding.target" in answer["message"]
