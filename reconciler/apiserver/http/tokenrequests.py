"""`serviceaccounts/NAME/token`: a TokenRequest, answered with a token. Called by `api.py`.

The token is in the answer and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from reconciler.admission.errors import FieldError, invalid
from reconciler.admission.status import invalid_details, invalid_message
from reconciler.apiserver.http import body, query, status
from reconciler.apiserver.http.body import Expected
from reconciler.apiserver.http.message import Reply, Request
from reconciler.apiserver.http.target import Target
from reconciler.apiserver.http.virtual import AUTHENTICATION
from reconciler.apiserver.registry.errors import StatusError, bad_request
from reconciler.apiserver.security.accounts import AccountTokens
from reconciler.core.clock import Clock
from reconciler.model.time import format_time
from reconciler.model.token import (
    SECONDS_DEFAULT,
    SECONDS_MAX,
    SECONDS_MIN,
    BoundObject,
    IssuedToken,
    TokenSpec,
)

Json = dict[str, Any]

_KIND = "TokenRequest"
_EXPECTED = Expected(_KIND, "v1", AUTHENTICATION)


def answer(tokens: AccountTokens, clock: Clock, request: Request, target: Target) -> Reply:
    """Return a new token of the account that the URL names; raises `StatusError`."""
    if request.method != "POST":
        raise status.no_method()
    options = query.write_options(request, "CreateOptions")
    sent = body.read(request, _EXPECTED, options.validation).value
    _check_place(_member(sent, "metadata"), target)
    spec = _spec(_member(sent, "spec"), target.name)
    issued = tokens.issue(target.name, target.namespace, spec)
    told = _told(sent, target, issued, format_time(clock.now()))
    shortened = spec.seconds > issued.seconds
    warnings = (status.warning(_shortened(spec, issued)),) if shortened else ()
    return Reply(201, orjson.dumps(told), warnings=warnings)


def _check_place(meta: Json, target: Target) -> None:
    for word, given, wanted in (
        ("name", meta.get("name"), target.name),
        ("namespace", meta.get("namespace"), target.namespace),
    ):
        if given and given != wanted:
            raise bad_request(
                f"the {word} of the object ({given}) does not match the {word} on the URL"
                f" ({wanted})"
            )


def _spec(sent: Json, name: str) -> TokenSpec:
    seconds, audiences = sent.get("expirationSeconds"), sent.get("audiences")
    if seconds is None:
        seconds = SECONDS_DEFAULT
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise bad_request("spec.expirationSeconds of a TokenRequest must be a number")
    faults = tuple(_faults(seconds))
    if faults:
        text = invalid_message(_KIND, name, faults, AUTHENTICATION)
        details = invalid_details(_KIND, name, faults, AUTHENTICATION)
        raise StatusError(422, "Invalid", text, details)
    if audiences is not None and not (
        isinstance(audiences, list) and all(isinstance(each, str) for each in audiences)
    ):
        raise bad_request("spec.audiences of a TokenRequest must be a list of strings")
    ref = sent.get("boundObjectRef")
    return TokenSpec(tuple(audiences or ()), seconds, _bound(ref) if ref else None)


def _faults(seconds: int) -> Iterator[FieldError]:
    """ValidateTokenRequest."""
    path = "spec.expirationSeconds"
    if seconds < SECONDS_MIN:
        yield invalid(path, seconds, "may not specify a duration less than 10 minutes")
    if seconds > SECONDS_MAX:
        yield invalid(path, seconds, "may not specify a duration larger than 2^32 seconds")


def _bound(ref: Any) -> BoundObject:
    if not isinstance(ref, dict) or not all(isinstance(value, str) for value in ref.values()):
        raise bad_request("spec.boundObjectRef of a TokenRequest must be an object reference")
    return BoundObject(
        ref.get("kind", ""), ref.get("name", ""), ref.get("uid", ""), ref.get("apiVersion", "v1")
    )


def _told(sent: Json, target: Target, issued: IssuedToken, now: str) -> Json:
    spec = {
        **_member(sent, "spec"),
        "audiences": list(issued.audiences),
        "expirationSeconds": issued.seconds,
    }
    spec.setdefault("boundObjectRef", None)
    meta = {"name": target.name, "namespace": target.namespace, "creationTimestamp": now}
    return {
        "kind": _KIND,
        "apiVersion": f"{AUTHENTICATION}/v1",
        "metadata": meta,
        "spec": spec,
        "status": {"token": issued.text, "expirationTimestamp": format_time(issued.expires)},
    }


def _shortened(spec: TokenSpec, issued: IssuedToken) -> str:
    return f"requested expiration of {spec.seconds} seconds shortened to {issued.seconds} seconds"


def _member(value: Json, name: str) -> Json:
    member = value.get(name)
    return member if isinstance(member, dict) else {}
