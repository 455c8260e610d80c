"""pods/NAME/proxy and services/NAME/proxy: which server they mean, and which path of it."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from reconciler.apiserver.http import discovery, target
from reconciler.apiserver.http.message import Reply, Request
from reconciler.apiserver.http.target import Target
from reconciler.apiserver.streaming import backend
from reconciler.apiserver.streaming.backend import Backend
from reconciler.apiserver.streaming.service import cleaned
from tests.unit.apiserver.security.cluster import Cluster

SPACE = "/api/v1/namespaces/default"
SPEC = {"containers": [{"name": "c", "image": "i"}], "nodeName": "n"}
MERGE = "application/merge-patch+json"


async def cluster(address: str = "10.244.0.9") -> Cluster:
    """Return a cluster with a pod at an address, and a service of two ports before it."""
    made = await Cluster().start()
    await made.ask("POST", f"{SPACE}/serviceaccounts", {"metadata": {"name": "default"}})
    pod: dict[str, Any] = {"metadata": {"name": "p"}, "spec": SPEC}
    code, told = await made.ask("POST", f"{SPACE}/pods", pod)
    assert code == 201, told
    status = {"status": {"podIP": address, "podIPs": [{"ip": address}]}}
    code, told = await made.ask("PATCH", f"{SPACE}/pods/p/status", status, content_type=MERGE)
    assert code == 200, told
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
    named = {"metadata": {"name": "s"}}
    await made.ask("POST", f"{SPACE}/services", {**named, "spec": {"ports": ports}})
    subset = {
        "addresses": [{"ip": "10.244.0.9"}],
        "ports": [{"name": "a", "port": 8080}, {"name": "b", "port": 8081}],
    }
    await made.ask("POST", f"{SPACE}/endpoints", {**named, "subsets": [subset]})
    return made


def place(path: str) -> Target:
    found = target.parse(f"{SPACE}/{path}", discovery.versions())
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "to"),
    [
        ("p", Backend("10.244.0.9", 80)),
        ("p:8081", Backend("10.244.0.9", 8081)),
        ("https:p:", Backend("10.244.0.9", 443, tls=True)),
        ("https:p:8443", Backend("10.244.0.9", 8443, tls=True)),
    ],
)
async def test_where_a_pod_listens(name: str, to: Backend) -> None:
    made = await cluster()
    assert backend.of_pod(made.registry, place(f"pods/{name}/proxy")) == to


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "169.254.169.254", "::", "224.0.0.1", "255.255.255.255", "::1", "fe80::1",
     "::ffff:127.0.0.1"],
)  # fmt: skip
async def test_what_listens_on_this_host_alone_is_not_reached(address: str) -> None:
    made = await cluster(address)
    code, told = await made.ask("GET", f"{SPACE}/pods/p:6443/proxy/")
    assert (code, told["message"]) == (400, "address not allowed")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("s:99", 'no service port 99 found for service "s"'),
        ("s:c", 'no endpoints available for service "s:c"'),
        ("s", 'no endpoints available for service "s"'),
    ],
)
async def test_a_service_port_that_is_not_there(name: str, why: str) -> None:
    made = await cluster()
    code, told = await made.ask("GET", f"{SPACE}/services/{name}/proxy/")
    assert (code, told["message"]) == (503, why)


@pytest.mark.parametrize(
    ("name", "to"),
    [
        ("s:a", Backend("10.244.0.9", 8080)),
        ("s:81", Backend("10.244.0.9", 8081)),
        ("https:s:b", Backend("10.244.0.9", 8081, tls=True)),
    ],
)
async def test_where_a_service_leads(name: str, to: Backend) -> None:
    made = await cluster()
    at = place(f"services/{name}/proxy")
    assert backend.of_service(made.registry, at, Random(1)) == to


async def test_a_proxy_without_a_path_is_left_for_its_root() -> None:
    made = await cluster()
    for method in ("GET", "POST"):
        headers = {"authorization": "Bearer right"}
        asked = Request(method, f"{SPACE}/pods/p/proxy", {"a": ["b c", "d"]}, headers)
        answer = await made.api.handle(asked)
        assert isinstance(answer, Reply)
        assert answer.code == 301
        assert ("Location", f"{SPACE}/pods/p/proxy/?a=b+c&a=d") in answer.headers


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("", "/"),
        ("a/b", "/a/b"),
        ("a/b/", "/a/b/"),
        ("/a//b", "/a/b"),
        ("../../x", "/x"),
        ("a/./../b/", "/b/"),
    ],
)
def test_a_path_stays_below_the_servers_root(path: str, wanted: str) -> None:
    whole = f"{SPACE}/pods/p/proxy/{path}"
    _, _, below = place(f"pods/p/proxy/{path}").subresource.partition("/")
    assert cleaned(below, whole) == wanted


@pytest.mark.parametrize("path", ["pods//p/proxy/x", "/pods/p/proxy/x", "pods/p/log//x"])
def test_elsewhere_an_empty_part_leads_nowhere(path: str) -> None:
    assert target.parse(f"{SPACE}/{path}", discovery.versions()) is None
