"""JSON patch (RFC 6902) as kube-apiserver applies it. Pure.

Called by the REST face and by kustomizations.

Two leniencies of its library are kept because clients rely on them: `replace` sets a missing
member of an object, and the first element of a path that lacks its slash is dropped.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from reconciler.core.errors import ReconcilerError

_OPERATIONS_LIMIT = 10_000
_COPIED_LIMIT = 3 * 1024 * 1024  # kube-apiserver's JSONPatchMaxCopyBytes


class Inapplicable(ReconcilerError):
    """An operation cannot be applied to this object."""


class TooManyOperations(ReconcilerError):
    """The patch is longer than a server will apply."""


def apply(value: Any, operations: list[Any]) -> Any:
    """Return `value` after all operations, or raise `Inapplicable`; `value` is not changed."""
    if len(operations) > _OPERATIONS_LIMIT:
        text = f"The allowed maximum operations in a JSON patch is {_OPERATIONS_LIMIT}"
        raise TooManyOperations(f"{text}, got {len(operations)}")
    document, copied = copy.deepcopy(value), 0
    for operation in operations:
        if not isinstance(operation, dict):
            raise Inapplicable("an operation must be an object")
        name, path = operation.get("op"), operation.get("path")
        if not isinstance(name, str) or name not in _OPERATIONS or not isinstance(path, str):
            raise Inapplicable(f"unexpected operation {name}")
        if name == "copy":
            copied += _size_of_copy(document, operation)
            if copied > _COPIED_LIMIT:
                raise Inapplicable(f"the copies are {copied} bytes, beyond {_COPIED_LIMIT}")
        document = _OPERATIONS[name](document, path, operation)
    return document


def _size_of_copy(document: Any, operation: dict[str, Any]) -> int:
    """Return the bytes that an operation copies: each may double what is there."""
    return len(json.dumps(_at(document, _steps(_from(operation)))))


def _given(operation: dict[str, Any]) -> Any:
    """Return an operation's value for the document to own: a patch may be applied again."""
    return copy.deepcopy(operation.get("value"))


def _steps(path: str) -> list[str]:
    """Return the steps of a JSON pointer."""
    if not path:
        return []
    return [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]


def _at(document: Any, steps: list[str]) -> Any:
    for step in steps:
        if isinstance(document, list):
            document = document[_index(step, len(document) - 1)]
        elif isinstance(document, dict) and step in document:
            document = document[step]
        else:
            raise Inapplicable(f"there is no {step}")
    return document


def _index(step: str, last: int) -> int:
    try:
        index = int(step)
    except ValueError as error:
        raise Inapplicable(f"{step} is no index") from error
    if not 0 <= index <= last:
        raise Inapplicable(f"index {index} is out of bounds")
    return index


def _add(document: Any, path: str, operation: dict[str, Any]) -> Any:
    if "value" not in operation:
        raise Inapplicable("add without a value")
    return _put(document, path, _given(operation))


def _put(document: Any, path: str, value: Any) -> Any:
    steps = _steps(path)
    if not steps:
        return value if not path else document
    parent, last = _at(document, steps[:-1]), steps[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else _index(last, len(parent)), value)
    else:
        raise Inapplicable(f"{path} has no parent")
    return document


def _remove(document: Any, path: str, _: dict[str, Any]) -> Any:
    _take(document, path)
    return document


def _take(document: Any, path: str) -> Any:
    steps = _steps(path)
    if not steps:
        raise Inapplicable("the whole document cannot be removed")
    value = _at(document, steps)
    parent, last = _at(document, steps[:-1]), steps[-1]
    if isinstance(parent, list):
        del parent[int(last)]
    else:
        del parent[last]
    return value


def _replace(document: Any, path: str, operation: dict[str, Any]) -> Any:
    steps = _steps(path)
    if not steps:
        return _given(operation)
    parent, last = _at(document, steps[:-1]), steps[-1]
    if isinstance(parent, list):
        parent[_index(last, len(parent) - 1)] = _given(operation)
    elif isinstance(parent, dict):
        parent[last] = _given(operation)
    else:
        raise Inapplicable(f"{path} has no parent")
    return document


def _move(document: Any, path: str, operation: dict[str, Any]) -> Any:
    return _put(document, path, _take(document, _from(operation)))


def _copy(document: Any, path: str, operation: dict[str, Any]) -> Any:
    return _put(document, path, copy.deepcopy(_at(document, _steps(_from(operation)))))


def _from(operation: dict[str, Any]) -> str:
    source = operation.get("from")
    if not isinstance(source, str):
        raise Inapplicable("the operation names no source")
    return source


def _test(document: Any, path: str, operation: dict[str, Any]) -> Any:
    try:
        found = _at(document, _steps(path))
    except Inapplicable:
        if operation.get("value") is not None:
            raise
        found = None
    if found != operation.get("value"):
        raise Inapplicable(f"testing value {path} failed")
    return document


_OPERATIONS: dict[str, Callable[[Any, str, dict[str, Any]], Any]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}
