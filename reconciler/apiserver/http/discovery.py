"""Which groups, versions and resources there are: /api, /apis, and both in the aggregated form.

Called by `api.py`. Everything comes from the table of kinds; nothing changes while the server runs.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from reconciler.apiserver.http import virtual
from reconciler.apiserver.http.accept import media_types
from reconciler.model import eventsv1, kinds
from reconciler.model.kinds import Resource

Json = dict[str, Any]

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_READ_WRITE = ("get", "patch", "update")
_AGGREGATED = "apidiscovery.k8s.io"
_AGGREGATED_VERSIONS = ("v2", "v2beta1")


@dataclass(frozen=True, slots=True)
class Subresource:
    """One part of a resource; the kind is the resource's own unless it says another."""

    name: str
    verbs: tuple[str, ...] = _READ_WRITE
    kind: str = ""
    group: str = ""
    version: str = ""
    streamed: bool = False


# Whose word counts first where two groups have one: as kube-apiserver lists them.
_PRIORITY = (
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
)
_OPEN = ("create", "get")
_ANY = ("create", "delete", "get", "patch", "update")
_STATUS = Subresource("status")
_OWN: dict[str, tuple[Subresource, ...]] = {
    "namespaces": (Subresource("finalize", ("update",)),),
    "pods": (
        Subresource("attach", _OPEN, "PodAttachOptions", streamed=True),
        Subresource("binding", ("create",), "Binding"),
        Subresource("ephemeralcontainers"),
        Subresource("eviction", ("create",), "Eviction", "policy", "v1"),
        Subresource("exec", _OPEN, "PodExecOptions", streamed=True),
        Subresource("log", ("get",), "Pod", streamed=True),
        Subresource("portforward", _OPEN, "PodPortForwardOptions", streamed=True),
        Subresource("proxy", _ANY, "PodProxyOptions", streamed=True),
    ),
    "replicationcontrollers": (Subresource("scale", _READ_WRITE, "Scale", "autoscaling", "v1"),),
    "serviceaccounts": (
        Subresource("token", ("create",), "TokenRequest", "authentication.k8s.io", "v1"),
    ),
    "services": (Subresource("proxy", _ANY, "ServiceProxyOptions", streamed=True),),
}


def verbs(resource: Resource) -> tuple[str, ...]:
    """Return the verbs of a resource; namespaces are never deleted as a collection."""
    if virtual.is_virtual(resource):
        return virtual.verbs(resource)
    if resource.plural == "namespaces":
        return tuple(verb for verb in ALL_VERBS if verb != "deletecollection")
    return ALL_VERBS


def subresources(resource: Resource) -> tuple[Subresource, ...]:
    """Return the parts of a resource, by name."""
    own = _OWN.get(resource.plural, ()) if not resource.group else ()
    found = (*own, _STATUS) if resource.status else own
    return tuple(sorted(found, key=lambda each: each.name))


def subresource(resource: Resource, path: str) -> Subresource | None:
    """Return the part that a path below an object names; below a proxy lies any path at all."""
    name, _, below = path.partition("/")
    found = next((each for each in subresources(resource) if each.name == name), None)
    return None if below and name != "proxy" else found


def resources(group: str, version: str) -> list[Resource]:
    """Return the resources of a group's version, by plural."""
    every = (*kinds.RESOURCES, *(each.resource for each in virtual.VIRTUAL))
    found = [each for each in every if (each.group, each.version) == (group, version)]
    return sorted(found, key=lambda resource: resource.plural)


def is_served(group: str, plural: str, *, namespaced: bool) -> bool:
    """Say whether a resource that stores nothing is at a URL with or without a namespace."""
    return any(
        (each.resource.group, each.resource.plural) == (group, plural)
        and each.resource.namespaced == namespaced
        for each in virtual.VIRTUAL
    )


@cache
def versions() -> frozenset[tuple[str, str]]:
    """Return every (group, version)."""
    every = (*kinds.RESOURCES, *(each.resource for each in virtual.VIRTUAL))
    return frozenset((each.group, each.version) for each in every) | set(virtual.EMPTY_GROUPS)


@cache
def answered() -> frozenset[tuple[str, str]]:
    """Return every (group, version) that a URL may name, advertised or not."""
    return versions() | set(virtual.UNLISTED)


def groups() -> list[str]:
    """Return the groups besides core, in Kubernetes' order of priority, then our own."""
    found = sorted({group for group, _ in versions() if group})
    last = len(_PRIORITY)
    return sorted(found, key=lambda group: _PRIORITY.index(group) if group in _PRIORITY else last)


def _version_of(group: str) -> str:
    return next(version for each, version in sorted(versions()) if each == group)


def document(path: str, address: str) -> Json | None:
    """Return the discovery document at a path, None when there is none."""
    parts = path.strip("/").split("/")
    match parts:
        case ["api"]:
            return _api_versions(address)
        case ["api", version] if ("", version) in versions():
            return _resource_list("", version)
        case ["apis"]:
            return _listed("APIGroupList", groups=[_group(group) for group in groups()])
        case ["apis", group] if group in groups():
            return _listed("APIGroup", **_group(group))
        case ["apis", group, version] if (group, version) in versions():
            return {"apiVersion": "v1", **_resource_list(group, version)}
    return None


def _listed(kind: str, **members: Any) -> Json:
    return {"kind": kind, "apiVersion": "v1", **members}


def _api_versions(address: str) -> Json:
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def _group(group: str) -> Json:
    version = _version_of(group)
    named = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [named], "preferredVersion": named}


def _resource_list(group: str, version: str) -> Json:
    rows: list[Json] = []
    for resource in resources(group, version):
        rows.append(_row(resource))
        rows += [_part_row(resource, part) for part in subresources(resource)]
    name = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "groupVersion": name, "resources": rows}


def _row(resource: Resource) -> Json:
    row: Json = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(verbs(resource)),
    }
    if resource.short:
        row["shortNames"] = list(resource.short)
    if resource.categories:
        row["categories"] = list(resource.categories)
    if not virtual.is_virtual(resource):
        row["storageVersionHash"] = _storage_hash(resource)
    return row


def _storage_hash(resource: Resource) -> str:
    """Return what tells in which version objects are stored: discovery.StorageVersionHash."""
    # Events of both groups are core's in the store.
    group = "" if resource.group == eventsv1.GROUP else resource.group
    name = f"{group}/{resource.version}/{resource.kind}"
    return base64.b64encode(hashlib.sha256(name.encode()).digest()[:8]).decode()


def _part_row(resource: Resource, part: Subresource) -> Json:
    row: Json = {
        "name": f"{resource.plural}/{part.name}",
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": part.kind or resource.kind,
        "verbs": list(part.verbs),
    }
    if part.group:
        row |= {"group": part.group, "version": part.version}
    return row


def aggregated_version(header: str) -> str:
    """Return the version of aggregated discovery that an Accept header prefers, empty for none."""
    for choice in media_types(header):
        asked = choice.parameters
        if asked.get("as") == "APIGroupDiscoveryList" and asked.get("g") == _AGGREGATED:
            if asked.get("v") in _AGGREGATED_VERSIONS:
                return asked["v"]
        elif choice.name in ("application/json", "*/*"):
            return ""
    return ""


def asks_unknown_form(header: str) -> bool:
    """Say whether every choice of an Accept header is a form of a document that does not exist."""
    choices = media_types(header)
    return all("as" in choice.parameters for choice in choices)


def aggregated_type(version: str) -> str:
    """Return the content type of an aggregated document."""
    return f"application/json;g={_AGGREGATED};v={version};as=APIGroupDiscoveryList"


def aggregated(path: str, version: str) -> Json | None:
    """Return the aggregated document of /api or /apis, None for other paths."""
    asked: dict[str, Callable[[], list[str]]] = {"api": lambda: [""], "apis": groups}
    wanted = asked.get(path.strip("/"))
    if wanted is None:
        return None
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"{_AGGREGATED}/{version}",
        "metadata": {},
        "items": [_group_item(group) for group in wanted()],
    }


def _group_item(group: str) -> Json:
    version = _version_of(group)
    metadata: Json = {"creationTimestamp": None}
    if group:
        metadata["name"] = group
    rows = [_item(resource) for resource in resources(group, version)]
    named = {"version": version, "resources": rows, "freshness": "Current"}
    return {"metadata": metadata, "versions": [named]}


def _item(resource: Resource) -> Json:
    item: Json = {
        "resource": resource.plural,
        "responseKind": _response_kind(resource, resource.kind, "", ""),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(verbs(resource)),
    }
    if resource.short:
        item["shortNames"] = list(resource.short)
    if resource.categories:
        item["categories"] = list(resource.categories)
    parts = [
        {
            "subresource": part.name,
            "responseKind": _response_kind(
                resource, part.kind or resource.kind, part.group, part.version
            ),
            "verbs": list(part.verbs),
        }
        for part in subresources(resource)
    ]
    if parts:
        item["subresources"] = parts
    return item


def _response_kind(resource: Resource, kind: str, group: str, version: str) -> Json:
    """Return a GroupVersionKind; core's own has an empty version, as kube-apiserver answers."""
    if not group and resource.group:
        group, version = resource.group, resource.version
    return {"group": group, "version": version, "kind": kind}
