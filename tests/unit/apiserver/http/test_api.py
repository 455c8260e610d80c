"""The API as a function: who may ask, what odd requests get. The vectors are in tests/vectors."""

import asyncio
import json
import time
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.apiserver.http import status
from reconciler.apiserver.http.api import Api
from reconciler.apiserver.http.message import Answer, Reply, Request, Stream
from reconciler.apiserver.registry.registry import Registry
from reconciler.apiserver.security import bootstrap
from reconciler.apiserver.security.authentication import Authenticator
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.store.memory import MemoryStore

TOKEN = {"authorization": "Bearer right"}
MAPS = "/api/v1/namespaces/default/configmaps"


async def api() -> Api:
    registry = Registry(MemoryStore(), SystemClock(), Ids(Random(3)))
    await registry.start()
    await bootstrap.ensure(registry)
    return Api(registry, SystemClock(), Authenticator("right"), address="127.0.0.1:6443")


def ask(method: str, path: str, body: Any = None, **headers: str) -> Request:
    content = b"" if body is None else json.dumps(body).encode()
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return Request(method, path, {}, {**TOKEN, **named}, content)


def code(answer: Answer) -> int:
    return answer.code


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({}, 403),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": "Bearer "}, 401),
        ({"authorization": "Basic right"}, 401),
        ({"authorization": "Bearer right\x00"}, 401),
        ({"authorization": "bearer right"}, 200),
        ({**TOKEN, "impersonate-user": "jane"}, 403),
        ({**TOKEN, "impersonate-user": "jane", "impersonate-group": "system:masters"}, 200),
        ({"impersonate-user": "admin", "impersonate-group": "system:masters"}, 403),
    ],
)
async def test_who_may_list_secrets(headers: dict[str, str], wanted: int) -> None:
    request = Request("GET", "/api/v1/secrets", {}, headers)
    assert code(await (await api()).handle(request)) == wanted


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/livez", "/version"])
async def test_anybody_may_see_whether_it_is_well(path: str) -> None:
    assert code(await (await api()).handle(Request("GET", path, {}, {}))) == 200


async def test_a_check_of_its_health_may_be_left_out() -> None:
    served, asked = await api(), {"verbose": [""], "exclude": ["log", "etcd"]}
    answer = await served.handle(Request("GET", "/readyz", asked, {}))
    assert isinstance(answer, Reply)
    assert answer.body.decode().splitlines() == [
        "[+]ping ok",
        "[+]log excluded: ok",
        "[+]store ok",
        'warn: some health checks cannot be excluded: no matches for "etcd"',
        "readyz check passed",
    ]
    assert code(await served.handle(ask("GET", "/readyz/etcd"))) == 404


@pytest.mark.parametrize("path", ["/metrics", "/api", "/openapi/v3", "/"])
async def test_the_rest_wants_to_know_who_asks(path: str) -> None:
    served = await api()
    assert code(await served.handle(Request("GET", path, {}, {}))) == 403
    assert code(await served.handle(ask("GET", path))) == 200


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/namespaces/default/secrets/../configmaps",
        "/api/v1/namespaces//secrets/x",
        "/api/v1//secrets",
        "/api/v1/namespaces/default/pods/p/exec/../../x",
        "/apis/gitops.reconciler.dev/v1/sources",
        "/api/v1/namespaces/default/pods/p/scale",
    ],
)
async def test_odd_paths_are_nowhere(path: str) -> None:
    assert code(await (await api()).handle(ask("GET", path))) == 404


async def test_logs_of_a_pod_without_a_node_are_empty_and_without_a_kubelet_unavailable() -> None:
    served = await api()
    logs = "/api/v1/namespaces/default/pods/p/log"
    assert code(await served.handle(ask("GET", logs))) == 404
    spec = {"containers": [{"name": "c", "image": "i"}]}
    pod = {"metadata": {"name": "p"}, "spec": spec}
    assert code(await served.handle(ask("POST", "/api/v1/namespaces/default/pods", pod))) == 201
    assert code(await served.handle(ask("GET", logs))) == 204
    bound = {"target": {"name": "n"}}
    await served.handle(ask("POST", "/api/v1/namespaces/default/pods/p/binding", bound))
    assert code(await served.handle(ask("GET", logs))) == 503


async def test_warnings_cannot_break_the_header() -> None:
    sent = ask("POST", MAPS, {"metadata": {"name": "a"}, 'x"\r\nSet-Cookie: a': 1})
    answer = await (await api()).handle(sent)
    assert isinstance(answer, Reply)
    assert not any("\r" in text or "\n" in text for text in answer.warnings)
    assert answer.warnings


def test_warnings_are_told_once_and_within_bounds() -> None:
    assert status.warning_headers(["a", "b", "a"]) == ('299 - "a"', '299 - "b"')
    whole = status.warning_headers(["x" * 4000])
    assert len(whole[0]) > 4000
    many = status.warning_headers(f"{number:04}{'x' * 1000}" for number in range(100))
    assert len(many) == 16
    assert {len(text) for text in many} == {len('299 - ""') + 256}


@pytest.mark.parametrize(
    ("options", "word", "field"),
    [
        ({"gracePeriodSeconds": "x"}, "string", "DeleteOptions.gracePeriodSeconds"),
        ({"gracePeriodSeconds": 1.5}, "number", "DeleteOptions.gracePeriodSeconds"),
        ({"gracePeriodSeconds": True}, "bool", "DeleteOptions.gracePeriodSeconds"),
        ({"preconditions": "x"}, "string", "DeleteOptions.preconditions"),
        ({"preconditions": {"uid": 5}}, "number", "Preconditions.preconditions.uid"),
        ({"propagationPolicy": ["x"]}, "array", "DeleteOptions.propagationPolicy"),
        ({"orphanDependents": 1}, "number", "DeleteOptions.orphanDependents"),
        ({"dryRun": "All"}, "string", "DeleteOptions.dryRun"),
    ],
)
async def test_delete_options_of_a_wrong_type_delete_nothing(
    options: dict[str, Any], word: str, field: str
) -> None:
    served = await api()
    await served.handle(ask("POST", MAPS, {"metadata": {"name": "a"}}))
    answer = await served.handle(ask("DELETE", f"{MAPS}/a", options))
    assert isinstance(answer, Reply)
    message = json.loads(answer.body)["message"]
    told = f"json: cannot unmarshal {word} into Go struct field {field} of type "
    assert message.startswith(told)
    assert code(await served.handle(ask("GET", f"{MAPS}/a"))) == 200


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # hosts are slow at times
@given(
    st.sampled_from(("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")),
    st.lists(
        st.sampled_from(
            ("api", "apis", "v1", "namespaces", "default", "configmaps", "x", "status", "scale",
             "replicationcontrollers", "", "pods", "binding", "eviction", "openapi", "v3")
        ),
        max_size=7,
    ),
    st.dictionaries(
        st.sampled_from(("watch", "limit", "continue", "labelSelector", "fieldSelector", "dryRun",
                         "resourceVersion", "resourceVersionMatch", "fieldValidation", "pretty")),
        st.lists(st.text(max_size=5) | st.sampled_from(("1", "true", "All")), max_size=2),
        max_size=3,
    ),
    st.sampled_from(("", "application/json", "application/yaml", "text/plain",
                     "application/merge-patch+json", "application/json-patch+json",
                     "application/strategic-merge-patch+json", "application/apply-patch+yaml")),
    st.binary(max_size=30) | st.sampled_from((b"{}", b"[]", b"null", b'{"metadata":[]}', b"1")),
)  # fmt: skip
def test_no_request_is_answered_with_a_crash(
    method: str, parts: list[str], query: dict[str, list[str]], kind: str, body: bytes
) -> None:
    async def check() -> None:
        headers = {**TOKEN, "content-type": kind}
        request = Request(method, "/" + "/".join(parts), query, headers, body)
        answer = await (await api()).handle(request)
        if isinstance(answer, Stream):
            return
        told = json.loads(answer.body) if answer.content_type == "application/json" else {}
        assert told.get("reason") != "InternalError", told

    asyncio.run(check())


async def test_who_writes_what_git_declares_is_told_so() -> None:
    registry = Registry(MemoryStore(), SystemClock(), Ids(Random(3)))
    await registry.start()
    asked: list[tuple[ObjectKey, bool]] = []

    def declared(key: ObjectKey, live: KubeObject | None) -> str:
        asked.append((key, live is not None))
        return "Git says no" if key.name == "a" else ""

    served = Api(registry, SystemClock(), Authenticator("right"), address="", declared=declared)
    for name in ("a", "b"):
        made = await served.handle(ask("POST", MAPS, {"metadata": {"name": name}}))
        assert made.code == 201
    assert asked == []

    async def warnings(request: Request) -> list[str]:
        answer = await served.handle(request)
        assert isinstance(answer, Reply)
        assert answer.code == 200
        return list(answer.warnings)

    merge = {"content_type": "application/merge-patch+json"}
    patch = ask("PATCH", f"{MAPS}/a", {"data": {"k": "v"}}, **merge)
    assert await warnings(patch) == ['299 - "Git says no"']
    assert await warnings(replace(patch, query={"dryRun": ["All"]})) == []
    assert await warnings(replace(patch, path=f"{MAPS}/b")) == []
    assert await warnings(ask("GET", f"{MAPS}/a")) == []
    assert await warnings(ask("DELETE", f"{MAPS}/a")) == ['299 - "Git says no"']
    of_a = [live for key, live in asked if key == ObjectKey("ConfigMap", "default", "a")]
    assert of_a == [True, False]


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [("json-patch", 200), ("strategic-merge-patch", 200), ("merge-patch", 400)],
)
async def test_a_patch_that_is_null(kind: str, wanted: int) -> None:
    """Go reads null as no operation; a merge patch alone is refused then."""
    served = await api()
    await served.handle(ask("POST", MAPS, {"metadata": {"name": "a"}}))
    asked = ask("PATCH", f"{MAPS}/a", content_type=f"application/{kind}+json")
    assert code(await served.handle(replace(asked, body=b"null"))) == wanted


@pytest.mark.parametrize("sent", ["Application/JSON", "application/JSON; charset=utf-8"])
async def test_a_media_type_is_the_same_in_capitals(sent: str) -> None:
    served = await api()
    made = await served.handle(ask("POST", MAPS, {"metadata": {"name": "a"}}, content_type=sent))
    assert code(made) == 201


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/api/v1/watch/configmaps", 200),
        ("/api/v1/watch/namespaces/default/configmaps/a", 200),
        ("/apis/discovery.k8s.io/v1/watch/endpointslices", 200),
        ("/api/v1/watch/nothings", 404),
        ("/api/v1/watch", 404),
    ],
)
async def test_the_older_paths_of_watches(path: str, wanted: int) -> None:
    answer = await (await api()).handle(ask("GET", path))
    assert code(answer) == wanted
    assert isinstance(answer, Stream) == (wanted == 200)


async def _overtaken(objects: int, slow: Request) -> Reply:
    """Return the answer to a slow list of ConfigMaps; a request behind it was answered before."""
    served = await api()
    for number in range(objects):
        await served.handle(ask("POST", MAPS, {"metadata": {"name": f"m-{number}"}}))
    order: list[str] = []

    async def named(name: str, request: Request) -> Answer:
        answer = await served.handle(request)
        order.append(name)
        return answer

    long, short = await asyncio.gather(named("long", slow), named("short", ask("GET", MAPS)))
    assert order == ["short", "long"]
    assert (code(long), code(short)) == (200, 200)
    assert isinstance(long, Reply)
    return long


async def test_a_very_long_selector_holds_up_nobody() -> None:
    selector = ",".join(f"a!=b{number}" for number in range(5000))
    asked = replace(ask("GET", MAPS), query={"labelSelector": [selector]})
    assert len(json.loads((await _overtaken(100, asked)).body)["items"]) == 100


@pytest.mark.parametrize("form", ["yaml", "pretty"])
async def test_a_long_list_for_people_holds_up_nobody(form: str) -> None:
    asked = ask("GET", MAPS, accept="application/yaml" if form == "yaml" else "application/json")
    query = {"pretty": ["true"]} if form == "pretty" else {}
    answer = await _overtaken(500, replace(asked, query=query))
    assert answer.body.count(b"name: m-" if form == "yaml" else b'"name": "m-') == 500


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("depth", [150, 500, 1000])
async def test_a_body_that_is_nested_too_deeply_is_a_bad_request(method: str, depth: int) -> None:
    served = await api()
    await served.handle(ask("POST", MAPS, {"metadata": {"name": "a"}}))
    text = b'{"metadata":{"name":"a"},"x":' + b'{"y":' * depth + b"1" + b"}" * depth + b"}"
    path = MAPS if method == "POST" else f"{MAPS}/a"
    for kind in ("json", "merge-patch+json", "strategic-merge-patch+json"):
        asked = ask(method, path, content_type=f"application/{kind}")
        assert code(await served.handle(replace(asked, body=text))) < 500


async def test_a_body_that_is_wrong_throughout_is_refused_soon() -> None:
    served = await api()
    data = {f"k{number}": 1 for number in range(50_000)}
    start = time.process_time()
    answer = await served.handle(ask("POST", MAPS, {"metadata": {"name": "a"}, "data": data}))
    assert code(answer) == 400
    assert time.process_time() - start < 2


async def test_who_has_the_aggregated_discovery_is_told_that_it_is_the_same() -> None:
    served = await api()
    form = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    for path in ("/api", "/apis"):
        answer = await served.handle(ask("GET", path, accept=form))
        assert isinstance(answer, Reply)
        tag = dict(answer.headers)["ETag"]
        again = await served.handle(ask("GET", path, accept=form, if_none_match=tag))
        assert isinstance(again, Reply)
        assert (again.code, again.body) == (304, b"")


def _doubling(times: int) -> list[dict[str, str]]:
    """Return a JSON patch each of whose operations doubles what is there."""
    return [
        {"op": "copy", "from": "/metadata", "path": f"/metadata/m{number}"}
        for number in range(times)
    ]


async def test_copies_of_a_patch_are_bounded() -> None:
    served = await api()
    await served.handle(ask("POST", MAPS, {"metadata": {"name": "a"}, "data": {"a": "b"}}))
    start = time.process_time()
    asked = ask("PATCH", f"{MAPS}/a", _doubling(64), content_type="application/json-patch+json")
    answer = await served.handle(asked)
    assert isinstance(answer, Reply)
    assert (answer.code, json.loads(answer.body)["reason"]) == (422, "Invalid")
    assert time.process_time() - start < 20


async def test_an_object_does_not_grow_patch_by_patch() -> None:
    served = await api()
    spec = {"containers": [{"name": "c", "image": "i"}], "nodeName": "n"}
    pods = "/api/v1/namespaces/default/pods"
    made = await served.handle(ask("POST", pods, {"metadata": {"name": "p"}, "spec": spec}))
    assert made.code == 201
    condition = {"type": "a/b", "status": "True", "message": "x" * 1_200_000}
    strategic = "application/strategic-merge-patch+json"
    codes = []
    for number in range(3):
        conditions = [{**condition, "type": f"a.b/c{number}"}]
        body = {"status": {"conditions": conditions}}
        path = f"{pods}/p/status"
        codes.append((await served.handle(ask("PATCH", path, body, content_type=strategic))).code)
    assert codes == [200, 200, 413]


async def test_owners_are_counted_once_each() -> None:
    served = await api()
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x"}
    owners = [{**owner, "uid": str(number)} for number in range(20_000)]
    meta = {"name": "a", "ownerReferences": [*owners, owners[7]]}
    start = time.process_time()
    answer = await served.handle(ask("POST", MAPS, {"metadata": meta}))
    assert isinstance(answer, Reply)
    assert answer.code == 201
    assert "duplicate UID(s) observed: 7" in answer.warnings[0]
    assert time.process_time() - start < 4
