"""Rules of Secrets and ConfigMaps. No message may hold a secret's value (law 9)."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable

import orjson

from reconciler.admission.errors import Errors, FieldError, Reason, invalid, required
from reconciler.admission.rules import names
from reconciler.admission.rules.meta import validate_meta
from reconciler.model.config import ConfigMap, Secret

SIZE_MAX = 1024 * 1024
SERVICE_ACCOUNT_NAME = "kubernetes.io/service-account.name"
_REDACTED = "<secret contents redacted>"
_NEEDS_ALL = {
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_NEEDS_JSON = {
    "kubernetes.io/dockercfg": ".dockercfg",
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
}
_BASIC_AUTH = ("username", "password")


def secret(obj: Secret) -> Errors:
    """ValidateSecret."""
    yield from validate_meta(obj)
    yield from _keys(obj.data, "data")
    if sum(map(_decoded_size, obj.data.values())) > SIZE_MAX:
        yield _too_long("data")
    yield from _secret_type(obj)


def _secret_type(obj: Secret) -> Errors:
    """Each of Kubernetes' own types needs certain keys."""
    if obj.type == "kubernetes.io/service-account-token":
        if not obj.metadata.annotations.get(SERVICE_ACCOUNT_NAME):
            yield required(f"metadata.annotations[{SERVICE_ACCOUNT_NAME}]")
    elif obj.type == "kubernetes.io/basic-auth":
        if not any(key in obj.data for key in _BASIC_AUTH):
            yield from (required(f"data[{key}]") for key in _BASIC_AUTH)
    elif obj.type in _NEEDS_JSON:
        yield from _json(obj, _NEEDS_JSON[obj.type])
    for key in _NEEDS_ALL.get(obj.type, ()):
        if key not in obj.data:
            yield required(f"data[{key}]")


def _json(obj: Secret, key: str) -> Errors:
    if key not in obj.data:
        yield required(f"data[{key}]")
        return
    try:
        value = orjson.loads(b64decode(obj.data[key]))
    except orjson.JSONDecodeError as error:
        yield invalid(f"data[{key}]", _REDACTED, error.msg)
        return
    if not isinstance(value, dict):
        text = "json: cannot unmarshal into Go value of type map[string]interface {}"
        yield invalid(f"data[{key}]", _REDACTED, text)


def config_map(obj: ConfigMap) -> Errors:
    """ValidateConfigMap."""
    yield from validate_meta(obj)
    for key in obj.data:
        yield from _keys((key,), "data")
        if key in obj.binary_data:
            yield invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
    yield from _keys(obj.binary_data, "binaryData")
    size = sum(len(text.encode()) for text in obj.data.values())
    if size + sum(map(_decoded_size, obj.binary_data.values())) > SIZE_MAX:
        yield _too_long("")


def _keys(keys: Iterable[str], path: str) -> Errors:
    for key in keys:
        if messages := names.config_key(key):
            yield from names.each(f"{path}[{key}]", key, messages)


def _decoded_size(base64: str) -> int:
    return len(base64) // 4 * 3 - base64.count("=", -2)


def _too_long(path: str) -> FieldError:
    return FieldError(path, Reason.TOO_LONG, f"may not be more than {SIZE_MAX} bytes", "")
