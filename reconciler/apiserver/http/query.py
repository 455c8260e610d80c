"""Query parameters of reads and writes, as Kubernetes' ListOptions, CreateOptions and the like.

Called by the verbs. Pure; what is wrong with them is a `StatusError` in Kubernetes' words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from reconciler.admission.errors import FieldError, Reason, forbidden, go_quote, invalid, required
from reconciler.admission.errors import not_supported as unsupported
from reconciler.apiserver.http import status
from reconciler.apiserver.http.message import Request
from reconciler.apiserver.registry.errors import StatusError, bad_request

Validation = Literal["Strict", "Warn", "Ignore"]

_VALIDATIONS: dict[str, Validation] = {
    "": "Warn", "Ignore": "Ignore", "Strict": "Strict", "Warn": "Warn",
}  # fmt: skip
_LONGEST_MANAGER = 128
_REVISION_DIGITS, _REVISION_END = 20, 1 << 64
_INTEGER = re.compile(r"[+-]?[0-9]+")
_INTEGER_DIGITS, _INTEGER_END = 19, 1 << 63


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How to write: `manager` owns the fields, `validation` says what unknown fields do."""

    manager: str
    dry_run: bool
    validation: Validation
    force: bool


def write_options(request: Request, kind: str, *, apply: bool = False) -> WriteOptions:
    """Return the options of a write; `kind` is "CreateOptions" and so on, for refusals.

    Raises `StatusError`.
    """
    faults = list(_write_faults(request, apply=apply))
    if faults:
        raise status.invalid_options(kind, faults)
    return WriteOptions(
        request.one("fieldManager") or agent(request),
        bool(request.query.get("dryRun")),
        _VALIDATIONS[request.one("fieldValidation")],
        request.flag("force"),
    )


def agent(request: Request) -> str:
    """Return the client's name as the default manager: its User-Agent up to the slash."""
    return request.headers.get("user-agent", "unknown").partition("/")[0][:_LONGEST_MANAGER]


def _write_faults(request: Request, *, apply: bool) -> Iterator[FieldError]:
    manager = request.one("fieldManager")
    if apply and not manager:
        yield required("fieldManager", "is required for apply patch")
    if request.query.get("force") and not apply and request.method == "PATCH":
        yield forbidden("force", "may not be specified for non-apply patch")
    yield from _manager_faults(manager)
    yield from dry_run_faults(tuple(request.query.get("dryRun", ())))
    validation = request.one("fieldValidation")
    if validation not in _VALIDATIONS:
        yield unsupported("fieldValidation", validation, tuple(_VALIDATIONS))


def _manager_faults(manager: str) -> Iterator[FieldError]:
    if len(manager.encode()) > _LONGEST_MANAGER:
        text = f"may not be more than {_LONGEST_MANAGER} bytes"
        yield FieldError("fieldManager", Reason.TOO_LONG, text, manager)
    for position, letter in enumerate(manager):
        if not letter.isprintable():
            text = f"invalid character U+{ord(letter):04X} (at position {position})"
            yield invalid("fieldManager", manager, text)
            return


def dry_run_faults(values: tuple[str, ...]) -> Iterator[FieldError]:
    """Yield what is wrong with a write's dryRun."""
    if any(value != "All" for value in values):
        yield unsupported("dryRun", values, ("All",))


@dataclass(frozen=True, slots=True)
class ListOptions:
    """What to list or watch; `limit` 0 means all, `timeout` 0 the server's choice."""

    labels: str
    fields: str
    limit: int
    token: str
    version: str
    match: str
    watch: bool
    bookmarks: bool
    initial: bool
    timeout: int


def list_options(request: Request) -> ListOptions:
    """Return the options of a list or watch; raises `StatusError`."""
    options = ListOptions(
        request.one("labelSelector"),
        request.one("fieldSelector"),
        _integer(request, "limit"),
        request.one("continue"),
        request.one("resourceVersion"),
        request.one("resourceVersionMatch"),
        request.flag("watch"),
        request.flag("allowWatchBookmarks"),
        request.flag("sendInitialEvents"),
        _integer(request, "timeoutSeconds"),
    )
    faults = list(_watch_faults(request, options) if options.watch else _list_faults(options))
    if faults:
        raise status.invalid_options("ListOptions", faults)
    return options


def _integer(request: Request, name: str) -> int:
    text = request.one(name)
    return integer(text) if text else 0


def integer(text: str) -> int:
    """Return a whole number of 64 bits as Go's ParseInt reads it; raises `StatusError`."""
    # Unlike int(), it takes no space, underscore or digit of another script.
    if not _INTEGER.fullmatch(text):
        raise bad_request(f"strconv.ParseInt: parsing {go_quote(text)}: invalid syntax")
    value = int(text) if len(text.lstrip("+-0")) <= _INTEGER_DIGITS else _INTEGER_END
    if not -_INTEGER_END <= value < _INTEGER_END:
        raise bad_request(f"strconv.ParseInt: parsing {go_quote(text)}: value out of range")
    return value


_MATCH = "resourceVersionMatch"


def _list_faults(options: ListOptions) -> Iterator[FieldError]:
    """Yield what ValidateListOptions refuses of a list."""
    if options.initial:
        yield forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")
    match = options.match
    if not match:
        return
    if options.token:
        yield forbidden(_MATCH, f"{_MATCH} is forbidden when continue is provided")
    if not options.version:
        yield forbidden(_MATCH, f"{_MATCH} is forbidden unless resourceVersion is provided")
    if match not in ("Exact", "NotOlderThan"):
        yield unsupported(_MATCH, match, ("Exact", "NotOlderThan", ""))
    if match == "Exact" and options.version == "0":
        yield forbidden(_MATCH, f'{_MATCH} "exact" is forbidden for resourceVersion "0"')


def _watch_faults(request: Request, options: ListOptions) -> Iterator[FieldError]:
    """Yield what ValidateListOptions refuses of a watch."""
    given = "sendInitialEvents" in request.query
    if not given and options.match:
        text = f"{_MATCH} is forbidden for watch unless sendInitialEvents is provided"
        yield forbidden(_MATCH, text)
    if given and not options.match:
        text = f"sendInitialEvents requires setting {_MATCH} to NotOlderThan"
        yield forbidden(_MATCH, text)
    if options.match not in ("", "NotOlderThan"):
        yield unsupported(_MATCH, options.match, ("NotOlderThan",))
    if options.token:
        yield forbidden(_MATCH, f"{_MATCH} is forbidden when continue is provided")


def revision(text: str) -> int:
    """Return a resourceVersion as a number, 0 for none; raises `StatusError`."""
    if not text:
        return 0
    # Unlike int(), ParseUint takes no sign, space, underscore or digit of another script.
    if not (text.isascii() and text.isdigit()):
        raise _odd_revision(text, "invalid syntax")
    value = int(text) if len(text.lstrip("0")) <= _REVISION_DIGITS else _REVISION_END
    if value >= _REVISION_END:
        raise _odd_revision(text, "value out of range")
    return value


def _odd_revision(text: str, why: str) -> StatusError:
    """Return Kubernetes' answer, a 500 (its issue 139485), to what is no resourceVersion."""
    shown = go_quote(text)
    return status.plain_error(
        f"resourceVersion: Invalid value: {shown}: strconv.ParseUint: parsing {shown}: {why}"
    )


def future(wanted: int, current: int) -> StatusError:
    """Return the answer to a read at a revision that is not there yet."""
    text = f"Timeout: Too large resource version: {wanted}, current: {current}"
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    return StatusError(504, "Timeout", text, {"causes": [cause], "retryAfterSeconds": 1})
