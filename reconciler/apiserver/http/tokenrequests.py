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
from reconciler.apiserver.http.message import Reply, Request
from reconciler.apiserver.http.target import Target
from reconciler.apiserver.http.virtual import AUTHENTICATION, TOKEN_REQUEST
from reconciler.apiserver.registry.errors import StatusError, bad_request
from reconciler.apiserver.security.accounts import AccountTokens
from reconciler.core.clock import Clock
from reconciler.model.authentication import TokenRequest, TokenRequestSpec
from reconciler.model.meta import ObjectMeta
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


def answer(tokens: AccountTokens, clock: Clock, request: Request, target: Target) -> Reply:
    """Return a new token of the account that the URL names; raises `StatusError`."""
    if request.method != "POST":
        raise status.no_method()
    options = query.write_options(request, "CreateOptions")
    sent = body.read(request, body.expected(TOKEN_REQUEST), options.validation)
    asked, faults = body.decode_as(sent, options.validation, TOKEN_REQUEST)
    _check_place(asked.metadata, target)
    spec = _spec(asked.spec, target.name)
    issued = tokens.issue(target.name, target.namespace, spec)
    told = _told(asked, target, issued, format_time(clock.now()))
    if spec.seconds > issued.seconds:
        faults = (*faults, _shortened(spec, issued))
    return Reply(201, orjson.dumps(told), warnings=status.warning_headers(faults))


def _check_place(meta: ObjectMeta, target: Target) -> None:
    for word, given, wanted in (
        ("name", meta.name, target.name),
        ("namespace", meta.namespace, target.namespace),
    ):
        if given and given != wanted:
            raise bad_request(
                f"the {word} of the object ({given}) does not match the {word} on the URL"
                f" ({wanted})"
            )


def _spec(asked: TokenRequestSpec, name: str) -> TokenSpec:
    seconds, ref = asked.expiration_seconds, asked.bound_object_ref
    if seconds is None:
        seconds = SECONDS_DEFAULT
    faults = tuple(_faults(seconds))
    if faults:
        text = invalid_message(_KIND, name, faults, AUTHENTICATION)
        details = invalid_details(_KIND, name, faults, AUTHENTICATION)
        raise StatusError(422, "Invalid", text, details)
    bound = BoundObject(ref.kind, ref.name, ref.uid, ref.api_version or "v1") if ref else None
    return TokenSpec(asked.audiences, seconds, bound)


def _faults(seconds: int) -> Iterator[FieldError]:
    """ValidateTokenRequest."""
    path = "spec.expirationSeconds"
    if seconds < SECONDS_MIN:
        yield invalid(path, seconds, "may not specify a duration less than 10 minutes")
    if seconds > SECONDS_MAX:
        yield invalid(path, seconds, "may not specify a duration larger than 2^32 seconds")


def _told(asked: TokenRequest, target: Target, issued: IssuedToken, now: str) -> Json:
    spec = {
        **asked.spec.to_dict(),
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
