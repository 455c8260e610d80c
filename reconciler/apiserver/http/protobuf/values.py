"""A body in protobuf as the plain values that JSON would have. Called by `body.py`.

One decoder for all messages: what is special is a handful of Kubernetes' types (times,
quantities, IntOrString), and the structs that JSON writes into the one around them (inline).
Unknown fields are left out, as Kubernetes leaves them out.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from reconciler.apiserver.http.protobuf import classes
from reconciler.core.errors import ReconcilerError

CONTENT_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"


class NotProtobuf(ReconcilerError):
    """The body is not what its content type says."""


class NoSuchMessage(ReconcilerError):
    """The body is of a kind that is not read in protobuf."""


def read(body: bytes) -> dict[str, Any]:
    """Return the object of a body. Raises `NotProtobuf`, `NoSuchMessage`."""
    if not body.startswith(_MAGIC):
        raise NotProtobuf(
            "provided data does not appear to be a protobuf message,"
            f" expected prefix [{' '.join(str(byte) for byte in _MAGIC)}]"
        )
    envelope = _parsed("Unknown", body[len(_MAGIC) :])
    version, kind = envelope.typeMeta.apiVersion, envelope.typeMeta.kind
    name = f"{version} {kind}"
    if kind == "DeleteOptions":
        name = "v1 DeleteOptions"  # of every group
    if name not in classes.table():
        raise NoSuchMessage(f"{kind} of {version} is not read in protobuf")
    return {"kind": kind, "apiVersion": version, **_object(_parsed(name, envelope.raw))}


def _parsed(name: str, data: bytes) -> Any:
    message = classes.message_class(name)()
    try:
        message.ParseFromString(data)
    except classes.decode_error() as error:
        raise NotProtobuf(f"the message {name} cannot be parsed: {error}") from error
    return message


def _object(message: Any) -> dict[str, Any]:
    name = classes.names()[message.DESCRIPTOR.full_name]
    members: dict[str, Any] = {}
    for field, value in message.ListFields():
        plain = _member(field, value)
        if classes.is_inline(name, field.name):
            members |= plain
            continue
        if plain in ("", 0, None, [], {}) and not classes.keeps_zero(name, field.name):
            continue
        members[field.name] = plain
    return members


def _member(field: Any, value: Any) -> Any:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return {key: _value(each) for key, each in value.items()}
    return [_value(each) for each in value] if field.is_repeated else _value(value)


def _value(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if not hasattr(value, "DESCRIPTOR"):
        return value
    special = _SPECIAL.get(value.DESCRIPTOR.name)
    return special(value) if special else _object(value)


def _time(value: Any) -> str | None:
    if not value.ListFields():
        return None
    try:
        return datetime.fromtimestamp(value.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError) as error:
        raise NotProtobuf(f"a time of {value.seconds} seconds") from error


def _micro_time(value: Any) -> str | None:
    whole = _time(value)
    return whole.replace("Z", f".{value.nanos // 1000:06}Z") if whole else None


def _extra(value: Any) -> list[str]:
    return list(value.items)


def _quantity(value: Any) -> str:
    return str(value.string)


def _int_or_string(value: Any) -> int | str:
    return str(value.strVal) if value.type == 1 else int(value.intVal)


def _fields(value: Any) -> Any:
    try:
        return json.loads(value.Raw) if value.Raw else {}
    except (ValueError, RecursionError) as error:
        raise NotProtobuf(f"managed fields: {error}") from error


_SPECIAL: dict[str, Callable[[Any], Any]] = {
    "Time": _time,
    "MicroTime": _micro_time,
    "ExtraValue": _extra,
    "Quantity": _quantity,
    "IntOrString": _int_or_string,
    "FieldsV1": _fields,
}
