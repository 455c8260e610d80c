"""The suffix that a generated name gets from its content, byte for byte kustomize's. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from reconciler.desired.kustomize.resource import Json

_LETTERS = str.maketrans({"0": "g", "1": "h", "3": "k", "a": "m", "e": "t"})
_LENGTH = 10
_GENERATED = re.compile(r"(.+)-[2456789bcdfghkmt]{10}")
# Go's encoding/json writes these so that JSON can stand in HTML and JavaScript.
_ESCAPED = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def generated_from(name: str) -> str:
    """Return the name without a suffix as this makes them, "" when it has none."""
    found = _GENERATED.fullmatch(name)
    return found[1] if found is not None else ""


def suffix(value: Json) -> str:
    """Return the hash of a ConfigMap or Secret: of kind, data, and a Secret's type.

    The name has a place in what is hashed, but kustomize always leaves it empty.
    """
    secret = value.get("kind") == "Secret"
    extra = "stringData" if secret else "binaryData"
    content: dict[str, Any] = {
        "kind": value.get("kind"),
        "name": "",
        "data": value.get("data", ""),
    }
    if secret:
        content["type"] = value.get("type", "")
    if isinstance(value.get(extra), dict):
        content[extra] = value[extra]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for letter, escaped in _ESCAPED.items():
        text = text.replace(letter, escaped)
    text = text.replace("\\b", "\\u0008").replace("\\f", "\\u000c")
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH].translate(_LETTERS)
