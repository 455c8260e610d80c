"""ConfigMaps and Secrets that a kustomization generates from files, env files, literals. Pure."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from reconciler.desired.kustomize.resource import Json, Place, Resource, bad

Read = Callable[[str], bytes]
_LINE = 70
_BYTE_ORDER_MARK = "\ufeff"


class _Wrong(ValueError):
    """An entry of a generator cannot be read."""


def generate(
    kind: str, entry: Mapping[str, Any], options: Mapping[str, Any], place: Place, read: Read
) -> Resource:
    """Return the object that one entry of `configMapGenerator` or `secretGenerator` describes.

    `options` are the kustomization's `generatorOptions`; the entry's own are stronger. `read`
    gives a file's bytes by the path that the entry has.
    """
    own = entry.get("options") or {}
    metadata: Json = {"name": entry["name"]}
    if entry.get("namespace"):
        metadata["namespace"] = entry["namespace"]
    for name in ("labels", "annotations"):
        if merged := {**(options.get(name) or {}), **(own.get(name) or {})}:
            metadata[name] = merged
    value: Json = {"apiVersion": "v1", "kind": kind, "metadata": metadata}
    try:
        pairs = dict(_pairs(entry, read))
    except _Wrong as error:
        raise bad(place, "", str(error), name=f"{kind} {entry['name']}") from error
    if kind == "Secret":
        value["type"] = entry.get("type") or "Opaque"
        value["data"] = {key: encoded(data) for key, data in pairs.items()}
    else:
        value |= _config_data(pairs)
    if own.get("immutable") or options.get("immutable"):
        value["immutable"] = True
    plain = own.get("disableNameSuffixHash") or options.get("disableNameSuffixHash")
    return Resource(value, place, hashed=not plain)


def _config_data(pairs: Mapping[str, bytes]) -> Json:
    text: dict[str, str] = {}
    binary: dict[str, str] = {}
    for key, data in pairs.items():
        try:
            text[key] = data.decode()
        except UnicodeDecodeError:
            binary[key] = encoded(data)
    return ({"data": text} if text else {}) | ({"binaryData": binary} if binary else {})


def encoded(data: bytes) -> str:
    """Return base64 in lines of 70, as kustomize writes and hashes it."""
    text = base64.b64encode(data).decode()
    if len(text) < _LINE:
        return text
    return "".join(f"{text[at : at + _LINE]}\n" for at in range(0, len(text), _LINE))


def _pairs(entry: Mapping[str, Any], read: Read) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    for key, data in _all_pairs(entry, read):
        if key in seen:
            raise _Wrong(f"key {key} is given twice")
        seen.add(key)
        yield key, data


def _all_pairs(entry: Mapping[str, Any], read: Read) -> Iterator[tuple[str, bytes]]:
    envs = [*([entry["env"]] if entry.get("env") else []), *(entry.get("envs") or ())]
    for path in envs:
        yield from _env_file(read(path), path)
    for literal in entry.get("literals") or ():
        yield _literal(str(literal))
    for each in entry.get("files") or ():
        key, path = file_source(each)
        yield key, read(path)


def file_source(text: str) -> tuple[str, str]:
    """Return key and path of an entry of `files`: "key=path", or a path with its last part."""
    key, separator, path = text.partition("=")
    if not separator:
        return text.rsplit("/", 1)[-1], text
    if not key or not path or "=" in path:
        raise _Wrong(f"{text!r}: expected a path, or KEY=PATH")
    return key, path


def _literal(text: str) -> tuple[str, bytes]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise _Wrong("a literal is KEY=VALUE")
    quote = value[:1]
    if len(value) > 1 and quote in "\"'" and value.endswith(quote):
        value = value[1:-1]
    return key, value.encode()


def _env_file(data: bytes, path: str) -> Iterator[tuple[str, bytes]]:
    try:
        text = data.decode().removeprefix(_BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        raise _Wrong(f"{path} is not UTF-8") from error
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.lstrip().removesuffix("\r")
        if not stripped or stripped.startswith("#"):
            continue
        key, separator, value = stripped.partition("=")
        if not separator or not key:
            raise _Wrong(f"{path}:{number}: expected KEY=VALUE")
        yield key, value.encode()


def absorb(old: Resource, new: Resource, behavior: str) -> None:
    """Make `new` take the place of `old`: its data alone, or merged over the old one's.

    Its name gets a hash only when the old one's would have got one.
    """
    for name in ("labels", "annotations"):
        merged = {**old.pairs(name), **new.pairs(name)}
        if merged:
            new.metadata[name] = merged
    new.metadata["name"] = old.metadata["name"]
    if old.metadata.get("namespace"):
        new.metadata["namespace"] = old.metadata["namespace"]
    new.former, new.prefixes, new.suffixes = old.former, old.prefixes, old.suffixes
    new.hashed = new.hashed and old.hashed
    new.patches = [*old.patches, new.place]
    if behavior == "merge":
        for name in ("data", "binaryData"):
            before = old.value.get(name)
            merged = {**(before if isinstance(before, dict) else {}), **new.value.get(name, {})}
            if merged:
                new.value[name] = merged
