"""Request bodies: text to one object of the kind that the URL names.

Called by the verbs. It reads JSON, YAML and protobuf, fills in what the URL already says, and
tells what fieldValidation tells: unknown fields and double keys as refusals or as warnings.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any, Self

import orjson

from reconciler.admission.decode import decode_lenient
from reconciler.admission.errors import AdmissionError, Undecodable
from reconciler.apiserver.http import duplicates, gotext, status
from reconciler.apiserver.http.message import Request
from reconciler.apiserver.http.protobuf import values
from reconciler.apiserver.http.query import Validation
from reconciler.apiserver.registry.errors import StatusError, bad_request, refused
from reconciler.desired import yaml
from reconciler.desired.limits import ReadLimits
from reconciler.model import kinds
from reconciler.model.meta import KubeObject

_LIMITS = ReadLimits(file_bytes=3 * 1024 * 1024, documents=100, nodes=500_000, alias_nodes=10_000)
_SNIPPET = 30
_FRACTION = re.compile(r"unmarshal number \S*[.e]")
_DOUBLE = "duplicate key "
_TYPE_STRUCT = (
    'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; '
    'Kind string "json:\\"kind,omitempty\\"" }'
)


@dataclass(frozen=True, slots=True)
class Expected:
    """The kind that a body must have; `group` and `version` as in its apiVersion.

    `older` are versions of the group that are taken for the same.
    """

    kind: str
    version: str
    group: str = ""
    older: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """The apiVersion of a body."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def takes(self, api_version: Any) -> bool:
        """Say whether a body may have this apiVersion."""
        older = (f"{self.group}/{each}" for each in self.older)
        return api_version == self.api_version or api_version in older

    @property
    def internal(self) -> str:
        """The Go type as conversion errors name it."""
        return f"{self.group.partition('.')[0] or 'core'}.{self.kind}"


@dataclass(frozen=True, slots=True)
class Body:
    """A body's value, and what strict decoding of its text finds: double keys.

    `json` is the text of a body in JSON, for messages that show a number as it was written.
    """

    value: Any
    faults: tuple[str, ...] = ()
    json: bytes = b""


def expected(resource: kinds.Resource) -> Expected:
    """Return what a body for `resource` must be."""
    return Expected(resource.kind, resource.version, resource.group)


def content_type(request: Request) -> str:
    """Return the media type of a request's body; JSON when it does not say."""
    given = request.headers.get("content-type", "").partition(";")[0].strip()
    return given.lower() or "application/json"


def read(request: Request, wanted: Expected, validation: Validation) -> Body:
    """Return the body as plain values of the kind `wanted`; raises `StatusError`."""
    match content_type(request):
        case "application/json":
            body = _json(request.body, wanted, doubles=validation != "Ignore")
        case "application/yaml":
            body = _yaml(request.body, wanted)
        case values.CONTENT_TYPE:
            body = _protobuf(request.body, wanted)
        case _:
            raise status.unknown_format()
    return _of_kind(body, request.body, wanted)


def decode(
    body: Body, validation: Validation, of: kinds.Resource | None = None
) -> tuple[Any, tuple[str, ...]]:
    """Return the object of a body, and the warnings; raises `StatusError`.

    `of` is the kind where it is none of the table of kinds.
    """
    try:
        obj, unknown = decode_lenient(body.value, of)
    except AdmissionError as error:
        raise refused(_as_written(error, body, of)) from error
    faults = (*body.faults, *unknown)
    if faults and validation == "Strict":
        raise bad_request(_strict_error(obj, faults))
    return obj, faults if validation == "Warn" else ()


def decode_as(
    body: Body, validation: Validation, of: kinds.Resource
) -> tuple[Any, tuple[str, ...]]:
    """Decode as `decode` what is of a kind that nothing is stored of, whatever its version says."""
    return decode(replace(body, value={**body.value, "apiVersion": of.api_version}), validation, of)


class _Written(float):
    """A number with a fraction or an exponent, shown as its text."""

    def __new__(cls, text: str) -> Self:
        number = super().__new__(cls, text)
        number.text = text
        return number

    text: str

    def __format__(self, _spec: str) -> str:
        return self.text


def _as_written(error: AdmissionError, body: Body, of: kinds.Resource | None) -> AdmissionError:
    """Return a fault of a JSON body with its number as it was written there: 1e1, not 10.0."""
    if not (isinstance(error, Undecodable) and body.json and _FRACTION.search(error.wire)):
        return error
    try:
        value = json.loads(body.json, parse_float=_Written)
        decode_lenient({**value, **{key: body.value[key] for key in ("kind", "apiVersion")}}, of)
    except Undecodable as shown:
        return shown
    except (ValueError, RecursionError):  # orjson reads some texts that are too deep for json
        return error
    return error


def _strict_error(obj: KubeObject, faults: tuple[str, ...]) -> str:
    texts = ", ".join(_strict_text(fault) for fault in faults)
    version = obj.api_version.rpartition("/")[2]
    lead = f'{obj.kind} in version "{version}" cannot be handled as a {obj.kind}'
    return f"{lead}: strict decoding error: {texts}"


def _strict_text(fault: str) -> str:
    """Return a fault as a refusal has it: the YAML reader's is wrapped once more there."""
    return f"yaml: unmarshal errors:\n  {fault}" if fault.startswith("line ") else fault


def _json(text: bytes, wanted: Expected, *, doubles: bool) -> Body:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        lead = "couldn't get version/kind; json parse error"
        raise _unrecognized(text, wanted, f"{lead}: {gotext.json_error(error)}") from error
    if doubles and duplicates.may_have(text, value):
        value, found = duplicates.read(text)
        doubled = tuple(f'duplicate field "{path}"' for path in duplicates.paths(found))
        return Body(value, doubled, text)
    return Body(value, json=text)


def _yaml(text: bytes, wanted: Expected) -> Body:
    parsed = yaml.parse(text, _LIMITS)
    doubles = tuple(fault for fault in parsed.faults if fault.message.startswith(_DOUBLE))
    for fault in parsed.faults:
        if fault not in doubles:
            raise _unrecognized(text, wanted, f"yaml: line {fault.line}: {fault.message}")
    value = parsed.documents[0].value if parsed.documents else None
    texts = (
        f"line {fault.line}: key {fault.message.removeprefix(_DOUBLE)} already set in map"
        for fault in doubles
    )
    return Body(value, tuple(texts))


def _protobuf(text: bytes, wanted: Expected) -> Body:
    try:
        return Body(values.read(text))
    except values.NotProtobuf as error:
        raise _unrecognized(text, wanted, str(error)) from error
    except values.NoSuchMessage as error:
        raise status.unknown_format() from error


def _of_kind(body: Body, text: bytes, wanted: Expected) -> Body:
    """Return the body with kind and apiVersion; raises `StatusError` when they are others."""
    value: Any = {} if body.value is None else body.value
    if not isinstance(value, dict):
        why = (
            f"json: cannot unmarshal {gotext.json_word(value)} into Go value of type {_TYPE_STRUCT}"
        )
        raise _unrecognized(text, wanted, f"couldn't get version/kind; json parse error: {why}")
    kind, version = value.get("kind") or wanted.kind, value.get("apiVersion") or wanted.api_version
    if kind != wanted.kind or not wanted.takes(version):
        raise _other_kind(kind, version, text, wanted)
    return replace(body, value={**value, "kind": kind, "apiVersion": version})


def _other_kind(kind: Any, api_version: Any, text: bytes, wanted: Expected) -> StatusError:
    group, _, version = str(api_version).rpartition("/")
    if "/" in group:
        return _unrecognized(text, wanted, f"unexpected GroupVersion string: {api_version}")
    lead = f'{kind} in version "{version}" cannot be handled as a {wanted.kind}'
    return bad_request(f"{lead}: {no_conversion(str(kind), str(api_version), wanted)}")


def no_conversion(kind: str, api_version: str, wanted: Expected) -> str:
    """Return why an object of another kind, or of none, cannot be made one of the kind `wanted`."""
    if kinds.by_gvk(api_version, kind) is not None or (kind, api_version) == ("List", "v1"):
        group, _, version = api_version.rpartition("/")
        given = f"{group.partition('.')[0] or version}.{kind}"
        return f"converting ({given}) to ({wanted.internal}): unknown conversion"
    return (
        f'no kind "{kind}" is registered for version "{api_version}"'
        ' in scheme "pkg/api/legacyscheme/scheme.go:30"'
    )


def _unrecognized(text: bytes, wanted: Expected, why: str) -> StatusError:
    lead = f"the object provided is unrecognized (must be of type {wanted.kind})"
    return bad_request(f"{lead}: {why} ({_snippet(text)})")


def _snippet(text: bytes) -> str:
    """Return the beginning of a body: as text when it looks like JSON, else as hex."""
    if not text:
        return "<empty>"
    cut, more = text[:_SNIPPET], " ..." if len(text) > _SNIPPET else ""
    shown = cut.decode("utf-8", "replace") if text.lstrip().startswith(b"{") else cut.hex()
    return shown + more


def yaml_or_json(text: bytes) -> Any:
    """Return the value of an apply patch, which may be either; raises `StatusError`."""
    parsed = yaml.parse(text, _LIMITS)
    for fault in parsed.faults:
        raise bad_request(f"error decoding YAML: yaml: line {fault.line}: {fault.message}")
    return parsed.documents[0].value if parsed.documents else None
