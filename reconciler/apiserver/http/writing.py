"""create, update and delete of whole objects. Called by `api.py`; raises `StatusError`.

It turns requests into registry calls and adds no rule: what an object may be is the registry's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from reconciler.admission import warnings
from reconciler.admission.errors import FieldError, Reason, invalid
from reconciler.apiserver.http import body, gotext, query, status
from reconciler.apiserver.http.body import Body
from reconciler.apiserver.http.message import Request
from reconciler.apiserver.http.protobuf import values as protobuf
from reconciler.apiserver.http.query import Validation, WriteOptions
from reconciler.apiserver.http.target import Target
from reconciler.apiserver.registry.deletion import DeleteOptions, Propagation
from reconciler.apiserver.registry.errors import StatusError, bad_request
from reconciler.apiserver.registry.registry import Registry
from reconciler.desired import yaml
from reconciler.desired.limits import ReadLimits
from reconciler.model.kinds import Resource
from reconciler.model.meta import KubeObject

_POLICIES: dict[str, Propagation] = {
    "Background": "Background",
    "Foreground": "Foreground",
    "Orphan": "Orphan",
}
_OPTIONS = "DeleteOptions"
_SCHEME = 'in scheme "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27"'
_NAMESPACE_DIFFERS = (
    "the namespace of the provided object does not match the namespace sent on the request"
)


# AllowCreateOnUpdate: of these kinds, a PUT creates what is not there.
_MADE_BY_UPDATE = frozenset((
    "clusterrolebindings", "clusterroles", "endpoints", "events", "leases", "limitranges",
    "podtemplates", "rolebindings", "roles", "services",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Written:
    """What a write gave back: the object, and what its client is to be warned of."""

    obj: Any
    warnings: Sequence[str] = ()


async def create(registry: Registry, request: Request, target: Target, of: Resource) -> Written:
    """POST to a collection."""
    options = query.write_options(request, "CreateOptions")
    sent = body.read(request, body.expected(of), options.validation)
    obj, faults = decoded(sent, options.validation)
    if obj.metadata.resource_version:
        raise status.plain_error("resourceVersion should not be set on objects to be created")
    placed = in_namespace(obj, of, target.namespace)
    stored = await registry.create(placed, manager=options.manager, dry_run=options.dry_run)
    return told(registry, stored, faults)


async def update(
    registry: Registry, request: Request, target: Target, of: Resource
) -> tuple[Written, int]:
    """PUT to an object or a subresource that is written as the whole object.

    Return also the code: 201 for an object of a kind that a PUT may create.
    """
    options = query.write_options(request, "UpdateOptions")
    sent = body.read(request, body.expected(of), options.validation)
    obj, faults = decoded(sent, options.validation)
    try:
        stored, code = await replace_object(registry, obj, target, of, options)
        return told(registry, stored, faults), code
    except StatusError as error:
        raise Warned(error, faults) from error


def decoded(sent: Body, validation: Validation) -> tuple[Any, tuple[str, ...]]:
    """Return the object of a body as it is to be written, and the warnings of it."""
    obj, faults = body.decode(sent, validation)
    return owned_once(obj), (*faults, *warnings.doubled_owners(obj))


def owned_once(obj: Any) -> Any:
    """Return an object with each owner once, as kube-apiserver writes those given twice."""
    owners = obj.metadata.owner_references
    once = tuple({owner.uid: owner for owner in reversed(owners)}.values())[::-1]
    if len(once) == len(owners):
        return obj
    return obj.replace(metadata=obj.metadata.replace(owner_references=once))


def told(registry: Registry, obj: Any, faults: Sequence[str] = ()) -> Written:
    """Return a stored object with what its writer is warned of: of the body, then of the object."""
    return Written(obj, (*faults, *warnings.warnings(obj), *registry.warnings(obj)))


class Warned(StatusError):
    """A refusal whose request also deserves warnings."""

    def __init__(self, error: StatusError, warnings: Sequence[str]) -> None:
        super().__init__(error.code, error.reason, error.message, error.details)
        self.warnings = warnings


async def replace_object(
    registry: Registry, obj: Any, target: Target, of: Resource, options: WriteOptions
) -> tuple[Any, int]:
    """Write an object where the URL says it is; raises `StatusError` when it says otherwise."""
    check_name(obj, target)
    placed = in_namespace(obj, of, target.namespace)
    manager, dry_run = options.manager, options.dry_run
    try:
        stored = await registry.update(
            placed, subresource=target.subresource, manager=manager, dry_run=dry_run
        )
    except StatusError as error:
        if error.reason != "NotFound" or target.subresource or of.plural not in _MADE_BY_UPDATE:
            raise
        return await registry.create(placed, manager=manager, dry_run=dry_run), 201
    return stored, 200


def check_name(obj: KubeObject, target: Target) -> None:
    """Refuse an object that is not the one of the URL; raises `StatusError`."""
    name = obj.metadata.name
    if not name:
        raise bad_request(
            f"the name of the object ({target.name} based on URL) was undeterminable:"
            " name must be provided"
        )
    if name != target.name:
        raise bad_request(
            f"the name of the object ({name}) does not match the name on the URL ({target.name})"
        )


def in_namespace(obj: Any, of: Resource, namespace: str) -> Any:
    """Return an object in the namespace of the URL; raises `StatusError` when it names another."""
    given = obj.metadata.namespace
    if not of.namespaced or given == namespace:
        return obj
    if given:
        raise bad_request(_NAMESPACE_DIFFERS)
    return obj.replace(metadata=obj.metadata.replace(namespace=namespace))


def delete_options(request: Request) -> DeleteOptions:
    """Return what a DELETE says in its body or its query; raises `StatusError`."""
    sent = _delete_body(request)
    kind, version = sent.get("kind") or _OPTIONS, sent.get("apiVersion") or "v1"
    if kind != _OPTIONS:
        raise status.plain_error(
            f'no kind "{kind}" is registered for version "{version}" {_SCHEME}'
        )
    grace = sent.get("gracePeriodSeconds")
    if request.one("gracePeriodSeconds"):
        grace = query.integer(request.one("gracePeriodSeconds"))
    policy = request.one("propagationPolicy") or sent.get("propagationPolicy")
    orphan = sent.get("orphanDependents")
    if request.query.get("orphanDependents"):
        orphan = request.flag("orphanDependents")
    conditions = sent.get("preconditions") or {}
    dry_run = tuple(request.query.get("dryRun", ())) or tuple(sent.get("dryRun") or ())
    faults = [*query.dry_run_faults(dry_run), *_policy_faults(policy, orphan)]
    if faults:
        raise status.invalid_options("DeleteOptions", faults)
    if orphan is not None:
        policy = "Orphan" if orphan else "Background"
    return DeleteOptions(
        uid=conditions.get("uid") or "",
        resource_version=conditions.get("resourceVersion") or "",
        grace_period_seconds=grace,
        propagation=_POLICIES.get(policy) if policy else None,
        dry_run=bool(dry_run),
    )


def _delete_body(request: Request) -> dict[str, Any]:
    if not request.body:
        return {}
    if body.content_type(request) == "application/yaml":
        parsed = yaml.parse(request.body, ReadLimits())
        sent = parsed.documents[0].value if parsed.documents else {}
    elif body.content_type(request) == protobuf.CONTENT_TYPE:
        try:
            sent = protobuf.read(request.body)
        except (protobuf.NotProtobuf, protobuf.NoSuchMessage) as error:
            raise bad_request(str(error)) from error
    else:
        try:
            sent = orjson.loads(request.body)
        except orjson.JSONDecodeError as error:
            why = gotext.json_error(error)
            raise status.plain_error(
                f"couldn't get version/kind; json parse error: {why}"
            ) from error
    if not isinstance(sent, dict):
        raise bad_request("couldn't get version/kind; json parse error: not an object")
    _check_members(sent, "DeleteOptions", _MEMBERS)
    _check_members(sent.get("preconditions") or {}, "Preconditions", _CONDITIONS, "preconditions.")
    return sent


_Kinds = dict[str, tuple[type, str]]
_MEMBERS: _Kinds = {
    "gracePeriodSeconds": (int, "int64"),
    "orphanDependents": (bool, "bool"),
    "propagationPolicy": (str, "v1.DeletionPropagation"),
    "dryRun": (list, "[]string"),
    "preconditions": (dict, "v1.Preconditions"),
}
_CONDITIONS: _Kinds = {"uid": (str, "types.UID"), "resourceVersion": (str, "string")}


def _check_members(sent: dict[str, Any], struct: str, members: _Kinds, path: str = "") -> None:
    """Refuse a member of another type than `members` say, as Go's decoder does."""
    for name, (wanted, go_type) in members.items():
        value = sent.get(name)
        fits = isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
        if value is not None and not fits:
            raise status.plain_error(
                f"json: cannot unmarshal {gotext.json_word(value)} into Go struct field"
                f" {struct}.{path}{name} of type {go_type}"
            )


def _policy_faults(policy: Any, orphan: Any) -> list[FieldError]:
    if policy and orphan is not None:
        text = "orphanDependents and deletionPropagation cannot be both set"
        return [invalid("propagationPolicy", policy, text)]
    if policy and policy not in _POLICIES:
        supported = 'supported values: "Foreground", "Background", "Orphan"'
        return [FieldError("propagationPolicy", Reason.NOT_SUPPORTED, supported, policy)]
    return []


async def delete_all(
    registry: Registry, found: Sequence[KubeObject], options: DeleteOptions
) -> list[Any]:
    """Delete each object of a collection; one that is gone already is as good as deleted."""
    ended = []
    plain = replace(options, uid="", resource_version="")
    for obj in found:
        meta = obj.metadata
        try:
            last, _ = await registry.delete(type(obj), meta.name, meta.namespace, plain)
        except StatusError as error:
            if error.reason != "NotFound":
                raise
            continue
        ended.append(last)
    return ended
