"""What a write says of the object it expects: name, uid, resourceVersion. Pure.

Called by the registry; each check raises the conflict in Kubernetes' words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.apiserver.registry import errors
from reconciler.apiserver.registry.deletion import DeleteOptions
from reconciler.model.kinds import Resource
from reconciler.model.meta import KubeObject
from reconciler.model.pod import Pod


@dataclass(frozen=True, slots=True)
class Expected:
    """The identity that an applied manifest states."""

    namespace: str
    name: str
    uid: str


def of_manifest(manifest: Mapping[str, Any]) -> Expected:
    """Return whom an applied manifest is about; raises `StatusError` when it does not say."""
    meta = manifest.get("metadata")
    meta = meta if isinstance(meta, Mapping) else {}
    if meta.get("managedFields"):
        raise errors.bad_request("metadata.managedFields must be nil")
    name, namespace, uid = (
        meta.get("name") or "",
        meta.get("namespace") or "",
        meta.get("uid") or "",
    )
    if not isinstance(name, str) or not isinstance(namespace, str) or not name:
        raise errors.bad_request("name must be provided")
    return Expected(namespace, name, str(uid))


def check_new(resource: Resource, expected: Expected) -> None:
    """Refuse to create, by an apply, an object whose manifest names an incarnation."""
    if expected.uid:
        cause = (
            f"uid mismatch: the provided object specified uid {expected.uid},"
            " and no existing object was found"
        )
        raise errors.conflict(resource, expected.name, cause)


_STORED_UNDER = {
    "endpoints": "services/endpoints",
    "nodes": "minions",
    "replicationcontrollers": "controllers",
    "services": "services/specs",
}
"""Under which name Kubernetes' store has a kind where that is not its plural."""


def check_update(resource: Resource, new: KubeObject, old: KubeObject) -> None:
    """Refuse an update of another version or incarnation, where it names one."""
    meta = new.metadata
    if meta.resource_version not in ("", "0", old.metadata.resource_version):
        raise errors.conflict(resource, meta.name)
    if meta.uid and meta.uid != old.metadata.uid:
        stored_under = _STORED_UNDER.get(resource.plural, resource.plural)
        path = f"{stored_under}/{meta.namespace}".rstrip("/")
        cause = (
            f"StorageError: invalid object, Code: 4, Key: /registry/{path}/{meta.name},"
            " ResourceVersion: 0, AdditionalErrorMsg: Precondition failed:"
            f" UID in precondition: {meta.uid}, UID in object meta: {old.metadata.uid}"
        )
        raise errors.conflict(resource, meta.name, cause)


def check_delete(resource: Resource, obj: KubeObject, options: DeleteOptions) -> None:
    """Refuse a delete whose preconditions do not hold."""
    meta = obj.metadata
    if options.uid and options.uid != meta.uid:
        raise errors.uid_mismatch(resource, meta.name, options.uid, meta.uid)
    wanted = options.resource_version
    if wanted and wanted != meta.resource_version:
        raise errors.version_mismatch(resource, meta.name, wanted, meta.resource_version)


def binding_fault(pod: Pod, uid: str) -> str:
    """Return why the pod cannot be bound, empty when it can."""
    name, found = pod.metadata.name, pod.metadata.uid
    if uid and uid != found:
        return f"Precondition failed: UID in precondition: {uid}, UID in object meta: {found}"
    if pod.metadata.deletion_timestamp is not None:
        return f"pod {name} is being deleted, cannot be assigned to a host"
    if pod.spec.node_name:
        return f'pod {name} is already assigned to node "{pod.spec.node_name}"'
    if pod.spec.scheduling_gates:
        return f"pod {name} has non-empty .spec.schedulingGates"
    return ""
