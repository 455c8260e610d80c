"""Label and field selectors: the meta/v1 types, the query syntax, and matching. Pure.

Called by controllers (selectors in objects), by the registry and the informers (query strings)
and by validation. Matching is Kubernetes' labels.Selector, in which an empty selector takes all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from reconciler.model.base import EMPTY, Model, always

Operator = Literal["=", "!=", "in", "notin", "exists", "!", "gt", "lt"]


class LabelSelectorRequirement(Model):
    key: str = always(str)
    operator: str = always(str)
    values: tuple[str, ...] = ()


class LabelSelector(Model):
    atomic: ClassVar[bool] = True
    match_labels: dict[str, str] = EMPTY
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


class SelectorError(ValueError):
    """The selector text is not understood; the message is Kubernetes' own."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one key; `values` has one member for `=`, `!=`, `gt` and `lt`."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Say whether `labels` meet the condition; an absent key meets `!=`, `notin` and `!`."""
        value = labels.get(self.key)
        match self.operator:
            case "exists":
                return value is not None
            case "!":
                return value is None
            case "=" | "in":
                return value in self.values
            case "!=" | "notin":
                return value not in self.values
            case "gt" | "lt":
                return value is not None and _ordered(value, self.operator, self.values[0])

    def __str__(self) -> str:
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "in" | "notin":
                return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"
            case "gt" | "lt":
                return f"{self.key}{'>' if self.operator == 'gt' else '<'}{self.values[0]}"
            case "=" | "!=":
                return f"{self.key}{self.operator}{self.values[0]}"


# What Go's ParseInt takes for ten and 64 bits, but for numbers that are too large.
_NUMBER = re.compile(r"[+-]?[0-9]{1,19}")


def _ordered(value: str, operator: Literal["gt", "lt"], bound: str) -> bool:
    if not (_NUMBER.fullmatch(value) and _NUMBER.fullmatch(bound)):
        return False
    return int(value) > int(bound) if operator == "gt" else int(value) < int(bound)


@dataclass(frozen=True, slots=True)
class Selector:
    """A conjunction of requirements; with none it matches everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Say whether `labels` meet every requirement."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


def from_map(labels: Mapping[str, str]) -> Selector:
    """Return the selector of a ReplicationController or Service: each label equal."""
    return Selector(tuple(Requirement(k, "=", (labels[k],)) for k in sorted(labels)))


_FROM_TYPED: dict[str, Operator] = {
    "In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!", "Gt": "gt", "Lt": "lt",
}  # fmt: skip


def from_label_selector(selector: LabelSelector) -> Selector:
    """Return the conjunction of `matchLabels` and `matchExpressions` of a valid selector."""
    expressions = tuple(
        Requirement(item.key, _FROM_TYPED[item.operator], item.values)
        for item in selector.match_expressions
    )
    return Selector(from_map(selector.match_labels).requirements + expressions)


def matches_label_selector(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    """Match as LabelSelectorAsSelector does: absent matches nothing, empty matches everything."""
    return selector is not None and from_label_selector(selector).matches(labels)


_TOKEN = re.compile(r"\s*(?:(==|!=|[=!<>(),])|([^\s=!<>(),]+))|\s+$")
_END = ""
_PUNCTUATION = ("(", ")", ",", "=", "==", "!=", "<", ">")


class _Parser:
    """Recursive descent over labels.Parse's grammar."""

    def __init__(self, text: str) -> None:
        self._tokens = [m[1] or m[2] for m in _TOKEN.finditer(text) if m[1] or m[2]]
        self._position = 0

    def parse(self) -> Selector:
        requirements: list[Requirement] = []
        while self._peek() != _END:
            requirements.append(self._wrapped())
            if self._peek() == _END:
                break
            if self._take() != ",":
                found = self._tokens[self._position - 1]
                raise SelectorError(f"found '{found}', expected: ',' or 'end of string'")
            if self._peek() in (_END, ","):
                raise SelectorError(f"found '{self._peek()}', expected: identifier after ','")
        return Selector(tuple(sorted(requirements, key=lambda item: item.key)))

    def _wrapped(self) -> Requirement:
        """Return the next requirement, with the words that tell what could not be read."""
        if self._peek() in _PUNCTUATION:
            expected = "!, identifier, or 'end of string'"
            raise SelectorError(f"found '{self._peek()}', expected: {expected}")
        try:
            return self._requirement()
        except SelectorError as error:
            raise SelectorError(f"unable to parse requirement: {error}") from error

    def _peek(self) -> str:
        return self._tokens[self._position] if self._position < len(self._tokens) else _END

    def _take(self) -> str:
        token = self._peek()
        self._position += 1
        return token

    def _expect(self, token: str, description: str) -> None:
        found = self._take()
        if found != token:
            raise SelectorError(f"found '{found}', expected: {description}")

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._take()
            return Requirement(self._identifier(), "!")
        key = self._identifier()
        if self._peek() in (_END, ","):
            return Requirement(key, "exists")
        operator = self._take()
        match operator:
            case "in" | "notin":
                return Requirement(key, operator, self._values())
            case "=" | "==":
                return Requirement(key, "=", (self._value(),))
            case "!=":
                return Requirement(key, "!=", (self._value(),))
            case ">" | "<":
                return self._comparison(key, "gt" if operator == ">" else "lt")
        raise SelectorError(f"found '{operator}', expected: in, notin, =, ==, !=, gt, lt")

    def _identifier(self) -> str:
        token = self._take()
        if token in (_END, "(", ")", ",", "=", "==", "!=", "!", "<", ">"):
            raise SelectorError(f"found '{token}', expected: identifier")
        return token

    def _value(self) -> str:
        """Return an exact value, which may be empty."""
        return "" if self._peek() in (_END, ",") else self._identifier()

    def _comparison(self, key: str, operator: Literal["gt", "lt"]) -> Requirement:
        value = self._value()
        if not re.fullmatch(r"[+-]?[0-9]+", value):
            raise SelectorError(
                f"values[0]: Invalid value: \"{value}\": for 'Gt', 'Lt' operators, the value must be an integer"
            )
        return Requirement(key, operator, (value,))

    def _values(self) -> tuple[str, ...]:
        found = self._take()
        if found != "(":
            raise SelectorError(f"found '{found}' expected: '('")
        if self._peek() == _END:
            raise SelectorError("found '', expected: ',', ')' or identifier")
        values = {self._set_value()}
        while self._peek() == ",":
            self._take()
            values.add(self._set_value())
        self._expect(")", "',' or ')'")
        return tuple(sorted(values))

    def _set_value(self) -> str:
        return "" if self._peek() in (",", ")") else self._identifier()


def parse(text: str) -> Selector:
    """Parse a `labelSelector` query value, sorted by key; raises `SelectorError`.

    Syntax only: keys and values are checked by `admission`, which knows the rules of labels.
    """
    return _Parser(text).parse()


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """One condition on a field path: equal, or not equal."""

    path: str
    value: str
    equal: bool = True


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """A conjunction of conditions on fields, as fields.ParseSelector reads it."""

    terms: tuple[FieldTerm, ...] = ()

    def matches(self, read: Callable[[str], str]) -> bool:
        """Say whether the values that `read` gives for each path meet every condition."""
        return all((read(term.path) == term.value) == term.equal for term in self.terms)


_ESCAPED = re.compile(r"\\([\\,=])")
_UNESCAPED_COMMA = re.compile(r"((?:\\.|[^\\,])*)(?:,|$)")
_FIELD_TERM = re.compile(r"((?:\\.|[^\\=!])*)(==|!=|=)(.*)", re.DOTALL)


def parse_fields(text: str) -> FieldSelector:
    r"""Parse a `fieldSelector` query value; `\\`, `\,` and `\=` are escapes.

    Raises `SelectorError`.
    """
    terms = []
    for part in filter(None, _UNESCAPED_COMMA.findall(text)):
        match = _FIELD_TERM.fullmatch(part)
        if match is None:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{part}'")
        path, operator, value = match.groups()
        terms.append(FieldTerm(path, _ESCAPED.sub(r"\1", value), operator != "!="))
    return FieldSelector(tuple(terms))
