"""`replicationcontrollers/NAME/scale`: autoscaling/v1 Scale of a controller. Called by `api.py`.

What is written to it are the controller's replicas, under the rules of any other object's write.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from reconciler.admission.errors import FieldError, invalid
from reconciler.admission.status import invalid_details, invalid_message
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
from reconciler.apiserver.http.columns import columns_of_scale
from reconciler.apiserver.http.message import Reply, Request
from reconciler.apiserver.http.query import WriteOptions
from reconciler.apiserver.http.target import Target
from reconciler.apiserver.http.view import TableForm, View
from reconciler.apiserver.http.writing import Written
from reconciler.apiserver.registry.errors import StatusError
from reconciler.apiserver.registry.registry import Registry
from reconciler.core.clock import Clock
from reconciler.model import schema, selector
from reconciler.model.replication import ReplicationController
from reconciler.model.scale import SCALE, Scale
from reconciler.store.protocol import Record

Json = dict[str, Any]

_REPLICAS: Json = {"f:spec": {"f:replicas": {}}}


class Scales:
    """get, update and patch of `replicationcontrollers/scale`."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock

    async def handle(self, request: Request, target: Target) -> Reply:
        """Answer a request; raises `StatusError`."""
        match request.method:
            case "GET":
                return self._answer(request, Written(self._live(target)))
            case "PUT":
                return self._answer(request, await self._put(request, target))
            case "PATCH" if patching.patch_type(request) == patching.APPLY:
                return self._answer(request, Written(await self._apply(request, target)))
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

    async def _put(self, request: Request, target: Target) -> Written:
        options = query.write_options(request, "UpdateOptions")
        sent = body.read(request, body.expected(SCALE), options.validation)
        scale, faults = body.decode_as(sent, options.validation, SCALE)
        writing.check_name(scale, target)
        writing.in_namespace(scale, SCALE, target.namespace)

        def change(record: Record) -> ReplicationController:
            return self._scaled(record, scale)

        return Written(await self._write(target, change, options), faults)

    async def _patch(self, request: Request, target: Target) -> Written:
        patch = patching.read_patch(request)
        options = query.write_options(request, "PatchOptions")
        told: list[Sequence[str]] = [()]

        def change(record: Record) -> ReplicationController:
            old = _scale_of(self._registry.decode(ReplicationController, record))
            value = patching.changed(patch, old, schema.of(Scale))
            scale, told[0] = patching.decoded(patch, value, SCALE, options.validation)
            return self._scaled(record, patching.in_place(scale, target, SCALE))

        return Written(await self._write(target, change, options), told[0])

    async def _write(
        self,
        target: Target,
        change: Callable[[Record], ReplicationController],
        options: WriteOptions,
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
        patching.check_applied(sent, target, SCALE)
        live = self._live(target)
        record = self._registry.record(ReplicationController, target.name, target.namespace)
        wanted = self._scaled(record, body.decode_as(body.Body(sent), "Ignore", SCALE)[0])
        meta = {"name": target.name, "namespace": target.namespace, "uid": wanted.metadata.uid}
        meta["resourceVersion"] = wanted.metadata.resource_version
        given = "replicas" in (sent.get("spec") or {})
        manifest = {
            "apiVersion": live.api_version,
            "kind": live.kind,
            "metadata": {key: value for key, value in meta.items() if value},
            "spec": {"replicas": wanted.spec.replicas} if given else {},
        }
        applied: ReplicationController = await self._registry.apply(
            manifest,
            manager=options.manager,
            force=options.force,
            subresource="scale",
            dry_run=options.dry_run,
        )
        return applied

    def _scaled(self, record: Record, scale: Scale) -> ReplicationController:
        """Return the controller of a record with the replicas and preconditions of a Scale."""
        replicas, meta = scale.spec.replicas, scale.metadata
        old = self._registry.decode(ReplicationController, record)
        if replicas < 0:
            fault = invalid("spec.replicas", replicas, "must be greater than or equal to 0")
            raise _invalid_scale(old.metadata.name, fault)
        expected = old.metadata.replace(uid=meta.uid, resource_version=meta.resource_version)
        return old.replace(spec=old.spec.replace(replicas=replicas), metadata=expected)

    def _answer(self, request: Request, made: Written) -> Reply:
        header = request.headers.get("accept")
        wanted = accept.wanted(header) if header else accept.PLAIN
        item = View(orjson.dumps(_scale_of(made.obj)), made.obj)
        if wanted.form == "table":
            include = reading.check_include(request.one("includeObject"))
            table = TableForm(columns_of_scale(), wanted.version, include, self._clock)
            item = View(table.one(item))
        text, kind = view.finish(item.raw, yaml=wanted.yaml, pretty=request.flag("pretty"))
        return Reply(200, text, kind, warnings=status.warning_headers(made.warnings))


def _scale_of(controller: ReplicationController) -> Json:
    """Return the Scale of a ReplicationController."""
    meta = controller.metadata
    kept = {
        "name": meta.name,
        "namespace": meta.namespace,
        "uid": meta.uid,
        "resourceVersion": meta.resource_version,
        "creationTimestamp": meta.creation_timestamp,
        "managedFields": _owners(controller),
    }
    status_: Json = {"replicas": controller.status.replicas}
    chosen = str(selector.from_map(controller.spec.selector))
    if chosen:
        status_["selector"] = chosen
    spec = {"replicas": controller.spec.replicas} if controller.spec.replicas else {}
    return {
        "kind": SCALE.kind,
        "apiVersion": SCALE.api_version,
        "metadata": {key: value for key, value in kept.items() if value},
        "spec": spec,
        "status": status_,
    }


def _owners(controller: ReplicationController) -> list[Json]:
    """Return who owns the replicas, as the managedFields of the Scale."""
    told = {"api_version": SCALE.api_version, "fields_v1": _REPLICAS}
    entries = controller.metadata.managed_fields
    return [
        each.replace(**told).to_dict()
        for each in entries
        if "f:replicas" in (each.fields_v1 or {}).get("f:spec", {})
    ]


def _no_scale(name: str) -> StatusError:
    details = {"name": name, "group": SCALE.group, "kind": "replicationcontrollers/scale"}
    text = f'replicationcontrollers/scale.autoscaling "{name}" not found'
    return StatusError(404, "NotFound", text, details)


def _invalid_scale(name: str, fault: FieldError) -> StatusError:
    told = (SCALE.kind, name, (fault,), SCALE.group)
    return StatusError(422, "Invalid", invalid_message(*told), invalid_details(*told))
