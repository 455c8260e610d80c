"""What OpenAPI tells of a kind's paths: operations, parameters, bodies, answers. Pure.

Called by `openapi.py`. kubectl looks here whether a write takes `fieldValidation`; programs are
generated from it, and tests make requests of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from reconciler.apiserver.http import discovery
from reconciler.model.kinds import Resource

Json = dict[str, Any]

STATUS = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"
_STATUS_REF = {"$ref": f"#/components/schemas/{STATUS}"}
_PATCHES = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
_TYPES: dict[str, Json] = {
    "limit": {"type": "integer"},
    "timeoutSeconds": {"type": "integer"},
    "gracePeriodSeconds": {"type": "integer"},
    "watch": {"type": "boolean"},
    "force": {"type": "boolean"},
    "allowWatchBookmarks": {"type": "boolean"},
    "sendInitialEvents": {"type": "boolean"},
}
_SELECT = ("labelSelector", "fieldSelector", "limit", "continue")
_LIST = (
    *_SELECT, "resourceVersion", "resourceVersionMatch", "watch", "allowWatchBookmarks",
    "sendInitialEvents", "timeoutSeconds",
)  # fmt: skip
_WRITE = ("dryRun", "fieldManager", "fieldValidation")
_DELETE = ("dryRun", "gracePeriodSeconds", "propagationPolicy")
_PARAMETERS: dict[str, Sequence[str]] = {
    "get": (),
    "list": _LIST,
    "post": _WRITE,
    "put": _WRITE,
    "patch": (*_WRITE, "force"),
    "delete": _DELETE,
    "deletecollection": (*_DELETE, *_SELECT),
}
_METHODS = {"list": "get", "deletecollection": "delete"}
_NEEDS = {"post": "create", "put": "update"}
_VERBS = {"get": "read", "post": "create", "put": "replace", "deletecollection": "deleteCollection"}


def paths(resource: Resource, root: str, ref: str) -> Iterator[tuple[str, Json]]:
    """Yield the paths of a kind under a group's root; `ref` is where its schema stands."""
    space = "/namespaces/{namespace}" if resource.namespaced else ""
    one = _Writer(resource, ref, (*(("namespace",) if space else ()), "name"))
    many = _Writer(resource, ref, one.places[:-1])
    collection = f"{root}{space}/{resource.plural}"
    verbs = discovery.verbs(resource)
    yield collection, many.operations(*_of(verbs, "list", "post", "deletecollection"))
    if space and "list" in verbs:
        everywhere = _Writer(resource, ref, (), suffix="ForAllNamespaces")
        yield f"{root}/{resource.plural}", everywhere.operations("list")
    if "get" in verbs:
        actions = _of(verbs, "get", "put", "patch", "delete")
        yield f"{collection}/{{name}}", one.operations(*actions)
    if resource.status:
        status = _Writer(resource, ref, one.places, suffix="Status")
        yield f"{collection}/{{name}}/status", status.operations("get", "put", "patch")


def _of(verbs: Sequence[str], *actions: str) -> list[str]:
    """Return those of some actions that are among the verbs of a resource."""
    return [each for each in actions if _NEEDS.get(each, each) in verbs]


class _Writer:
    """Writes the operations of one path, whose parts are `places`."""

    def __init__(
        self, resource: Resource, ref: str, places: tuple[str, ...], suffix: str = ""
    ) -> None:
        self._resource = resource
        self._ref = {"$ref": ref}
        self._list_ref = {"$ref": f"{ref}List"}
        self.places = places
        self._suffix = suffix

    def operations(self, *actions: str) -> Json:
        """Return what may be done at a path, by method."""
        return {_METHODS.get(action, action): self._operation(action) for action in actions}

    def _operation(self, action: str) -> Json:
        resource = self._resource
        operation: Json = {
            "operationId": self._id(action),
            "parameters": [
                *({"name": each, "in": "path", "required": True, "schema": {"type": "string"}}
                  for each in self.places),
                *({"name": each, "in": "query",
                   "schema": _TYPES.get(each, {"type": "string", "uniqueItems": True})}
                  for each in _PARAMETERS[action]),
            ],
            "responses": self._responses(action),
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": {
                "group": resource.group, "version": resource.version, "kind": resource.kind,
            },
        }  # fmt: skip
        body = self._body(action)
        return {**operation, "requestBody": body} if body else operation

    def _id(self, action: str) -> str:
        """Return the name of an operation as Kubernetes makes it: readCoreV1NamespacedPod."""
        resource = self._resource
        group = (resource.group.partition(".")[0] or "core").capitalize()
        space = "Namespaced" if "namespace" in self.places else ""
        version = resource.version.capitalize()
        verb = _VERBS.get(action, action)
        return f"{verb}{group}{version}{space}{resource.kind}{self._suffix}"

    def _responses(self, action: str) -> Json:
        codes = {"post": ("200", "201", "202"), "put": ("200", "201"), "patch": ("200", "201"),
                 "delete": ("200", "202")}.get(action, ("200",))  # fmt: skip
        told = {"list": self._list_ref, "deletecollection": _STATUS_REF}.get(action, self._ref)
        answers = {code: {"description": "OK", "content": _json(told)} for code in codes}
        return {**answers, "default": {"description": "Refused", "content": _json(_STATUS_REF)}}

    def _body(self, action: str) -> Json | None:
        match action:
            case "post" | "put":
                return {"content": _json(self._ref), "required": True}
            case "patch":
                patch = {"schema": {"type": "object"}}
                return {"content": dict.fromkeys(_PATCHES, patch), "required": True}
            case _:
                return None


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}
