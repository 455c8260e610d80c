"""What kube-apiserver answered to bodies that are no object of their kind, against `decode`.

Only creates whose body is JSON: YAML, duplicate keys and the envelope belong to other rooms.
"""

from __future__ import annotations

import json
from typing import Any

from reconciler.admission.decode import decode, decode_lenient
from reconciler.admission.errors import Undecodable
from reconciler.admission.status import status

FILES = ("decoding.json",)

_KEYS = "duplicate keys are the parser's business"
_ENVELOPE = "a body that names no kind is answered by the REST face"
EXCLUDED = {
    "duplicate/Strict": _KEYS,
    "duplicate-metadata/Strict": _KEYS,
    "unknown-and-duplicate/Strict": _KEYS,
    "duplicate/Warn": _KEYS,
    "duplicate-metadata/Warn": _KEYS,
    "unknown-and-duplicate/Warn": _KEYS,
    "json/list": _ENVELOPE,
    "json/number": _ENVELOPE,
    "json/null": _ENVELOPE,
}


def wanted(vector: Any) -> bool:
    """Say whether it is a single create with a validation mode and a JSON body."""
    request = vector.request
    mode = (request.get("query") or {}).get("fieldValidation")
    if len(vector.steps) > 1 or request["method"] != "POST" or mode not in ("Strict", "Warn"):
        return False
    try:
        _body(request)
    except json.JSONDecodeError:
        return False
    return True


def _body(request: dict[str, Any]) -> Any:
    return request["body"] if "body" in request else json.loads(request["rawBody"])


def test_decode(vector: Any) -> None:
    request, response = vector.request, vector.response
    body, mode = _body(request), request["query"]["fieldValidation"]
    told = response["body"].get("message") if response["code"] == 400 else None
    warned = [text[7:-1] for text in response.get("headers", {}).get("Warning", ())]
    assert _answer(body, strict=mode == "Strict") == (told, warned)


def _answer(body: Any, *, strict: bool) -> tuple[str | None, list[str]]:
    try:
        if strict:
            decode(body)
            return None, []
        _, warnings = decode_lenient(body)
    except Undecodable as error:
        return status(error)["message"], []
    return None, [text.replace('"', '\\"') for text in warnings]
