"""Message classes, made from the table of public field numbers. The only importer of protobuf.

`messages.json` has a message a name; those that stand alone in a body are named by apiVersion and
kind. A field is "NUMBER TYPE", "NUMBER list TYPE" or "NUMBER map TYPE" (from strings); "?" marks
one whose zero is a value, because Kubernetes has a pointer there; "NUMBER inline TYPE" is a struct
whose members JSON has in the message itself. Protobuf is loaded with the first body that needs it:
the idle daemon does not carry it.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import Any

_SCALARS = {"string": 9, "bytes": 12, "bool": 8, "int32": 5, "int64": 3}
_MESSAGE, _OPTIONAL, _REPEATED = 11, 1, 3
_PACKAGE = "reconciler"


@cache
def table() -> dict[str, dict[str, str]]:
    """Return the table: message, field, description."""
    text = files("reconciler.apiserver.http.protobuf").joinpath("messages.json").read_text()
    found: dict[str, dict[str, str]] = json.loads(text)
    return found


def keeps_zero(message: str, field: str) -> bool:
    """Say whether a field's zero is a value that was given."""
    return table()[message][field].endswith("?")


def is_inline(message: str, field: str) -> bool:
    """Say whether a field's members stand in the message itself where JSON writes it."""
    return " inline " in table()[message][field]


@cache
def message_class(message: str) -> Any:
    """Return the class of a message of the table."""
    factory = import_module("google.protobuf.message_factory")
    descriptor = _pool().FindMessageTypeByName(f"{_PACKAGE}.{_identifier(message)}")
    return factory.GetMessageClass(descriptor)


@cache
def names() -> dict[str, str]:
    """Return the table's name of each message by its protobuf name."""
    return {f"{_PACKAGE}.{_identifier(name)}": name for name in table()}


@cache
def decode_error() -> type[Exception]:
    """Return what parsing raises."""
    found: type[Exception] = import_module("google.protobuf.message").DecodeError
    return found


@cache
def _pool() -> Any:
    descriptors = import_module("google.protobuf.descriptor_pb2")
    pool = import_module("google.protobuf.descriptor_pool").DescriptorPool()
    file = descriptors.FileDescriptorProto(name="messages", package=_PACKAGE, syntax="proto2")
    for name, fields in table().items():
        message = file.message_type.add(name=_identifier(name))
        for field, described in fields.items():
            _add(message, field, described.rstrip("?").split(" ", 1))
    pool.Add(file)
    return pool


def _identifier(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def _add(message: Any, field: str, described: list[str]) -> None:
    number, kind = int(described[0]), described[1]
    if kind.startswith("map "):
        entry = message.nested_type.add(name=f"{field[0].upper()}{field[1:]}Entry")
        entry.options.map_entry = True
        _put(entry, "key", 1, "string", _OPTIONAL)
        _put(entry, "value", 2, kind.removeprefix("map "), _OPTIONAL)
        added = message.field.add(name=field, number=number, label=_REPEATED, type=_MESSAGE)
        added.type_name = f".{_PACKAGE}.{message.name}.{entry.name}"
    elif kind.startswith("list "):
        _put(message, field, number, kind.removeprefix("list "), _REPEATED)
    else:
        _put(message, field, number, kind.removeprefix("inline "), _OPTIONAL)


def _put(message: Any, field: str, number: int, kind: str, label: int) -> None:
    scalar = _SCALARS.get(kind)
    added = message.field.add(name=field, number=number, label=label, type=scalar or _MESSAGE)
    if scalar is None:
        added.type_name = f".{_PACKAGE}.{_identifier(kind)}"
