"""Bodies with one value of a wrong shape: each is taken or refused, and none crashes the request.

Objects of the stored kinds go through one decoder; what is asked here has bodies of other kinds,
each of which is read in its own way.
"""

from __future__ import annotations

import asyncio
import copy
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.apiserver.security.cluster import Cluster

Json = Any

CORE = "/api/v1/namespaces/default"
AUTHENTICATION = "/apis/authentication.k8s.io/v1"
AUTHORIZATION = "/apis/authorization.k8s.io/v1"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"

WISH = {"namespace": "default", "verb": "get", "resource": "pods", "group": "", "name": "p"}
DELETE = {
    "kind": "DeleteOptions",
    "apiVersion": "v1",
    "gracePeriodSeconds": 5,
    "preconditions": {"uid": "u", "resourceVersion": "1"},
    "propagationPolicy": "Background",
    "dryRun": ["All"],
}
CONTROLLER = {
    "apiVersion": "v1",
    "kind": "ReplicationController",
    "metadata": {"name": "rc", "labels": {"a": "b"}, "finalizers": ["example.com/x"]},
    "spec": {"replicas": 1, "selector": {"a": "b"}},
}
ASKED: tuple[tuple[str, str, Json], ...] = (
    ("DELETE", f"{CORE}/configmaps/m", DELETE),
    ("DELETE", f"{CORE}/configmaps", DELETE),
    ("POST", f"{CORE}/pods/p/binding", {"metadata": {"name": "p"}, "target": {"name": "n"}}),
    ("POST", f"{CORE}/bindings", {"metadata": {"name": "p"}, "target": {"name": "n"}}),
    ("POST", f"{CORE}/pods/p/eviction", {"metadata": {"name": "p"}, "deleteOptions": DELETE}),
    (
        "PUT",
        f"{CORE}/replicationcontrollers/rc/scale",
        {"metadata": {"name": "rc", "uid": "u", "resourceVersion": "1"}, "spec": {"replicas": 2}},
    ),
    ("PATCH", f"{CORE}/replicationcontrollers/rc/scale", {"spec": {"replicas": 2}}),
    ("PATCH", f"{CORE}/replicationcontrollers/rc", CONTROLLER),
    ("PATCH", f"{CORE}/replicationcontrollers/rc?fieldManager=m", CONTROLLER),
    (
        "POST",
        f"{CORE}/serviceaccounts/default/token",
        {
            "spec": {
                "audiences": ["a"],
                "expirationSeconds": 600,
                "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": "u"},
            }
        },
    ),
    ("POST", f"{AUTHENTICATION}/tokenreviews", {"spec": {"token": "t", "audiences": ["a"]}}),
    ("POST", f"{AUTHENTICATION}/selfsubjectreviews", {"metadata": {"name": "x"}}),
    (
        "POST",
        f"{AUTHORIZATION}/subjectaccessreviews",
        {"spec": {"user": "u", "groups": ["g"], "extra": {"k": ["v"]}, "resourceAttributes": WISH}},
    ),
    (
        "POST",
        f"{AUTHORIZATION}/selfsubjectaccessreviews",
        {"spec": {"nonResourceAttributes": {"path": "/x", "verb": "get"}}},
    ),
    ("POST", f"{AUTHORIZATION}/selfsubjectrulesreviews", {"spec": {"namespace": "default"}}),
    (
        "POST",
        f"{AUTHORIZATION}/namespaces/default/localsubjectaccessreviews",
        {"spec": {"user": "u", "resourceAttributes": WISH}},
    ),
    ("PUT", "/api/v1/namespaces/default/finalize", {"metadata": {"name": "default"}, "spec": {}}),
)
ODD = st.sampled_from(
    (
        None,
        True,
        -1,
        1.5,
        10**30,
        "",
        "x",
        "\x00",
        [],
        [None],
        ["x"],
        {},
        {"x": 1},
        {"": None},
        [[]],
    )
)


def _places(value: Json, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value within `value`, itself included."""
    inner = value.items() if isinstance(value, dict) else ()
    inner = enumerate(value) if isinstance(value, list) else inner
    return [path, *(found for key, each in inner for found in _places(each, (*path, key)))]


def _replaced(value: Json, path: tuple[Any, ...], odd: Json) -> Json:
    if not path:
        return odd
    changed = copy.deepcopy(value)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = odd
    return changed


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, Json]:
    """Return a request with one value of its body replaced by an odd one."""
    method, path, body = draw(st.sampled_from(ASKED))
    place = draw(st.sampled_from(_places(body)))
    return method, path, _replaced(body, place, draw(ODD))


async def _cluster(folder: Path) -> Cluster:
    cluster = await Cluster(folder).start()
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod["spec"]}
    spec = {"replicas": 1, "selector": {"a": "b"}, "template": template}
    for kind, body in (
        ("configmaps", {"metadata": {"name": "m"}}),
        ("serviceaccounts", {"metadata": {"name": "default"}}),
        ("pods", pod),
        ("replicationcontrollers", {"metadata": {"name": "rc"}, "spec": spec}),
    ):
        code, answer = await cluster.ask("POST", f"{CORE}/{kind}", body)
        assert code == 201, answer
    return cluster


@given(requests())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_value_of_a_wrong_shape_crashes_nothing(asked: tuple[str, str, Json]) -> None:
    method, path, body = asked
    kind = (APPLY if "fieldManager" in path else MERGE) if method == "PATCH" else "application/json"

    async def check(folder: Path) -> None:
        cluster = await _cluster(folder)
        _, answer = await cluster.ask(method, path, body, content_type=kind)
        reason = answer.get("reason") if isinstance(answer, dict) else ""
        assert reason != "InternalError", answer

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(check(Path(folder)))
