"""Subresources of pods that are objects of another kind: binding, eviction. Called by `api.py`."""

from __future__ import annotations

from dataclasses import replace

import orjson

from reconciler.admission.errors import not_supported
from reconciler.apiserver.http import body, query, status, writing
from reconciler.apiserver.http.message import Reply, Request
from reconciler.apiserver.http.target import Target
from reconciler.apiserver.http.virtual import BINDING, EVICTION
from reconciler.apiserver.registry.deletion import DeleteOptions
from reconciler.apiserver.registry.errors import bad_request
from reconciler.apiserver.registry.registry import Registry

_EVICTIONS = replace(body.expected(EVICTION), older=("v1beta1",))


async def bind(registry: Registry, request: Request, target: Target) -> Reply:
    """POST a Binding, to a pod or to the collection `bindings`."""
    options = query.write_options(request, "CreateOptions")
    sent = body.read(request, body.expected(BINDING), options.validation)
    binding, faults = body.decode_as(sent, options.validation, BINDING)
    meta, to = binding.metadata, binding.target
    if target.name and meta.name and meta.name != target.name:
        raise bad_request("name in URL does not match name in Binding object")
    if to.kind not in ("", "Node"):
        fault = not_supported("target.kind", to.kind, ("Node", "<empty>"))
        raise status.plain_error(str(fault))
    name = target.name or meta.name
    if not to.name or not name:
        raise status.plain_error("target.name: Required value")
    await registry.bind(name, target.namespace, to.name, uid=meta.uid, dry_run=options.dry_run)
    return replace(status.success(code=201), warnings=status.warning_headers(faults))


async def evict(registry: Registry, request: Request, target: Target) -> Reply:
    """POST an Eviction: a delete that a disruption budget may refuse, of which there are none."""
    options = query.write_options(request, "CreateOptions")
    sent = body.read(request, _EVICTIONS, options.validation)
    eviction, faults = body.decode_as(sent, options.validation, EVICTION)
    if (eviction.metadata.name or target.name) != target.name:
        raise bad_request("name in URL does not match name in Eviction object")
    given = eviction.delete_options
    asked = orjson.dumps(given.to_dict() if given is not None else {})
    as_delete = Request("DELETE", request.path, request.query, {}, asked)
    how: DeleteOptions = writing.delete_options(as_delete)
    await registry.evict(target.name, target.namespace, how)
    return replace(status.success(code=201), warnings=status.warning_headers(faults))
