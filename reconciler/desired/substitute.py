"""Variables in the scalars of one object, and which of its fields then hold a Secret's value. Pure.

Called by `manifest` for each object of a source that asks for it. A value never becomes structure:
whatever is in it, it stays within its scalar. A plain scalar is read again as YAML reads it, so
that `replicas: ${N}` is a number; a quoted one, and one where only text can be, stays a text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.desired.redact import SECRET_FIELDS_ANNOTATION, pointer
from reconciler.desired.scalars import resolve
from reconciler.desired.variables import VariableFault, Variables, expand

SUBSTITUTE_ANNOTATION = "reconciler.dev/substitute"
_OPT_OUT = (SUBSTITUTE_ANNOTATION, "kustomize.toolkit.fluxcd.io/substitute")
_TEXT_ONLY = frozenset(
    (
        "data",
        "stringData",
        "labels",
        "annotations",
        "value",
        "args",
        "command",
        "matchLabels",
        "selector",
        "nodeSelector",
    )
)
_NEVER_SECRET = frozenset(("/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"))
_MAX_EXPANDED = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Faulty:
    """A variable at fault: in the scalar at `path` (in its key when `in_key`), `at` characters in.

    `expression` starts there; it is how the place is found in the file.
    """

    path: str
    at: int
    expression: str
    message: str
    in_key: bool = False


@dataclass(slots=True)
class Substitution:
    """Replaces the variables of one object; `quoted` says whether the scalar at a path is quoted.

    `faults` are what could not be replaced.
    """

    variables: Variables
    quoted: Callable[[str], bool]
    faults: list[Faulty] = field(default_factory=list)
    _secret: set[str] = field(default_factory=set)
    _size: int = 0

    def of(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the object with values in it; the same when it has no variable or opts out."""
        if opted_out(value) or not _has_variable(value):
            return value
        filled: dict[str, Any] = self._mapping(value, "", ())
        if not self._secret or self.faults:
            return filled
        metadata = dict(filled.get("metadata") or {})
        notes = dict(metadata.get("annotations") or {})
        notes[SECRET_FIELDS_ANNOTATION] = ",".join(sorted(self._secret))
        return {**filled, "metadata": {**metadata, "annotations": notes}}

    def _any(self, value: Any, path: str, names: tuple[str, ...]) -> Any:
        match value:
            case str():
                return self._scalar(value, path, names)
            case Mapping():
                return self._mapping(value, path, names)
            case list():
                return [self._any(each, f"{path}[{n}]", names) for n, each in enumerate(value)]
            case _:
                return value

    def _mapping(
        self, value: Mapping[str, Any], path: str, names: tuple[str, ...]
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, each in value.items():
            inside = f"{path}.{key}" if path else key
            name = self._text(key, inside, names, in_key=True) if "${" in key else key
            if name in found:
                self.faults.append(Faulty(inside, 0, key, f"{name!r} is there twice", in_key=True))
            found[name] = self._any(each, inside, (*names, name))
        return found

    def _scalar(self, text: str, path: str, names: tuple[str, ...]) -> Any:
        if "${" not in text:
            return text
        filled = self._text(text, path, names)
        if _TEXT_ONLY.intersection(names[-2:]) or self.quoted(path):
            return filled
        return resolve(filled) if "\n" not in filled else filled

    def _text(self, text: str, path: str, names: tuple[str, ...], *, in_key: bool = False) -> str:
        try:
            expanded = expand(text, self.variables)
        except VariableFault as fault:
            rest = text[fault.at :].partition("\n")[0]
            self.faults.append(Faulty(path, fault.at, rest, fault.message, in_key))
            return text
        self._size += len(expanded.text)
        where = pointer(names)
        if self._size > _MAX_EXPANDED:
            message = f"with its variables the object has more than {_MAX_EXPANDED} characters"
            self.faults.append(Faulty(path, 0, text, message, in_key))
            return text
        if expanded.secret and where in _NEVER_SECRET:
            message = "a value of a Secret may not be part of a kind or name"
            self.faults.append(Faulty(path, 0, text, message, in_key))
        elif expanded.secret:
            self._secret.add(where)
        return expanded.text


def opted_out(value: Mapping[str, Any]) -> bool:
    """Return whether an object says that its text is no template."""
    metadata = value.get("metadata")
    if not isinstance(metadata, Mapping):
        return False
    noted = (metadata.get(name) for name in ("annotations", "labels"))
    found = [each for each in noted if isinstance(each, Mapping)]
    return any(each.get(name) == "disabled" for each in found for name in _OPT_OUT)


def _has_variable(value: Any) -> bool:
    return any("${" in text for text in _texts(value))


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for key, each in value.items():
                yield key
                yield from _texts(each)
        case list():
            for each in value:
                yield from _texts(each)
        case _:
            return
