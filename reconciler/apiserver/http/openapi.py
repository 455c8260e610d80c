"""The OpenAPI documents, made from the models: /openapi/v3, one a group, and /openapi/v2.

Called by `api.py`. kubectl reads them for `explain`, for what to validate and for how to patch.
What each path does is told by `openapi_paths.py`; v2 is v3 in other words (`openapi_v2.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import orjson

from reconciler.apiserver.http import conditional, discovery, openapi_paths, openapi_v2, virtual
from reconciler.apiserver.http.message import JSON, TEXT, Reply, Request
from reconciler.apiserver.http.openapi_paths import STATUS
from reconciler.model import gitops, imagepull, kinds, schema
from reconciler.model.base import ListMap, ListSet, Model, PatchOnly
from reconciler.model.kinds import Resource
from reconciler.model.meta import ListMeta
from reconciler.model.schema import Schema

Json = dict[str, Any]

_GVK = "x-kubernetes-group-version-kind"
_META = ("reconciler.model.meta", "reconciler.model.selector")
_PREFIX = "#/components/schemas/"
_MOVED = 301
_YEAR = "max-age=31536000"
_INFO = {"title": "Kubernetes", "version": "v1.31.0"}

_SCALARS: dict[str, Json] = {
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "int": {"type": "integer"},
    "bool": {"type": "boolean"},
    "float64": {"type": "number", "format": "double"},
    "[]uint8": {"type": "string", "format": "byte"},
    "v1.Time": {"type": "string", "format": "date-time"},
    "v1.MicroTime": {"type": "string", "format": "date-time"},
}


def answer(path: str, request: Request) -> Reply | None:
    """Return the document at a path, None when there is none."""
    if path == "/openapi/v2":
        return _v2(request)
    if path == "/openapi/v3":
        return Reply(200, orjson.dumps({"paths": dict(_index())}), TEXT)
    for group, version in discovery.versions():
        if path == f"/openapi/v3/{_root(group, version)}":
            return _v3(group, version, request)
    return None


def _v3(group: str, version: str, request: Request) -> Reply:
    """Answer a document of v3. By its hash it may be kept for a year; by an old one, it moved."""
    mark, asked = _mark(group, version), request.one("hash")
    if asked not in ("", mark):
        return Reply(_MOVED, b"", "", [("Location", _place(group, version))])
    reply = Reply(200, _document(group, version))
    if asked:
        reply = replace(reply, headers=[("Cache-Control", f"public, immutable, {_YEAR}")])
    return conditional.tagged(reply, request, mark)


def _v2(request: Request) -> Reply:
    """Answer v2: to kubectl up to 1.28, which wants it in protobuf, and to who wants JSON."""
    protobuf = "protobuf" in request.headers.get("accept", "")
    reply = Reply(200, _v2_text(protobuf=protobuf), openapi_v2.PROTOBUF if protobuf else JSON)
    return conditional.tagged(reply, request, conditional.mark(reply.body))


@cache
def _v2_text(*, protobuf: bool) -> bytes:
    document = openapi_v2.document(_documents())
    return openapi_v2.protobuf(document) if protobuf else orjson.dumps(document)


def _documents() -> list[Json]:
    return [orjson.loads(_document(*each)) for each in sorted(discovery.versions())]


def _index() -> Iterator[tuple[str, Json]]:
    for group, version in sorted(discovery.versions()):
        yield _root(group, version), {"serverRelativeURL": _place(group, version)}


def _place(group: str, version: str) -> str:
    return f"/openapi/v3/{_root(group, version)}?hash={_mark(group, version)}"


@cache
def _mark(group: str, version: str) -> str:
    return conditional.mark(_document(group, version))


def _root(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


@cache
def _document(group: str, version: str) -> bytes:
    found = discovery.resources(group, version)
    schemas: Json = {}
    for resource in found:
        _collect(resource.model, schemas)
        schemas[_name(resource.model)][_GVK] = [_gvk(resource)]
    paths: Json = {}
    for resource in found:
        name = _name(resource.model)
        if "list" in discovery.verbs(resource):
            schemas[f"{name}List"] = _list_of(resource, name)
        paths |= dict(openapi_paths.paths(resource, f"/{_root(group, version)}", _PREFIX + name))
    _collect(ListMeta, schemas)
    schemas[STATUS] = {"type": "object", "description": "What became of a request."}
    document = {
        "openapi": "3.0.0",
        "info": _INFO,
        "paths": paths,
        "components": {"schemas": dict(sorted(schemas.items()))},
    }
    return orjson.dumps(document)


def _gvk(resource: Resource) -> Json:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _list_of(resource: Resource, name: str) -> Json:
    properties = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"allOf": [{"$ref": _PREFIX + _name(ListMeta)}], "default": {}},
        "items": {"type": "array", "items": {"$ref": _PREFIX + name}},
    }
    marked = {**_gvk(resource), "kind": f"{resource.kind}List"}
    return {"type": "object", "properties": properties, "required": ["items"], _GVK: [marked]}


def _name(model: type[Model]) -> str:
    if model.__module__ in _META:
        return f"io.k8s.apimachinery.pkg.apis.meta.v1.{model.__name__}"
    if model.__module__ in (gitops.__name__, imagepull.__name__):
        return f"dev.reconciler.gitops.v1alpha1.{model.__name__}"
    group = _groups().get(model.__module__, "")
    return f"io.k8s.api.{group.partition('.')[0] or 'core'}.v1.{model.__name__}"


@cache
def _groups() -> dict[str, str]:
    """Return the group of each module of models that has the kinds of a group."""
    every = (*kinds.RESOURCES, *(each.resource for each in virtual.VIRTUAL))
    return {resource.model.__module__: resource.group for resource in every}


def _collect(model: type[Model], schemas: Json) -> None:
    """Add the schema of a model, and of all that it holds."""
    if _name(model) in schemas:
        return
    schemas[_name(model)] = described = {"type": "object", "properties": {}}
    if model.__doc__:
        described["description"] = " ".join(model.__doc__.split())
    if model.atomic:
        described["x-kubernetes-map-type"] = "atomic"
    for name, place in schema.fields_of(model).items():
        described["properties"][name] = _property(place, schemas)  # type: ignore[index]


def _property(place: Schema, schemas: Json) -> Json:
    if place.model is not None:
        _collect(place.model, schemas)
        return {"allOf": [{"$ref": _PREFIX + _name(place.model)}], "default": {}}
    if place.shape == "map":
        inner = _property(place.item, schemas) if place.item else {}
        return {"type": "object", "additionalProperties": inner}
    if place.shape == "list":
        inner = _property(place.item, schemas) if place.item else {}
        return {"type": "array", "items": inner, **_merging(place)}
    if place.shape == "any":
        return {"type": "object"}
    if place.union:
        return {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}
    return dict(_SCALARS.get(place.go_type, {"type": "string"}))


def _merging(place: Schema) -> Json:
    """Return how a list merges, as apply and strategic merge patch read it."""
    match place.merge:
        case ListMap() as merge:
            told: Json = {
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": list(merge.keys),
            }
            if merge.patch:
                strategy = "merge,retainKeys" if merge.retain_keys else "merge"
                told["x-kubernetes-patch-strategy"] = strategy
                told["x-kubernetes-patch-merge-key"] = merge.patch_key
            return told
        case PatchOnly(key):
            patch = {"x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": key}
            return {"x-kubernetes-list-type": "atomic", **patch}
        case ListSet(patch=True):
            return {"x-kubernetes-list-type": "set", "x-kubernetes-patch-strategy": "merge"}
        case ListSet():
            return {"x-kubernetes-list-type": "set"}
        case None:
            return {"x-kubernetes-list-type": "atomic"}
