"""JSON Web Tokens signed with HMAC-SHA256 (RFC 7515, 7519; `HS256`). Pure.

Called by `accounts.py` alone. No other algorithm is read, `none` least of all. Why the tokens are
signed so is told in docs/decisions/account-tokens.md.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import orjson

_ALGORITHM = "HS256"
_PARTS = 3
_LONGEST = 16 * 1024


class BadToken(Exception):
    """The text is no token that one of the keys signed."""


def encode(claims: Mapping[str, Any], key_id: str, secret: bytes) -> str:
    """Return a token of `claims`."""
    header = {"alg": _ALGORITHM, "kid": key_id}
    signed = f"{_text(orjson.dumps(header))}.{_text(orjson.dumps(claims))}"
    return f"{signed}.{_text(_signature(signed, secret))}"


def decode(token: str, keys: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the claims of a token that a key of `keys`, by id, signed; raises `BadToken`."""
    parts = token.split(".")
    if len(parts) != _PARTS or len(token) > _LONGEST:
        raise BadToken
    header = _object(parts[0])
    secret = keys.get(str(header.get("kid")))
    if header.get("alg") != _ALGORITHM or secret is None:
        raise BadToken
    wanted = _signature(f"{parts[0]}.{parts[1]}", secret)
    if not hmac.compare_digest(_bytes(parts[2]), wanted):
        raise BadToken
    return _object(parts[1])


def _signature(signed: str, secret: bytes) -> bytes:
    return hmac.new(secret, signed.encode(), hashlib.sha256).digest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        padded = text + "=" * (-len(text) % 4)
        return base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadToken from error


def _object(text: str) -> dict[str, Any]:
    try:
        value = orjson.loads(_bytes(text))
    except orjson.JSONDecodeError as error:
        raise BadToken from error
    if not isinstance(value, dict):
        raise BadToken
    return value
