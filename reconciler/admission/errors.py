"""What is wrong with an object, field by field, in Kubernetes' own words.

Raised by `decode` and `validate`; read by `desired` (which adds file and line), by the registry
and, through `status.py`, by the REST face.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from reconciler.core.errors import ReconcilerError


class Reason(StrEnum):
    """metav1.CauseType: why a field is refused. The last three are the decoder's own."""

    NOT_FOUND = "FieldValueNotFound"
    REQUIRED = "FieldValueRequired"
    DUPLICATE = "FieldValueDuplicate"
    INVALID = "FieldValueInvalid"
    NOT_SUPPORTED = "FieldValueNotSupported"
    FORBIDDEN = "FieldValueForbidden"
    TOO_LONG = "FieldValueTooLong"
    TOO_MANY = "FieldValueTooMany"
    TYPE_INVALID = "FieldValueTypeInvalid"
    INTERNAL = "InternalError"
    UNKNOWN_FIELD = "UnknownField"
    UNKNOWN_KIND = "UnknownKind"
    NOT_ACTED_ON = "NotActedOn"


_WORDS = {
    Reason.NOT_FOUND: "Not found",
    Reason.REQUIRED: "Required value",
    Reason.DUPLICATE: "Duplicate value",
    Reason.INVALID: "Invalid value",
    Reason.NOT_SUPPORTED: "Unsupported value",
    Reason.FORBIDDEN: "Forbidden",
    Reason.TOO_LONG: "Too long",
    Reason.TOO_MANY: "Too many",
    Reason.TYPE_INVALID: "Invalid value",
    Reason.INTERNAL: "Internal error",
}
_WITHOUT_VALUE = frozenset((Reason.REQUIRED, Reason.FORBIDDEN, Reason.TOO_LONG, Reason.INTERNAL))


class GoValue(str):
    """Text that stands for a Go value inside a message and is printed without quotes."""

    __slots__ = ()


OMITTED: Final = GoValue("")


@dataclass(frozen=True, slots=True)
class FieldError:
    """One refusal: the field's path ("spec.containers[0].name"), why, and the value at fault.

    `hint` is advice for people that Kubernetes' message does not have.
    """

    path: str
    reason: Reason
    detail: str = ""
    value: Any = OMITTED
    hint: str = ""

    @property
    def message(self) -> str:
        """The text without the path, as field.Error.ErrorBody makes it."""
        words = _WORDS.get(self.reason)
        if words is None:
            return self.detail
        if self.reason not in _WITHOUT_VALUE and self.value is not OMITTED:
            words = f"{words}: {go_value(self.value)}"
        return f"{words}: {self.detail}" if self.detail else words

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message

    def under(self, prefix: str) -> FieldError:
        """Return the same refusal for an object that is held at `prefix`."""
        return FieldError(f"{prefix}.{self.path}", self.reason, self.detail, self.value, self.hint)


Errors = Iterator[FieldError]
"""What a rule yields: nothing when the object obeys it."""


def required(path: str, detail: str = "") -> FieldError:
    """Return field.Required."""
    return FieldError(path, Reason.REQUIRED, detail)


def invalid(path: str, value: Any, detail: str) -> FieldError:
    """Return field.Invalid."""
    return FieldError(path, Reason.INVALID, detail, value)


def forbidden(path: str, detail: str) -> FieldError:
    """Return field.Forbidden."""
    return FieldError(path, Reason.FORBIDDEN, detail)


def duplicate(path: str, value: Any) -> FieldError:
    """Return field.Duplicate."""
    return FieldError(path, Reason.DUPLICATE, "", value)


def too_many(path: str, count: int, limit: int) -> FieldError:
    """Return field.TooMany."""
    return FieldError(path, Reason.TOO_MANY, f"must have at most {limit} items", count)


def not_found(path: str, value: Any) -> FieldError:
    """Return field.NotFound."""
    return FieldError(path, Reason.NOT_FOUND, "", value)


def not_supported(path: str, value: Any, supported: tuple[str, ...]) -> FieldError:
    """Return field.NotSupported; `supported` is in the order of the message."""
    values = ", ".join(go_quote(item) for item in supported)
    detail = f"supported values: {values}" if supported else ""
    return FieldError(path, Reason.NOT_SUPPORTED, detail, value)


_ESCAPES = {
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
    "\\": "\\\\", '"': '\\"',
}  # fmt: skip


def go_quote(text: str) -> str:
    """Return `text` in quotes as Go's %q prints it."""
    return f'"{"".join(_escape(character) for character in text)}"'


def _escape(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:  # noqa: PLR2004 - ASCII
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - the BMP


def go_value(value: Any) -> str:
    """Return a value as it stands in an error message of Kubernetes."""
    match value:
        case GoValue():
            text = str(value)
        case str():
            text = go_quote(value)
        case None:
            text = '"null"'
        case bool():
            text = str(value).lower()
        case Mapping():
            pairs = (f"{go_quote(str(key))}:{go_value(value[key])}" for key in sorted(value))
            text = f"map[string]string{{{', '.join(pairs)}}}"
        case tuple() | list():
            text = f"[]string{{{', '.join(go_value(item) for item in value)}}}"
        case _:
            text = str(value)
    return text


class AdmissionError(ReconcilerError):
    """The object cannot be admitted. `errors` has every refusal.

    `kind`, `group` and `version` are what the manifest says, empty where it says nothing.
    """

    def __init__(
        self,
        errors: tuple[FieldError, ...],
        *,
        group: str = "",
        version: str = "",
        kind: str = "",
        name: str = "",
        namespace: str = "",
    ) -> None:
        super().__init__(aggregate(errors))
        self.errors = errors
        self.group = group
        self.version = version
        self.kind = kind
        self.name = name
        self.namespace = namespace


class Undecodable(AdmissionError):
    """400 BadRequest: the value is no object of its kind. `wire` is the decoder's message."""

    def __init__(self, errors: tuple[FieldError, ...], wire: str, **identity: str) -> None:
        super().__init__(errors, **identity)
        self.wire = wire


class Refused(AdmissionError):
    """422 Invalid: the object breaks validation rules."""


def aggregate(errors: tuple[FieldError, ...]) -> str:
    """Return the errors as one text, as utilerrors.NewAggregate does: each text once."""
    texts = list(dict.fromkeys(str(error) for error in errors))
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
