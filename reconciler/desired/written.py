"""What a file says, before anything is made of it: documents, decrypted, Lists unwrapped. Pure.

Called by `manifest` for plain files and by `builds` for what kustomizations refer to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from reconciler.desired import json, sops, yaml
from reconciler.desired.age import SUFFIX, AgeKeys, Sealed
from reconciler.desired.kustomize.resource import Bad, Place
from reconciler.desired.limits import ReadLimits
from reconciler.desired.problem import Problem
from reconciler.desired.yaml import Document, Fault, Parsed
from reconciler.model import kinds

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, slots=True)
class Item:
    """One object in a document, not decoded yet; `within` is its path in a List."""

    value: Any
    document: Document
    within: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Written:
    """One object or patch and where it is written."""

    value: Any
    place: Place


def plain_text(path: str, data: bytes, keys: AgeKeys) -> bytes:
    """Return the bytes of a file; one that is called `.age` is decrypted. Raises `Sealed`."""
    return keys.open(data) if path.endswith(SUFFIX) else data


def parse(path: str, data: bytes, limits: ReadLimits, keys: AgeKeys) -> Parsed:
    """Return the documents of a file: JSON by its name, else YAML; SOPS' values decrypted.

    What sops wrote and cannot be opened is a fault, and no document comes out.
    """
    parsed = _parse(path.removesuffix(SUFFIX), data, limits)
    if b"sops" not in data or not any(sops.is_encrypted(each.value) for each in parsed.documents):
        return parsed
    try:
        values = sops.opened([each.value for each in parsed.documents], keys)
    except Sealed as error:
        fault = Fault(str(error), parsed.documents[0].line, parsed.documents[0].column)
        return Parsed((), (*parsed.faults, fault))
    plain = zip(parsed.documents, values, strict=True)
    documents = tuple(replace(each, value=value) for each, value in plain)
    return Parsed(documents, parsed.faults, sealed=True)


def _parse(path: str, data: bytes, limits: ReadLimits) -> Parsed:
    read = json.parse if path.endswith(".json") else yaml.parse
    return read(data, limits)


def unreadable(data: bytes, limits: ReadLimits) -> tuple[str, str] | None:
    """Return a message and a hint why the bytes cannot be a manifest, or `None`."""
    if len(data) > limits.file_bytes:
        return f"the file has {len(data)} bytes, and at most {limits.file_bytes} are read", ""
    if data.startswith(_LFS_POINTER):
        return "the file is a Git LFS pointer, not the file itself", "keep manifests out of LFS"
    return None


class FileReader:
    """Reads the files of a build (see `kustomize.build.Reader`)."""

    def __init__(self, limits: ReadLimits, keys: AgeKeys) -> None:
        self._limits = limits
        self._keys = keys

    def objects(self, path: str, data: bytes) -> Iterator[Written]:
        """Yield the objects of a manifest; raises `Bad`."""
        for document in self._documents(path, data):
            for item in unwrap(document):
                place = Place(path, item.line, item.column, document.index, item.within)
                yield Written(item.value, place)

    def patches(self, path: str, data: bytes) -> Iterator[Written]:
        """Yield the documents of a patch as they are; raises `Bad`."""
        for document in self._documents(path, data):
            place = Place(path, document.line, document.column, document.index)
            yield Written(document.value, place)

    def plain(self, path: str, data: bytes) -> bytes:
        """Return the bytes of a file that a generator takes in; raises `Bad`."""
        if (reason := unreadable(data, self._limits)) is not None:
            raise Bad(Problem(path, 1, 1, "", *reason))
        try:
            return plain_text(path, data, self._keys)
        except Sealed as error:
            raise Bad(Problem(path, 1, 1, "", str(error))) from error

    def _documents(self, path: str, data: bytes) -> tuple[Document, ...]:
        parsed = parse(path, self.plain(path, data), self._limits, self._keys)
        if parsed.faults:
            fault = parsed.faults[0]
            raise Bad(Problem(path, fault.line, fault.column, "", fault.message))
        for document in parsed.documents:
            if not isinstance(document.value, dict | list):
                place = (path, document.line, document.column)
                raise Bad(Problem(*place, "", "expected a mapping"))
        return parsed.documents


def unwrap(document: Document) -> Iterator[Item]:
    """Yield the objects of a document: itself, or the items of a List."""
    places = document.items
    start = (document.line, document.column)
    for within, value in _flatten(document.value, ""):
        index = within.partition("[")[2].partition("]")[0]
        place = places[int(index)] if index and int(index) < len(places) else start
        yield Item(value, document, within, *place)


def _flatten(value: Any, within: str) -> Iterator[tuple[str, Any]]:
    item_kind = _list_of(value)
    if item_kind is None:
        yield within, value
        return
    for index, item in enumerate(value["items"]):
        path = join(within, f"items[{index}]")
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


def join(within: str, path: str) -> str:
    """Return a field's path in a document from the path of its object and its own."""
    if not within or not path:
        return within or path
    return f"{within}.{path}"
