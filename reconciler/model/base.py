"""The base of every API type, and how Go's `omitempty` is said in pydantic.

Objects are written with `by_alias` and `exclude_defaults`, which gives Kubernetes' wire form:

* a value field (Go: `bool`, `string`, slice, map with `omitempty`) has its zero value as default
  and vanishes when zero: `host_network: bool = False`, `ports: tuple[Port, ...] = ()`;
* a pointer field is `X | None = None`: zero is kept, absence is `None`;
* a field that is always written (no `omitempty`, or an embedded struct) uses `always(factory)`.

Lists are tuples, so that a decoded object can be shared freely; nobody writes into its maps.
A list's merge behaviour stands beside it: `Annotated[tuple[Port, ...], ListMap("containerPort",
"protocol")]`, `ListSet()`; without a marker a list is atomic (Kubernetes' x-kubernetes-list-type).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self, get_args

from pydantic import BaseModel, ConfigDict, Field

_ACRONYMS = {
    "ip": "IP", "ips": "IPs", "cidr": "CIDR", "cidrs": "CIDRs", "pid": "PID", "ipc": "IPC",
    "id": "ID", "uuid": "UUID", "fqdn": "FQDN", "uri": "URI", "io": "IO", "wwns": "WWNs",
    "tls": "TLS", "api": "API", "urls": "URLs",
}  # fmt: skip


def camel(name: str) -> str:
    """Return the JSON name of a Python field: `pod_cidr` is `podCIDR`, `cluster_ip` `clusterIP`."""
    first, *rest = name.removesuffix("_").split("_")
    return first + "".join(_ACRONYMS.get(word, word.capitalize()) for word in rest)


@dataclass(frozen=True, slots=True)
class ListMap:
    """A list whose items are told apart by the JSON names in `keys`.

    `patch` is False where only server-side apply merges by the keys and strategic merge patch
    replaces the list; `patch_key` is the strategic merge key where it differs from `keys[0]`;
    `retain_keys` says that a patch item replaces an item's other members (strategy `retainKeys`).
    """

    keys: tuple[str, ...]
    patch: bool
    patch_key: str
    retain_keys: bool

    def __init__(
        self, *keys: str, patch: bool = True, patch_key: str = "", retain_keys: bool = False
    ) -> None:
        object.__setattr__(self, "keys", keys)
        object.__setattr__(self, "patch", patch)
        object.__setattr__(self, "patch_key", patch_key or keys[0])
        object.__setattr__(self, "retain_keys", retain_keys)


@dataclass(frozen=True, slots=True)
class PatchOnly:
    """A list that strategic merge patch merges by `key` and server-side apply replaces whole."""

    key: str


@dataclass(frozen=True, slots=True)
class ListSet:
    """A list of distinct scalars that merges as a set; `patch` as in `ListMap`."""

    patch: bool = True


@dataclass(frozen=True, slots=True)
class Atomic:
    """A map that server-side apply replaces whole (x-kubernetes-map-type: atomic).

    A struct that is atomic wherever it stands says so itself: `atomic: ClassVar[bool] = True`.
    """


class EmptyMap(dict[str, Any]):
    """A map that stays empty, shared by all objects that have no such map.

    It can be hashed, so that pydantic does not copy it for every object.
    """

    def __hash__(self) -> int:  # type: ignore[override]
        return 0

    def __setitem__(self, key: str, value: Any) -> None:
        raise TypeError("the models are frozen")


EMPTY: Any = EmptyMap()
"""The default of every map field."""

_assign = object.__setattr__


def always(factory: Callable[[], Any]) -> Any:
    """Declare a field that is written even when it has its zero value.

    A default factory that takes the validated data is never called by `exclude_defaults`, which
    makes pydantic write the field always.
    """
    made: list[Any] = []

    def default(_data: dict[str, Any]) -> Any:
        # One value for all: it is immutable. Made late, because models build late.
        if not made:
            made.append(factory())
        return made[0]

    return Field(default_factory=default)


def unset() -> Any:
    """Declare an optional field that is written as `null` when absent, as Go writes a zero Time."""
    return always(lambda: None)


class Model(BaseModel):  # noqa: PLW1641 - pydantic gives frozen models their hash
    """A frozen API type with camelCase JSON names; unknown fields and wrong types are errors."""

    atomic: ClassVar[bool] = False
    """Whether server-side apply owns the struct whole (x-kubernetes-map-type: atomic)."""

    often_alike: ClassVar[bool] = False
    """Whether many objects have this struct word for word, so that it pays to look for equals."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=camel,
        populate_by_name=True,
        defer_build=True,
        protected_namespaces=(),
    )

    @classmethod
    def model_rebuild(cls, **how: Any) -> bool | None:
        """Build what the first use of the class needs, the models of its fields before its own.

        pydantic then takes what they have, where it would make the like of it again for every
        class that holds them: that was two thirds of the memory that building all kinds took.
        """
        _unbuilt.discard(cls)
        for field in cls.model_fields.values():
            for part in _models_in(field.annotation):
                if part in _unbuilt:
                    part.model_rebuild(raise_errors=False)
        return super().model_rebuild(**how)

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Note that the class is there, and is built when it is first used."""
        _unbuilt.add(cls)

    def __eq__(self, other: object) -> bool:
        """Compare types and fields, and nothing else of what pydantic looks at: this is hot.

        Leaving defaults out of the wire form compares every struct with its default.
        """
        if self is other:
            return True
        if self.__class__ is not other.__class__:
            return NotImplemented
        return self.__dict__ == other.__dict__

    def to_json(self, *, exclude: set[str] | None = None) -> bytes:
        """Return the wire form as UTF-8 JSON, without the fields (Python names) of `exclude`."""
        return self.__pydantic_serializer__.to_json(
            self, by_alias=True, exclude_defaults=True, exclude=exclude
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the wire form as plain JSON values (lists, not tuples)."""
        dumped: dict[str, Any] = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return dumped

    def replace(self, **changes: Any) -> Self:
        """Return a copy with `changes` (Python field names); values must already be valid.

        Which fields were set by whom is not kept: nothing here asks for it.
        """
        copy = object.__new__(type(self))
        # The four slots that pydantic's own copy fills, without its deep machinery: this is hot.
        _assign(copy, "__dict__", {**self.__dict__, **changes})
        _assign(copy, "__pydantic_fields_set__", self.__pydantic_fields_set__)
        _assign(copy, "__pydantic_extra__", None)
        _assign(copy, "__pydantic_private__", None)
        return copy


_unbuilt: set[type[Model]] = set()


def _models_in(annotation: Any) -> Iterator[type[Model]]:
    """Yield the models that a field's type names, in whatever containers."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
