"""PATCH: the four patch types on objects and their status. Called by `api.py`.

A patch is applied to the newest version, again when others were faster, unless it names a
resourceVersion. Raises `StatusError`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from reconciler.admission import warnings
from reconciler.admission.decode import decode_lenient
from reconciler.admission.errors import Undecodable, invalid
from reconciler.apiserver.http import body, gotext, query, status
from reconciler.apiserver.http.message import BODY_LIMIT, Request
from reconciler.apiserver.http.patches import merge, strategic, typed
from reconciler.apiserver.http.patches.strategic import BadPatch
from reconciler.apiserver.http.query import Validation
from reconciler.apiserver.http.target import Target
from reconciler.apiserver.http.writing import Written, in_namespace, owned_once, told
from reconciler.apiserver.registry.errors import StatusError, bad_request, refused
from reconciler.apiserver.registry.errors import invalid as invalid_object
from reconciler.apiserver.registry.registry import Registry
from reconciler.core import jsonpatch
from reconciler.core.jsonpatch import Inapplicable, TooManyOperations
from reconciler.model import kinds, schema
from reconciler.model.kinds import Resource
from reconciler.model.meta import KubeObject
from reconciler.model.schema import Schema
from reconciler.store.protocol import Record

APPLY = "application/apply-patch+yaml"
_JSON = "application/json-patch+json"
_MERGE = "application/merge-patch+json"
_STRATEGIC = "application/strategic-merge-patch+json"
_TYPES = (APPLY, _JSON, _MERGE, _STRATEGIC)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch of one type.

    `apply` gives the new value; `shown` is what refusals show of it, `why` how they tell the fault.
    """

    apply: Callable[[Json, Schema], Any]
    shown: Callable[[Any], str]
    why: Callable[[str], str] = str


def patch_type(request: Request) -> str:
    """Return the type of a patch; raises `StatusError` for one that is none."""
    kind = body.content_type(request)
    if kind not in _TYPES:
        raise status.unknown_patch()
    return kind


def read_patch(request: Request) -> Patch:
    """Return the patch in a request's body, which is no apply; raises `StatusError`."""
    match patch_type(request):
        case "application/json-patch+json":
            operations = _parsed(request.body, list, "[]handlers.jsonPatchOp", _LEAD) or []
            return Patch(lambda value, _: jsonpatch.apply(value, operations), _as_json)
        case "application/merge-patch+json":
            change = _parsed(request.body, dict, _GO_MAP, _LEAD)
            if change is None:
                raise bad_request("Invalid JSON Patch")
            return Patch(lambda value, _: merge.merge(value, change), _as_json)
        case _:
            change = _parsed(request.body, dict, _GO_MAP, "") or {}
            return Patch(
                lambda value, place: strategic.patch(value, change, place),
                lambda _: gotext.value(change),
                _converter_words,
            )


_SCALAR_FAULT = re.compile(r"json: cannot unmarshal string .* of type (\w+)")


def _converter_words(wire: str) -> str:
    """Return a decoder's fault in the words of the converter that strategic patches go through."""
    found = _SCALAR_FAULT.fullmatch(wire)
    return f"unrecognized type: {found[1]}" if found else wire


_LEAD = "error decoding patch: "
_GO_MAP = "map[string]interface {}"


def _parsed(text: bytes, wanted: type, go_type: str, lead: str) -> Any:
    """Return a patch's value, None for null; raises `StatusError`."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"{lead}{gotext.json_error(error)}") from error
    if value is not None and not isinstance(value, wanted):  # Go reads null into anything
        shown = gotext.json_word(value)
        raise bad_request(f"{lead}json: cannot unmarshal {shown} into Go value of type {go_type}")
    return value


def _as_json(value: Any) -> str:
    """Return a patched object as Go shows it: its own members and its owners' fields sorted."""
    if not isinstance(value, dict):
        return _dumped(value).decode()
    shown = {key: value[key] for key in sorted(value)}
    metadata = shown.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("managedFields"), list):
        owners = list(map(_sorted_fields, metadata["managedFields"]))
        shown["metadata"] = {**metadata, "managedFields": owners}
    return _dumped(shown).decode()


def _dumped(value: Any, option: int = 0) -> bytes:
    """Return plain JSON values as text; raises `RecursionError` where they are too deep for it."""
    try:
        return orjson.dumps(value, option=option)
    except orjson.JSONEncodeError as error:
        raise RecursionError(str(error)) from error


def _sorted_fields(owner: Any) -> Any:
    if not isinstance(owner, dict) or "fieldsV1" not in owner:
        return owner
    fields = _dumped(owner["fieldsV1"], orjson.OPT_SORT_KEYS)
    return {**owner, "fieldsV1": orjson.Fragment(fields)}


def changed(patch: Patch, value: Json, place: Schema) -> Any:
    """Return the value after a patch; raises `StatusError`."""
    try:
        result = patch.apply(value, place)
    except Inapplicable as error:
        raise status.rejected() from error
    except TooManyOperations as error:
        raise StatusError(413, "RequestEntityTooLarge", str(error)) from error
    except BadPatch as error:
        if str(error).startswith("cannot restore"):
            raise status.invalid_patch(patch.shown(value), str(error)) from error
        raise status.plain_error(str(error)) from error
    if len(_dumped(result)) > BODY_LIMIT:
        # What nobody could send at once must not grow patch by patch: every write of it takes long.
        text = f"Request entity too large: limit is {BODY_LIMIT}"
        raise StatusError(413, "RequestEntityTooLarge", text)
    return result


@dataclass(slots=True)
class _Patched:
    """What became of the last try: its warnings."""

    warnings: Sequence[str] = field(default=())


async def patch_object(
    registry: Registry, request: Request, target: Target, of: Resource
) -> Written:
    """PATCH an object, or its status, by any type but apply."""
    patch = read_patch(request)
    options = query.write_options(request, "PatchOptions")
    last = _Patched()

    def change(record: Record) -> Any:
        value = changed(patch, orjson.loads(record.value), schema.of(of.model))
        obj, faults = decoded(patch, value, of, options.validation)
        last.warnings = (*faults, *warnings.doubled_owners(obj))
        _check_uid(registry.decode(of.model, record), obj, of)
        return owned_once(in_place(obj, target, of))

    stored = await registry.patch(
        of.model,
        target.name,
        target.namespace,
        change,
        subresource=target.subresource,
        manager=options.manager,
        dry_run=options.dry_run,
    )
    return told(registry, stored, last.warnings)


def decoded(
    patch: Patch, value: Any, of: Resource, validation: Validation
) -> tuple[Any, Sequence[str]]:
    """Return the object of a patched value, and the warnings of it; raises `StatusError`."""
    if not isinstance(value, dict) or (value.get("apiVersion"), value.get("kind")) != (
        of.api_version,
        of.kind,
    ):
        raise status.invalid_patch(patch.shown(value), _other_kind(value, of))
    try:
        obj, unknown = decode_lenient(value, of)
    except Undecodable as error:
        raise status.invalid_patch(patch.shown(value), patch.why(error.wire)) from error
    if unknown and validation == "Strict":
        why = f"strict decoding error: {', '.join(unknown)}"
        raise status.invalid_patch(patch.shown(value), why)
    return obj, unknown if validation == "Warn" else ()


def _other_kind(value: Any, of: Resource) -> str:
    """Return what a decoder says of a value that became another kind: it reads that one first."""
    found = value if isinstance(value, dict) else {}
    kind, version = str(found.get("kind") or ""), str(found.get("apiVersion") or "")
    if not kind:
        return "Object 'Kind' is missing"
    if kinds.by_gvk(version, kind) is not None:
        try:
            decode_lenient(found)
        except Undecodable as error:
            return error.wire
    return body.no_conversion(kind, version, body.expected(of))


def _check_uid(old: KubeObject, new: KubeObject, of: Resource) -> None:
    """Refuse a patch of the uid, which for an update would name another object."""
    uid = new.metadata.uid
    if uid and uid != old.metadata.uid:
        fault = invalid("metadata.uid", uid, "field is immutable")
        raise invalid_object(of, old.metadata.name, (fault, fault))


def in_place(obj: Any, target: Target, of: Resource) -> Any:
    """Return the object where the URL says; raises `StatusError` when the patch moved it."""
    name = obj.metadata.name
    if name != target.name:
        raise bad_request(
            f"the name of the object ({name}) does not match the name on the URL ({target.name})"
        )
    return in_namespace(obj, of, target.namespace)


async def apply(
    registry: Registry, request: Request, target: Target, of: Resource
) -> tuple[Written, int]:
    """PATCH by server-side apply; return also the code, 201 for what was created."""
    options = query.write_options(request, "PatchOptions", apply=True)
    manifest = body.yaml_or_json(request.body)
    check_applied(manifest, target, of)
    placed = dict(manifest)
    if of.namespaced:
        placed["metadata"] = {**(manifest.get("metadata") or {}), "namespace": target.namespace}
    new = not _exists(registry, target, of)
    stored = await registry.apply(
        placed,
        manager=options.manager,
        force=options.force,
        subresource=target.subresource,
        dry_run=options.dry_run,
    )
    return told(registry, stored), 201 if new else 200


def _exists(registry: Registry, target: Target, of: Resource) -> bool:
    try:
        registry.record(of.model, target.name, target.namespace)
    except StatusError:
        return False
    return True


def check_applied(manifest: Any, target: Target, of: Resource) -> None:
    """Refuse what cannot be applied to the object of the URL; raises `StatusError`."""
    if not isinstance(manifest, dict):
        raise bad_request("error decoding YAML: the patch must be an object")
    kind, api_version = str(manifest.get("kind") or ""), str(manifest.get("apiVersion") or "")
    if (kind, api_version) != (of.kind, of.api_version):
        shown = api_version if "/" in api_version else f"/{api_version}"
        raise bad_request(f"invalid object type: {shown}, Kind={kind}")
    _check_typed(manifest, of)
    try:
        decode_lenient(manifest, of)  # what it is merged into is of the right shape already
    except Undecodable as error:
        raise refused(error) from error
    metadata = manifest.get("metadata") or {}
    name, namespace = metadata.get("name") or target.name, metadata.get("namespace")
    if name != target.name:
        raise bad_request(
            f"the name of the object ({name}) does not match the name on the URL ({target.name})"
        )
    if namespace and namespace != target.namespace:
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


def _check_typed(manifest: Json, of: Resource) -> None:
    """Refuse, as a failure of the server, what no schema has: so kube-apiserver does."""
    faults = list(typed.faults(schema.of(of.model), manifest))
    if not faults:
        return
    told = faults[0] if len(faults) == 1 else "\n  ".join(("errors:", *faults))
    metadata = manifest.get("metadata")
    meta = metadata if isinstance(metadata, dict) else {}
    place = f"{meta.get('namespace') or ''}/{meta.get('name') or ''}"
    kind = f"{of.group}/{of.version}, Kind={of.kind}"
    raise status.plain_error(f"failed to create typed patch object ({place}; {kind}): {told}")
