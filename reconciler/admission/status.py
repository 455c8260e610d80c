"""The Status that tells a refusal, as kube-apiserver answers it.

Called by the registry (`ApiError.details`) and the REST face. JSON values only.
"""

from __future__ import annotations

from typing import Any, assert_never

from reconciler.admission.errors import (
    AdmissionError,
    FieldError,
    Reason,
    Refused,
    Undecodable,
    aggregate,
)


def invalid_message(kind: str, name: str, errors: tuple[FieldError, ...], group: str = "") -> str:
    """Return the message of errors.NewInvalid."""
    qualified = f"{kind}.{group}" if group else kind
    return f'{qualified} "{name}" is invalid: {aggregate(errors)}'


def invalid_details(
    kind: str, name: str, errors: tuple[FieldError, ...], group: str = ""
) -> dict[str, Any]:
    """Return the details of errors.NewInvalid: one cause for each error, in order."""
    details: dict[str, Any] = {
        "name": name,
        "group": group,
        "kind": kind,
        "causes": [_cause(error) for error in errors],
    }
    return {key: value for key, value in details.items() if value}


def _cause(error: FieldError) -> dict[str, str]:
    reason = "FieldValueNotSupported" if error.reason is Reason.NOT_ACTED_ON else error.reason.value
    return {"reason": reason, "message": error.message, "field": error.path}


def status(error: AdmissionError) -> dict[str, Any]:
    """Return the whole Status of a refusal: 400 for an `Undecodable`, 422 for a `Refused`."""
    match error:
        case Undecodable():
            message = (
                f'{error.kind} in version "{error.version}" cannot be handled as a {error.kind}: '
                f"{error.wire}"
            )
            return _failure(400, "BadRequest", message)
        case Refused() | AdmissionError():
            message = invalid_message(error.kind, error.name, error.errors, error.group)
            details = invalid_details(error.kind, error.name, error.errors, error.group)
            return _failure(422, "Invalid", message, details)
        case _:
            assert_never(error)


def _failure(
    code: int, reason: str, message: str, details: dict[str, Any] | None = None
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    return {**body, "details": details} if details else body
