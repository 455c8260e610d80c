"""One manifest file to declared objects and problems. Pure; called by `load`.

Everything that is wrong in the file is collected, not only the first thing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from reconciler.admission.create import validate
from reconciler.admission.decode import decode, decode_lenient, identify
from reconciler.admission.defaults import apply_defaults
from reconciler.admission.errors import (
    AdmissionError,
    FieldError,
    Reason,
    Refused,
    Undecodable,
    required,
)
from reconciler.admission.unsupported import unsupported
from reconciler.desired import json, yaml
from reconciler.desired.declarable import refusal
from reconciler.desired.hints import hint_for, meant_path
from reconciler.desired.limits import ReadLimits
from reconciler.desired.objects import DesiredObject
from reconciler.desired.positions import Positions
from reconciler.desired.problem import Problem
from reconciler.desired.redact import without_secrets
from reconciler.desired.texthints import text_hint
from reconciler.desired.yaml import Document
from reconciler.model import kinds
from reconciler.model.kinds import Resource
from reconciler.model.meta import KubeObject, ObjectKey

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
# What only a server sets; people paste it from `kubectl get -o yaml`.
_SERVER_METADATA = frozenset(
    ("creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation",
     "managedFields", "resourceVersion", "selfLink", "uid")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FileResult:
    """What one file declares and what is wrong with it."""

    path: str
    objects: tuple[DesiredObject, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _Item:
    """One object in a document, not decoded yet; `within` is its path in a List."""

    value: Any
    document: Document
    within: str
    line: int
    column: int


def read_file(path: str, data: bytes, namespace: str, limits: ReadLimits) -> FileResult:
    """Return what a manifest file declares; `namespace` is for objects that name none."""
    reader = _FileReader(path, data, namespace, limits)
    objects = tuple(reader.read())
    return FileResult(path, objects, tuple(sorted(reader.problems)))


class _FileReader:
    def __init__(self, path: str, data: bytes, namespace: str, limits: ReadLimits) -> None:
        self._path = path
        self._data = data
        self._namespace = namespace
        self._limits = limits
        self._positions: Positions | None = None
        self.problems: list[Problem] = []

    def read(self) -> Iterator[DesiredObject]:
        """Yield the objects; what is wrong goes to `problems`."""
        if (reason := _unreadable(self._data, self._limits)) is not None:
            self.problems.append(Problem(self._path, 1, 1, "", *reason))
            return
        parse = json.parse if self._path.endswith(".json") else yaml.parse
        parsed = parse(self._data, self._limits)
        for fault in parsed.faults:
            hint = text_hint(self._data, fault.line) if fault.syntax else ""
            field = self._positions_of().path_at((fault.line, fault.column))
            self.problems.append(
                Problem(self._path, fault.line, fault.column, field, fault.message, hint)
            )
        for document in parsed.documents:
            for item in _unwrap(document):
                declared = self._declare(item)
                if declared is not None:
                    yield declared

    def _declare(self, item: _Item) -> DesiredObject | None:
        try:
            resource = identify(item.value)
            if reason := refusal(resource):
                raise _only(FieldError("kind", Reason.NOT_ACTED_ON, reason), resource)
            manifest, encoded = _normalize(item.value, resource, self._namespace)
            obj = _admit(manifest, resource)
        except AdmissionError as error:
            self._refuse(item, error)
            return None
        metadata = obj.metadata
        key = ObjectKey(resource.key_kind, metadata.namespace, metadata.name)
        content = hashlib.blake2b(encoded, digest_size=16).hexdigest()
        return DesiredObject(
            key, manifest, obj, content, self._path, item.line, item.column,
            item.document.index, item.within,
        )  # fmt: skip

    def _refuse(self, item: _Item, refused: AdmissionError) -> None:
        name = _shown(refused, item.value, self._namespace)
        for error in without_secrets(refused.kind, refused.errors):
            line, column = self._place(item, error)
            hint = error.hint or hint_for(error, item.value)
            if not hint and not isinstance(item.value, Mapping):
                hint = text_hint(self._data, line)
            field = _join(item.within, error.path)
            self.problems.append(
                Problem(self._path, line, column, field, error.message, hint, name)
            )

    def _place(self, item: _Item, error: FieldError) -> tuple[int, int]:
        positions = self._positions_of()
        path = _join(item.within, error.path)
        if not error.path:
            return item.line, item.column
        if error.reason is Reason.UNKNOWN_FIELD:
            place = positions.key(item.document.index, path)
        else:
            place = positions.of(item.document.index, path, error.value)
        return place or (item.line, item.column)

    def _positions_of(self) -> Positions:
        if self._positions is None:
            self._positions = Positions(self._data)
        return self._positions


def _unreadable(data: bytes, limits: ReadLimits) -> tuple[str, str] | None:
    """Return a message and a hint why the bytes cannot be a manifest, or `None`."""
    if len(data) > limits.file_bytes:
        return f"the file has {len(data)} bytes, and at most {limits.file_bytes} are read", ""
    if data.startswith(_LFS_POINTER):
        return "the file is a Git LFS pointer, not the file itself", "keep manifests out of LFS"
    return None


def _unwrap(document: Document) -> Iterator[_Item]:
    """Yield the objects of a document: itself, or the items of a List."""
    places = document.items
    start = (document.line, document.column)
    for within, value in _flatten(document.value, ""):
        index = within.partition("[")[2].partition("]")[0]
        place = places[int(index)] if index and int(index) < len(places) else start
        yield _Item(value, document, within, *place)


def _flatten(value: Any, within: str) -> Iterator[tuple[str, Any]]:
    item_kind = _list_of(value)
    if item_kind is None:
        yield within, value
        return
    for index, item in enumerate(value["items"]):
        path = _join(within, f"items[{index}]")
        if item_kind and isinstance(item, Mapping):
            item = {"apiVersion": value["apiVersion"], "kind": item_kind, **item}  # noqa: PLW2901 - the same item, named
        yield from _flatten(item, path)


def _list_of(value: Any) -> str | None:
    """Return the kind of the items of a list ("" for List itself), or `None` for no list."""
    if not isinstance(value, Mapping) or not isinstance(value.get("items"), list):
        return None
    kind, api_version = value.get("kind"), value.get("apiVersion")
    if not isinstance(kind, str) or not isinstance(api_version, str) or not kind.endswith("List"):
        return None
    if kind == "List" and api_version == "v1":
        return ""
    item_kind = kind.removesuffix("List")
    return item_kind if kinds.by_gvk(api_version, item_kind) else None


def _normalize(
    value: Mapping[str, Any], resource: Resource, namespace: str
) -> tuple[dict[str, Any], bytes]:
    """Return the manifest as it is compared and applied, and its canonical bytes."""
    manifest = {key: member for key, member in value.items() if key != "status"}
    metadata = value.get("metadata")
    if isinstance(metadata, Mapping):
        kept = {key: each for key, each in metadata.items() if key not in _SERVER_METADATA}
        if resource.namespaced and not kept.get("namespace"):
            kept["namespace"] = namespace
        manifest["metadata"] = kept
    encoded = _encode(manifest)
    if b"null" in encoded:
        manifest = _without_nulls(manifest)
        encoded = _encode(manifest)
    return manifest, encoded


def _encode(manifest: Mapping[str, Any]) -> bytes:
    return orjson.dumps(manifest, option=orjson.OPT_SORT_KEYS)


def _without_nulls(value: Any) -> Any:
    """Return `value` without null members: in a manifest null means absent."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    return value


def _admit(manifest: Mapping[str, Any], resource: Resource) -> KubeObject:
    """Return the object; raises `AdmissionError` with the errors of all stages at once."""
    try:
        obj = apply_defaults(decode(manifest))
    except Undecodable as error:
        raise _with_later_stages(manifest, error) from error
    errors = _refusals(obj)
    if errors:
        metadata = obj.metadata
        raise Refused(
            errors, group=resource.group, version=resource.version, kind=resource.kind,
            name=metadata.name, namespace=metadata.namespace,
        )  # fmt: skip
    return obj


def _refusals(obj: KubeObject) -> tuple[FieldError, ...]:
    """Return why a source may not ask for a defaulted object: invalid, or not supported yet."""
    if not obj.metadata.name and obj.metadata.generate_name:
        return (required("metadata.name", "a name made anew each time has no place here"),)
    return (*validate(obj), *unsupported(obj))


def _with_later_stages(manifest: Mapping[str, Any], first: Undecodable) -> AdmissionError:
    """Validate what is left without the unknown fields, so that nothing waits for its turn.

    A field that is missing because it is there under a wrong name is told once, not twice.
    """
    try:
        lenient, _ = decode_lenient(manifest)
    except Undecodable:
        return first
    meant = {meant_path(error, manifest) for error in first.errors}
    later = [
        error
        for error in _refusals(apply_defaults(lenient))
        if error.reason is not Reason.REQUIRED or error.path not in meant
    ]
    return AdmissionError(
        (*first.errors, *later), kind=first.kind, group=first.group,
        version=first.version, name=first.name, namespace=first.namespace,
    )  # fmt: skip


def _only(error: FieldError, resource: Resource) -> Refused:
    return Refused((error,), group=resource.group, version=resource.version, kind=resource.kind)


def _shown(refused: AdmissionError, value: Any, namespace: str) -> str:
    """Return the object as messages name it: its kind and what is known of its name."""
    metadata = value.get("metadata") if isinstance(value, Mapping) else None
    named = metadata if isinstance(metadata, Mapping) else {}
    name = refused.name or named.get("name") or ""
    resource = next((each for each in kinds.RESOURCES if each.kind == refused.kind), None)
    place = named.get("namespace") or namespace
    if resource is not None and not resource.namespaced:
        place = ""
    path = f"{place}/{name}" if place and name else str(name)
    return f"{refused.kind} {path}".strip()


def _join(within: str, path: str) -> str:
    if not within or not path:
        return within or path
    return f"{within}.{path}"
