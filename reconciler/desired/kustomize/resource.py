"""One object on its way through a build, and the names that it had. Called by the whole room."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from reconciler.core.errors import ReconcilerError
from reconciler.desired.problem import Problem
from reconciler.model import kinds

Json = dict[str, Any]


class Place(NamedTuple):
    """Where an object or a patch is written; line and column count from 1, `document` from 0."""

    path: str
    line: int
    column: int
    document: int = 0
    within: str = ""


class Bad(ReconcilerError):
    """The build cannot be done, for a reason with a place."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Id(NamedTuple):
    """What tells an object from others within a build."""

    api_version: str
    kind: str
    namespace: str
    name: str

    def same(self, other: Id) -> bool:
        """Return whether both name one object: no namespace is the one that is called default."""
        return self.with_default() == other.with_default()

    def with_default(self) -> Id:
        """Return the id with the namespace that an empty one stands for."""
        return self if self.namespace else self._replace(namespace="default")

    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {place}{self.name}"


@dataclass(slots=True)
class Resource:
    """An object, where it comes from, and what it was called before.

    `value` is this build's own copy and may be changed. `patches` are the places that changed it,
    patches and entries of kustomizations, the last one last. `prefixes` and `suffixes` are those
    that its name got, in order.
    """

    value: Json
    place: Place
    former: list[Id] = field(default_factory=list)
    patches: list[Place] = field(default_factory=list)
    prefixes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    hashed: bool = False

    @property
    def id(self) -> Id:
        """The present identity."""
        metadata = self.metadata
        return Id(
            str(self.value.get("apiVersion", "")),
            str(self.value.get("kind", "")),
            str(metadata.get("namespace") or ""),
            str(metadata.get("name") or ""),
        )

    @property
    def metadata(self) -> Json:
        """The metadata; made when it is not there."""
        metadata: Json = self.value.setdefault("metadata", {})
        return metadata

    def pairs(self, name: str) -> Json:
        """Return the labels or annotations; what is no mapping counts as none."""
        found = self.metadata.get(name)
        return found if isinstance(found, dict) else {}

    @property
    def kind(self) -> str:
        """The object's kind."""
        return str(self.value.get("kind", ""))

    @property
    def namespaced(self) -> bool:
        """Whether an object of this kind lives in a namespace; unknown kinds are taken to."""
        known = kinds.by_gvk(str(self.value.get("apiVersion", "")), self.kind)
        return known.namespaced if known is not None else True

    def ids(self) -> Iterator[Id]:
        """Yield the present identity and all former ones."""
        yield self.id
        yield from self.former

    def remember(self) -> None:
        """Keep the present identity as a former one; called before it changes."""
        self.former.append(self.id)


def resource(value: Any, place: Place) -> Resource:
    """Return an object of a build; raises `Bad` when it has no kind or no name."""
    if not isinstance(value, dict):
        raise bad(place, "", "expected an object: a mapping")
    own = copy.deepcopy(value)
    made = Resource(own, place)
    if not isinstance(own.get("metadata"), dict):
        raise bad(place, "metadata", "an object needs metadata: a mapping")
    if not made.kind:
        raise bad(place, "kind", "an object needs a kind")
    if not made.id.name:
        raise bad(place, "metadata.name", "an object needs a name")
    return made


def bad(place: Place, field_path: str, message: str, hint: str = "", name: str = "") -> Bad:
    """Return the error for `message` at a place."""
    return Bad(Problem(place.path, place.line, place.column, field_path, message, hint, name))
