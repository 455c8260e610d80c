"""One manifest file to declared objects and problems. Pure; called by `load`.

Everything that is wrong in the file is collected, not only the first thing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from reconciler.admission.create import validate
from reconciler.admission.decode import decode, identify
from reconciler.admission.defaults import apply_defaults
from reconciler.admission.errors import (
    AdmissionError,
    FieldError,
    Reason,
    Refused,
    Undecodable,
    required,
)
from reconciler.admission.remains import news, without
from reconciler.admission.unsupported import unsupported
from reconciler.desired.age import SUFFIX, AgeKeys, Sealed
from reconciler.desired.declarable import refusal
from reconciler.desired.hints import hint_for, meant_path
from reconciler.desired.limits import ReadLimits
from reconciler.desired.objects import DesiredObject
from reconciler.desired.positions import Positions
from reconciler.desired.problem import Problem
from reconciler.desired.redact import secret_fields, without_secrets
from reconciler.desired.substitute import Substitution
from reconciler.desired.texthints import text_hint
from reconciler.desired.variables import Variables
from reconciler.desired.written import Item, join, parse, plain_text, unreadable, unwrap
from reconciler.model import kinds
from reconciler.model.kinds import Resource
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.model.pod import Pod

# What only a server sets; people paste it from `kubectl get -o yaml`.
_SERVER_METADATA = frozenset(
    ("creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation",
     "managedFields", "resourceVersion", "selfLink", "uid")
)  # fmt: skip
_MANY = 100


@dataclass(frozen=True, slots=True)
class FileResult:
    """What one file declares and what is wrong with it; `sealed` when it had to be decrypted."""

    path: str
    objects: tuple[DesiredObject, ...]
    problems: tuple[Problem, ...]
    sealed: bool = False


def read_file(
    path: str,
    data: bytes,
    namespace: str,
    limits: ReadLimits,
    keys: AgeKeys | None = None,
    variables: Variables | None = None,
) -> FileResult:
    """Return what a manifest file declares; `namespace` is for objects that name none.

    With `variables` those in its scalars are replaced.
    """
    keys = keys or AgeKeys()
    try:
        data = plain_text(path, data, keys)
    except Sealed as error:
        return FileResult(path, (), (Problem(path, 1, 1, "", str(error)),))
    reader = ManifestReader(path, data, namespace, limits, keys, variables)
    objects = tuple(reader.read())
    sealed = reader.sealed or path.endswith(SUFFIX)
    return FileResult(path, objects, tuple(sorted(reader.problems)), sealed)


class ManifestReader:
    """Reads one file; `data` are its bytes, in which places are looked up."""

    def __init__(
        self,
        path: str,
        data: bytes,
        namespace: str,
        limits: ReadLimits,
        keys: AgeKeys,
        variables: Variables | None = None,
    ) -> None:
        self._variables = variables
        self._keys = keys
        self._path = path
        self._data = data
        self._namespace = namespace
        self._limits = limits
        self._positions: Positions | None = None
        self.problems: list[Problem] = []
        self.sealed = False

    def read(self) -> Iterator[DesiredObject]:
        """Yield the objects; what is wrong goes to `problems`."""
        if (reason := unreadable(self._data, self._limits)) is not None:
            self.problems.append(Problem(self._path, 1, 1, "", *reason))
            return
        parsed = parse(self._path, self._data, self._limits, self._keys)
        self.sealed = parsed.sealed
        for fault in parsed.faults:
            hint = text_hint(self._data, fault.line) if fault.syntax else ""
            field = self._positions_of().path_at((fault.line, fault.column))
            self.problems.append(
                Problem(self._path, fault.line, fault.column, field, fault.message, hint)
            )
        for document in parsed.documents:
            for item in unwrap(document):
                declared = self.declare(item)
                if declared is not None:
                    yield declared

    def declare(self, item: Item) -> DesiredObject | None:
        """Return the object of an item; what is wrong with it goes to `problems`."""
        if self._variables is not None and isinstance(item.value, Mapping):
            filled = self._filled(item, self._variables)
            if filled is None:
                return None
            item = replace(item, value=filled)
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

    def _filled(self, item: Item, variables: Variables) -> Mapping[str, Any] | None:
        """Return the value of an item with its variables replaced, `None` when one cannot be."""
        document, within = item.document.index, item.within
        substitution = Substitution(
            variables, lambda path: self._positions_of().is_quoted(document, join(within, path))
        )
        filled = substitution.of(item.value)
        for fault in substitution.faults:
            path = join(within, fault.path)
            place = self._positions_of().within(
                document, path, fault.expression, in_key=fault.in_key
            )
            line, column = place or (item.line, item.column)
            self.problems.append(Problem(self._path, line, column, path, fault.message))
        return None if substitution.faults else filled

    def _refuse(self, item: Item, refused: AdmissionError) -> None:
        name = _shown(refused, item.value, self._namespace)
        metadata = item.value.get("metadata") if isinstance(item.value, Mapping) else None
        notes = metadata.get("annotations") if isinstance(metadata, Mapping) else None
        fields = secret_fields(notes) if isinstance(notes, Mapping) else frozenset()
        for error in without_secrets(refused.kind, refused.errors, fields):
            line, column = self._place(item, error)
            hint = "" if fields else error.hint or hint_for(error, item.value)
            if not hint and not isinstance(item.value, Mapping):
                hint = text_hint(self._data, line)
            field = join(item.within, error.path)
            self.problems.append(
                Problem(self._path, line, column, field, error.message, hint, name)
            )

    def _place(self, item: Item, error: FieldError) -> tuple[int, int]:
        positions = self._positions_of()
        path = join(item.within, error.path)
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
    return (*validate(_with_account(obj)), *unsupported(obj))


def _with_account(obj: KubeObject) -> KubeObject:
    """Return a pod with the account that the API will give it: it may ask for tokens then."""
    if not isinstance(obj, Pod) or obj.spec.service_account_name:
        return obj
    return obj.replace(spec=obj.spec.replace(service_account_name="default"))


def _with_later_stages(manifest: Mapping[str, Any], first: Undecodable) -> AdmissionError:
    """Validate what is left without the faults, so that nothing waits for its turn.

    A field that is missing because it is there under a wrong name is told once, not twice. Who
    has a great many faults is told of those first.
    """
    if len(first.errors) > _MANY:
        return first
    try:
        left = decode(without(manifest, first.errors))
    except Undecodable:
        return first
    meant = {meant_path(error, manifest) for error in first.errors}
    later = [
        error
        for error in news(_refusals(apply_defaults(left)), first.errors)
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
