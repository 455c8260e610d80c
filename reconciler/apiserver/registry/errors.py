"""What the registry answers when it refuses: Kubernetes' Status, by its constructors' rules.

Raised by this room; the local client and the REST face turn it into their own form. Messages are
word for word those of k8s.io/apimachinery/pkg/api/errors, because tools parse them.
"""

from __future__ import annotations

from typing import Any

from reconciler.admission import status
from reconciler.admission.errors import AdmissionError, FieldError
from reconciler.core.errors import ReconcilerError
from reconciler.model.kinds import Resource
from reconciler.model.ownership import ApplyConflict

MODIFIED = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


class StatusError(ReconcilerError):
    """A Status of failure: HTTP `code`, Kubernetes' `reason`, `message`, and JSON `details`."""

    def __init__(
        self, code: int, reason: str, message: str, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}


def not_found(resource: Resource, name: str) -> StatusError:
    """Return errors.NewNotFound."""
    return StatusError(
        404, "NotFound", f'{resource.qualified} "{name}" not found', _details(resource, name)
    )


def already_exists(resource: Resource, name: str, *, deleting: bool = False) -> StatusError:
    """Return errors.NewAlreadyExists; `deleting` says that the object there is on its way out."""
    lead = "object is being deleted: " if deleting else ""
    message = f'{lead}{resource.qualified} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, _details(resource, name))


def conflict(resource: Resource, name: str, cause: str = MODIFIED, suffix: str = "") -> StatusError:
    """Return errors.NewConflict; `suffix` is a subresource as in "/binding"."""
    message = f'Operation cannot be fulfilled on {resource.qualified}{suffix} "{name}": {cause}'
    details = _details(resource, name)
    details["kind"] += suffix
    return StatusError(409, "Conflict", message, details)


def uid_mismatch(resource: Resource, name: str, wanted: str, found: str) -> StatusError:
    """Return the conflict of a delete whose precondition names another incarnation."""
    kind = resource.kind
    message = (
        f'Operation cannot be fulfilled on {kind} "{name}": the UID in the precondition ({wanted})'
        f" does not match the UID in record ({found})."
        " The object might have been deleted and then recreated"
    )
    return StatusError(409, "Conflict", message, {**_details(resource, name), "kind": kind})


def version_mismatch(resource: Resource, name: str, wanted: str, found: str) -> StatusError:
    """Return the conflict of a delete whose precondition names another resourceVersion."""
    kind = resource.kind
    message = (
        f'Operation cannot be fulfilled on {kind} "{name}": the ResourceVersion in the'
        f" precondition ({wanted}) does not match the ResourceVersion in record ({found})."
        " The object might have been modified"
    )
    return StatusError(409, "Conflict", message, {**_details(resource, name), "kind": kind})


def forbidden(
    resource: Resource, name: str, cause: str, causes: list[dict[str, str]] | None = None
) -> StatusError:
    """Return errors.NewForbidden."""
    subject = f'{resource.qualified} "{name}"' if name else resource.qualified
    details = _details(resource, name)
    if causes:
        details["causes"] = causes
    return StatusError(403, "Forbidden", f"{subject} is forbidden: {cause}", details)


def terminating(resource: Resource, name: str, namespace: str) -> StatusError:
    """Return the refusal to create content in a namespace that is going away."""
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {namespace} is being terminated",
        "field": "metadata.namespace",
    }
    text = f"unable to create new content in namespace {namespace} because it is being terminated"
    return forbidden(resource, name, text, [cause])


def resting(resource: Resource, name: str, namespace: str, until: str) -> StatusError:
    """Return the refusal to create what would be removed with a namespace that nobody declares."""
    text = (
        f"namespace {namespace} is declared no more and removed at {until}: declare it again, or "
        f"`reconciler undelete Namespace/{namespace}`"
    )
    cause = {"reason": "NamespaceRetired", "message": text, "field": "metadata.namespace"}
    return forbidden(resource, name, text, [cause])


def apply_conflict(error: ApplyConflict) -> StatusError:
    """Return errors.NewApplyConflict."""
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {owner}", "field": path}
        for owner, path in error.fields
    ]
    return StatusError(409, "Conflict", str(error), {"causes": causes})


def bad_request(message: str) -> StatusError:
    """Return errors.NewBadRequest."""
    return StatusError(400, "BadRequest", message)


def expired(revision: int, oldest: int) -> StatusError:
    """Return the answer to a watch or list from before the history."""
    return StatusError(410, "Expired", f"too old resource version: {revision} ({oldest})")


def unavailable(message: str) -> StatusError:
    """Return the answer when the store cannot be written."""
    return StatusError(503, "ServiceUnavailable", message)


def internal(message: str) -> StatusError:
    """Return errors.NewInternalError."""
    return StatusError(
        500,
        "InternalError",
        f"Internal error occurred: {message}",
        {"causes": [{"message": message}]},
    )


def invalid(resource: Resource, name: str, faults: tuple[FieldError, ...]) -> StatusError:
    """Return errors.NewInvalid."""
    return StatusError(
        422,
        "Invalid",
        status.invalid_message(resource.kind, name, faults, resource.group),
        status.invalid_details(resource.kind, name, faults, resource.group),
    )


def refused(error: AdmissionError) -> StatusError:
    """Return what admission refused as a Status."""
    body = status.status(error)
    return StatusError(body["code"], body["reason"], body["message"], body.get("details"))


def _details(resource: Resource, name: str) -> dict[str, Any]:
    details = {"name": name, "group": resource.group, "kind": resource.plural}
    return {key: value for key, value in details.items() if value}
