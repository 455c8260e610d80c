"""Kubernetes' Status as an answer: refusals, and what a delete says when the object is gone.

Used by every module of this room. The refusals that need a kind come from `registry.errors`; here
are those that only HTTP knows, in the words of kube-apiserver.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from itertools import accumulate
from typing import Any

import orjson

from reconciler.admission.errors import FieldError, aggregate, go_quote
from reconciler.apiserver.http.message import TEXT, Reply
from reconciler.apiserver.registry.errors import StatusError

_WARNINGS = 4096
_CUT_WARNING = 256

NOT_THERE = Reply(404, b"404 page not found\n", TEXT)
"""The answer to a path that no part of the API has."""


class Generic(StatusError):
    """A refusal about no object in particular: its details are empty, and written."""


class PageExpired(StatusError):
    """The history does not reach back to a list's first page; `token` goes on without it."""

    def __init__(self, token: str) -> None:
        super().__init__(
            410,
            "Expired",
            "The provided continue parameter is too old to display a consistent list result. You"
            " can start a new list without the continue parameter, or use the continue token in"
            " this response to retrieve the remainder of the results. Continuing with the provided"
            " token results in an inconsistent list - objects that were created, modified, or"
            " deleted between the time the first chunk was returned and now may show up in the"
            " list.",
        )
        self.token = token


def failure(error: StatusError, warnings: Sequence[str] = ()) -> Reply:
    """Return the answer that tells a refusal."""
    body: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {"continue": error.token} if isinstance(error, PageExpired) else {},
        "status": "Failure",
        "message": error.message,
    }
    if error.reason:
        body["reason"] = error.reason
    if error.details or isinstance(error, Generic):
        body["details"] = error.details
    body["code"] = error.code
    retry = error.details.get("retryAfterSeconds")
    headers = [("Retry-After", str(retry))] if retry else []
    return Reply(error.code, orjson.dumps(body), headers=headers, warnings=warnings)


def success(details: dict[str, Any] | None = None, code: int = 200) -> Reply:
    """Return a Status of success."""
    body: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
    }
    if details:
        body["details"] = details
    if code != HTTPStatus.OK:
        body["code"] = code
    return Reply(code, orjson.dumps(body))


def no_resource() -> StatusError:
    """Return the answer to a URL whose resource or subresource does not exist."""
    return Generic(404, "NotFound", "the server could not find the requested resource")


def no_method() -> StatusError:
    """Return the answer to a method that the resource does not have."""
    text = "the server does not allow this method on the requested resource"
    return Generic(405, "MethodNotAllowed", text)


def rejected() -> StatusError:
    """Return the answer to a JSON patch that cannot be applied."""
    text = "the server rejected our request due to an error in our request"
    return Generic(422, "Invalid", text)


_REPRESENTATIONS = "application/json, application/yaml, application/vnd.kubernetes.protobuf"


def not_acceptable() -> StatusError:
    """Return the answer to an Accept header without any media type of ours."""
    text = f"406: Not Acceptable\n\nAvailable representations: {_REPRESENTATIONS}"
    return Generic(406, "NotAcceptable", text)


def no_such_form() -> StatusError:
    """Return the answer to an Accept header that asks for an unknown form of the object."""
    text = f"only the following media types are accepted: {_REPRESENTATIONS}"
    return StatusError(406, "NotAcceptable", text)


def unknown_format() -> StatusError:
    """Return the answer to a body of a type that is not read."""
    text = (
        "the body of the request was in an unknown format - accepted media types include: "
        f"{_REPRESENTATIONS}"
    )
    return StatusError(415, "UnsupportedMediaType", text)


def unknown_patch() -> StatusError:
    """Return the answer to a patch of a type that is none."""
    return Generic(415, "UnsupportedMediaType", "415: Unsupported Media Type")


def unauthorized() -> StatusError:
    """Return the answer to credentials that are wrong."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def plain_error(message: str, code: int = 500) -> StatusError:
    """Return an error that kube-apiserver passes on without a reason."""
    return StatusError(code, "", message)


def too_large(limit: int) -> Reply:
    """Return the answer to a body beyond `limit` bytes."""
    text = f"Request entity too large: limit is {limit}"
    return failure(StatusError(413, "RequestEntityTooLarge", text))


def invalid_options(kind: str, faults: Sequence[FieldError]) -> StatusError:
    """Return the refusal of query parameters, which are the fields of an options object."""
    causes = [
        {"reason": fault.reason.value, "message": fault.message, "field": fault.path}
        for fault in faults
    ]
    text = f'{kind}.meta.k8s.io "" is invalid: {aggregate(tuple(faults))}'
    details = {"group": "meta.k8s.io", "kind": kind, "causes": causes}
    return StatusError(422, "Invalid", text, details)


def invalid_patch(shown: str, why: str) -> StatusError:
    """Return the refusal of a patch whose result is no object; `shown` is a Go value, unquoted."""
    message = f"Invalid value: {go_quote(shown)}: {why}"
    causes = [{"reason": "FieldValueInvalid", "message": message, "field": "patch"}]
    return StatusError(422, "Invalid", f' "" is invalid: patch: {message}', {"causes": causes})


def warning(text: str) -> str:
    """Return a Warning header's value."""
    shown = "".join(each if each.isprintable() else " " for each in text)
    escaped = shown.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{escaped}"'


def warning_headers(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the Warning headers of an answer: each text once, 4,096 characters of them at most.

    As kube-apiserver does: where they are more, each is cut to 256, and those beyond are left out.
    """
    distinct = list(dict.fromkeys(texts))
    if sum(map(len, distinct)) <= _WARNINGS:
        return tuple(map(warning, distinct))
    cut = [text[:_CUT_WARNING] for text in distinct]
    sizes = accumulate(map(len, cut))
    return tuple(warning(text) for text, size in zip(cut, sizes, strict=True) if size <= _WARNINGS)
