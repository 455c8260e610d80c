"""The OpenAPI documents: whole in themselves, and v2 tells what v3 tells."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.apiserver.http import discovery, openapi, openapi_v2
from reconciler.apiserver.http.message import Reply, Request
from reconciler.apiserver.http.protobuf import classes

POD = "io.k8s.api.core.v1.Pod"
VERSIONS = sorted(discovery.versions())


def _got(path: str, accept: str = "") -> Reply:
    answer = openapi.answer(path, Request("GET", path, {}, {"accept": accept}))
    assert answer is not None
    return answer


def _document(group: str, version: str) -> Any:
    root = f"apis/{group}/{version}" if group else f"api/{version}"
    return json.loads(_got(f"/openapi/v3/{root}").body)


def _refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from _refs(each)
    elif isinstance(value, list):
        for each in value:
            yield from _refs(each)


@pytest.mark.parametrize(("group", "version"), VERSIONS)
def test_every_reference_is_met_and_every_part_of_a_path_told(group: str, version: str) -> None:
    document = _document(group, version)
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(_refs(document)) <= known
    seen: list[str] = []
    for path, operations in document["paths"].items():
        for operation in operations.values():
            told = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            assert told == set(re.findall(r"\{(\w+)\}", path)), path
            seen.append(operation["operationId"])
    assert len(seen) == len(set(seen))


_METHODS = {"create": "post", "update": "put", "get": "get", "patch": "patch", "delete": "delete"}


@pytest.mark.parametrize(("group", "version"), VERSIONS)
def test_whatever_discovery_names_is_told_with_all_its_verbs(group: str, version: str) -> None:
    document = _document(group, version)
    root = f"/apis/{group}/{version}" if group else f"/api/{version}"
    for each in discovery.resources(group, version):
        place = f"{root}/namespaces/{{namespace}}" if each.namespaced else root
        of_all = document["paths"][f"{place}/{each.plural}"]
        of_one = document["paths"].get(f"{place}/{each.plural}/{{name}}", {})
        verbs = discovery.verbs(each)
        assert ("get" in of_all) == ("list" in verbs)
        assert ("delete" in of_all) == ("deletecollection" in verbs)
        told = {verb for verb, method in _METHODS.items() if method in of_one}
        told |= {"create"} if "post" in of_all else set()
        assert told == set(verbs) & set(_METHODS), each.plural
        kind = {"group": group, "version": version, "kind": each.kind}
        schemas = document["components"]["schemas"].values()
        assert any(kind in schema.get("x-kubernetes-group-version-kind", ()) for schema in schemas)


def test_operations_are_named_as_kubernetes_names_them() -> None:
    paths = _document("", "v1")["paths"]
    pods = paths["/api/v1/namespaces/{namespace}/pods"]
    assert pods["get"]["operationId"] == "listCoreV1NamespacedPod"
    assert pods["delete"]["operationId"] == "deleteCollectionCoreV1NamespacedPod"
    of_all = paths["/api/v1/pods"]["get"]
    assert of_all["operationId"] == "listCoreV1PodForAllNamespaces"
    assert next(iter(_refs(of_all))) == f"#/components/schemas/{POD}List"
    write = paths["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]
    assert {"fieldValidation", "force"} <= {each["name"] for each in write["parameters"]}
    assert "application/apply-patch+yaml" in write["requestBody"]["content"]


def test_v2_tells_the_definitions_and_paths_of_all_groups() -> None:
    document = json.loads(_got("/openapi/v2", "application/json").body)
    assert document["swagger"] == "2.0"
    names = {name for each in VERSIONS for name in _document(*each)["components"]["schemas"]}
    assert set(document["definitions"]) == names
    assert set(_refs(document)) <= {f"#/definitions/{name}" for name in names}
    post = document["paths"]["/api/v1/namespaces/{namespace}/pods"]["post"]
    assert {"namespace": "path", "body": "body", "dryRun": "query"}.items() <= {
        each["name"]: each["in"] for each in post["parameters"]
    }.items()
    port = document["definitions"]["io.k8s.api.core.v1.HTTPGetAction"]["properties"]["port"]
    assert port == {"type": "string", "format": "int-or-string"}


def test_v2_in_protobuf_is_what_kubectl_patches_by() -> None:
    accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    reply = _got("/openapi/v2", accept)
    assert reply.content_type == openapi_v2.PROTOBUF
    message = classes.message_class("openapi.Document")()
    message.ParseFromString(reply.body)
    definitions = {each.name: each.value for each in message.definitions.additionalProperties}
    kinds = {each.name: each.value.yaml for each in definitions[POD].vendorExtension}
    assert json.loads(kinds["x-kubernetes-group-version-kind"]) == [
        {"group": "", "version": "v1", "kind": "Pod"}
    ]
    spec = definitions["io.k8s.api.core.v1.PodSpec"].properties.additionalProperties
    containers = next(each.value for each in spec if each.name == "containers")
    assert list(containers.type.value) == ["array"]
    assert containers.items.schema[0].ref == "#/definitions/io.k8s.api.core.v1.Container"
    merging = {each.name: json.loads(each.value.yaml) for each in containers.vendorExtension}
    assert merging["x-kubernetes-patch-merge-key"] == "name"


def test_a_document_is_kept_by_its_hash() -> None:
    index = json.loads(_got("/openapi/v3").body)["paths"]
    url = index["apis/policy/v1"]["serverRelativeURL"]
    path, _, mark = url.partition("?hash=")
    named = openapi.answer(path, Request("GET", path, {"hash": [mark]}, {}))
    assert named is not None
    told = dict(named.headers)
    assert (named.code, told["ETag"]) == (200, f'"{mark}"')
    assert told["Cache-Control"].startswith("public, immutable")
    assert "Cache-Control" not in dict(_got(path).headers)
    old = openapi.answer(path, Request("GET", path, {"hash": ["OLD"]}, {}))
    assert old is not None
    assert (old.code, dict(old.headers)["Location"]) == (301, url)


@pytest.mark.parametrize("path", ["/openapi/v2", "/openapi/v3/api/v1"])
def test_who_has_a_document_is_told_that_it_is_the_same(path: str) -> None:
    tag = dict(_got(path).headers)["ETag"]
    for known, code in ((tag, 304), (f'"x", W/{tag}', 304), ("*", 304), ('"x"', 200), ("", 200)):
        answer = openapi.answer(path, Request("GET", path, {}, {"if-none-match": known}))
        assert answer is not None
        assert (answer.code, bool(answer.body)) == (code, code == 200), known


def test_v2_in_another_form_is_another_document() -> None:
    tags = {dict(_got("/openapi/v2", form).headers)["ETag"] for form in ("", "x+protobuf")}
    assert len(tags) == 2
