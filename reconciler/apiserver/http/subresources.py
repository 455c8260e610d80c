"""Subresources that are objects of another kind: scale, binding, eviction. Called by `api.py`."""

from __future__ import annotations

from typing import Any

import orjson

from reconciler.admission.errors import FieldError, invalid, not_supported
from reconciler.admission.status import invalid_message
from reconciler.apiserver.http import (
    accept,
    body,
    patching,
    query,
    reading,
    status,
    view,
    writing,
)
from reconciler.apiserver.http.body import Expected
from reconciler.apiserver.http.columns import columns_of_scale
from reconciler.apiserver.http.message import Reply, Request
from reconciler.apiserver.http.target import Target
from reconciler.apiserver.http.view import TableForm, View
from reconciler.apiserver.registry.deletion import DeleteOptions
from reconciler.apiserver.registry.errors import StatusError, bad_request
from reconciler.apiserver.registry.registry import Registry
from reconciler.core.clock import Clock
from reconciler.model import schema, selector
from reconciler.model.replication import ReplicationController
from reconciler.store.protocol import Record

Json = dict[str, Any]

_SCALE = Expected("Scale", "v1", "autoscaling")
_BINDING = Expected("Binding", "v1")
_EVICTION = Expected("Eviction", "v1", "policy", older=("v1beta1",))
_REPLICAS: Json = {"f:spec": {"f:replicas": {}}}


def _scale_owners(controller: ReplicationController) -> list[Json]:
    """Return who owns the replicas, as the managedFields of the Scale."""
    told = {"api_version": _SCALE.api_version, "fields_v1": _REPLICAS}
    entries = controller.metadata.managed_fields
    return [
        each.replace(**told).to_dict()
        for each in entries
        if "f:replicas" in (each.fields_v1 or {}).get("f:spec", {})
    ]


def scale_of(controller: ReplicationController) -> Json:
    """Return the autoscaling/v1 Scale of a ReplicationController."""
    meta = controller.metadata
    kept = {
        "name": meta.name,
        "namespace": meta.namespace,
        "uid": meta.uid,
        "resourceVersion": meta.resource_version,
        "creationTimestamp": meta.creation_timestamp,
        "managedFields": _scale_owners(controller),
    }
    status_: Json = {"replicas": controller.status.replicas}
    chosen = str(selector.from_map(controller.spec.selector))
    if chosen:
        status_["selector"] = chosen
    spec = {"replicas": controller.spec.replicas} if controller.spec.replicas else {}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: value for key, value in kept.items() if value},
        "spec": spec,
        "status": status_,
    }


class Scale:
    """get, update and patch of `replicationcontrollers/scale`."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock

    async def handle(self, request: Request, target: Target) -> Reply:
        """Answer a request; raises `StatusError`."""
        match request.method:
            case "GET":
                return self._answer(request, self._live(target))
            case "PUT":
                return self._answer(request, await self._put(request, target))
            case "PATCH" if patching.patch_type(request) == patching.APPLY:
                return self._answer(request, await self._apply(request, target))
            case "PATCH":
                return self._answer(request, await self._patch(request, target))
            case _:
                raise status.no_method()

    def _live(self, target: Target) -> ReplicationController:
        try:
            return self._registry.get(ReplicationController, target.name, target.namespace)
        except StatusError as error:
            if error.reason != "NotFound":
                raise
            raise _no_scale(target.name) from error

    async def _put(self, request: Request, target: Target) -> ReplicationController:
        options = query.write_options(request, "UpdateOptions")
        sent = body.read(request, _SCALE, options.validation).value

        def change(record: Record) -> ReplicationController:
            return self._scaled(record, sent, target)

        return await self._write(target, change, options)

    async def _patch(self, request: Request, target: Target) -> ReplicationController:
        patch = patching.read_patch(request)
        options = query.write_options(request, "PatchOptions")

        def change(record: Record) -> ReplicationController:
            scale = scale_of(self._registry.decode(ReplicationController, record))
            sent = patching.changed(patch, scale, schema.of(ReplicationController))
            if not isinstance(sent, dict):
                raise status.rejected()
            try:
                return self._scaled(record, sent, target)
            except _WrongType as error:
                raise status.invalid_patch(patch.shown(sent), str(error)) from error

        return await self._write(target, change, options)

    async def _write(
        self, target: Target, change: Any, options: query.WriteOptions
    ) -> ReplicationController:
        self._live(target)
        return await self._registry.patch(
            ReplicationController,
            target.name,
            target.namespace,
            change,
            subresource="scale",
            manager=options.manager,
            dry_run=options.dry_run,
        )

    async def _apply(self, request: Request, target: Target) -> ReplicationController:
        """Server-side apply of a Scale: its manager owns the controller's replicas then."""
        options = query.write_options(request, "PatchOptions", apply=True)
        sent = body.yaml_or_json(request.body)
        found = (sent.get("kind"), sent.get("apiVersion")) if isinstance(sent, dict) else ()
        if found != (_SCALE.kind, _SCALE.api_version):
            raise bad_request("invalid object type: an autoscaling/v1 Scale is applied here")
        live = self._live(target)
        record = self._registry.record(ReplicationController, target.name, target.namespace)
        wanted = self._scaled(record, sent, target)
        meta = {"name": target.name, "namespace": target.namespace, "uid": wanted.metadata.uid}
        meta["resourceVersion"] = wanted.metadata.resource_version
        manifest = {
            "apiVersion": live.api_version,
            "kind": live.kind,
            "metadata": {key: value for key, value in meta.items() if value},
            "spec": {key: wanted.spec.replicas for key in ("replicas",) if key in _spec(sent)},
        }
        applied: ReplicationController = await self._registry.apply(
            manifest,
            manager=options.manager,
            force=options.force,
            subresource="scale",
            dry_run=options.dry_run,
        )
        return applied

    def _scaled(self, record: Record, scale: Json, target: Target) -> ReplicationController:
        """Return the controller of a record with the replicas and preconditions of a Scale."""
        replicas = _spec(scale).get("replicas") or 0
        if not isinstance(replicas, int) or isinstance(replicas, bool):
            shown = "string" if isinstance(replicas, str) else "number"
            raise _WrongType(
                f"json: cannot unmarshal {shown} into Go struct field ScaleSpec.spec.replicas"
                " of type int32"
            )
        if replicas < 0:
            fault = invalid("spec.replicas", replicas, "must be greater than or equal to 0")
            raise _invalid_scale(target.name, fault)
        meta = _member(scale, "metadata")
        old = self._registry.decode(ReplicationController, record)
        expected = old.metadata.replace(
            uid=meta.get("uid") or "", resource_version=meta.get("resourceVersion") or ""
        )
        return old.replace(spec=old.spec.replace(replicas=replicas), metadata=expected)

    def _answer(self, request: Request, controller: ReplicationController) -> Reply:
        header = request.headers.get("accept")
        wanted = accept.wanted(header) if header else accept.PLAIN
        item = View(orjson.dumps(scale_of(controller)), controller)
        if wanted.form == "table":
            include = reading.check_include(request.one("includeObject"))
            table = TableForm(columns_of_scale(), wanted.version, include, self._clock)
            item = View(table.one(item))
        text, kind = view.finish(item.raw, yaml=wanted.yaml, pretty=request.flag("pretty"))
        return Reply(200, text, kind)


class _WrongType(StatusError):
    """The Scale's replicas are no number."""

    def __init__(self, why: str) -> None:
        lead = 'Scale in version "v1" cannot be handled as a Scale'
        super().__init__(400, "BadRequest", f"{lead}: {why}")
        self.why = why

    def __str__(self) -> str:
        return self.why


def _spec(scale: Json) -> Json:
    return _member(scale, "spec")


def _member(value: Json, name: str) -> Json:
    member = value.get(name)
    return member if isinstance(member, dict) else {}


def _no_scale(name: str) -> StatusError:
    details = {"name": name, "group": "autoscaling", "kind": "replicationcontrollers/scale"}
    text = f'replicationcontrollers/scale.autoscaling "{name}" not found'
    return StatusError(404, "NotFound", text, details)


def _invalid_scale(name: str, fault: FieldError) -> StatusError:
    cause = {"reason": fault.reason.value, "message": fault.message, "field": fault.path}
    details = {"name": name, "group": "autoscaling", "kind": "Scale", "causes": [cause]}
    text = invalid_message("Scale", name, (fault,), "autoscaling")
    return StatusError(422, "Invalid", text, details)


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
