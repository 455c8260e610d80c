"""Subresources of pods that are objects of another kind: binding, eviction. Called by `api.py`."""

from __future__ import annotations

from typing import Any

import orjson

from reconciler.admission.errors import not_supported
from reconciler.apiserver.http import body, query, status, writing
from reconciler.apiserver.http.body import Expected
from reconciler.apiserver.http.message import Reply, Request
from reconciler.apiserver.http.target import Target
from reconciler.apiserver.registry.deletion import DeleteOptions
from reconciler.apiserver.registry.errors import bad_request
from reconciler.apiserver.registry.registry import Registry

Json = dict[str, Any]

_BINDING = Expected("Binding", "v1")
_EVICTION = Expected("Eviction", "v1", "policy", older=("v1beta1",))


def _member(value: Json, name: str) -> Json:
    member = value.get(name)
    return member if isinstance(member, dict) else {}


async def bind(registry: Registry, request: Request, target: Target) -> Reply:
    """POST a Binding, to a pod or to the collection `bindings`."""
    options = query.write_options(request, "CreateOptions")
    sent = body.read(request, _BINDING, "Ignore").value
    meta, to = _member(sent, "metadata"), _member(sent, "target")
    node, name = to.get("name"), target.name or meta.get("name")
    if to.get("kind") not in (None, "", "Node"):
        fault = not_supported("target.kind", to["kind"], ("Node", "<empty>"))
        raise status.plain_error(str(fault))
    if not node or not name:
        raise status.plain_error("target.name: Required value")
    uid = str(meta.get("uid") or "")
    await registry.bind(str(name), target.namespace, str(node), uid=uid, dry_run=options.dry_run)
    return status.success(code=201)


async def evict(registry: Registry, request: Request, target: Target) -> Reply:
    """POST an Eviction: a delete that a disruption budget may refuse, of which there are none."""
    sent = body.read(request, _EVICTION, "Ignore").value
    name = _member(sent, "metadata").get("name") or target.name
    if name != target.name:
        raise bad_request("name in URL does not match name in Eviction object")
    asked = _member(sent, "deleteOptions")
    as_delete = Request("DELETE", request.path, request.query, {}, orjson.dumps(asked))
    options: DeleteOptions = writing.delete_options(as_delete)
    await registry.evict(target.name, target.namespace, options)
    return status.success(code=201)
