"""Who set which field: managedFields, and server-side apply by it (Kubernetes' structured merge).

Called by the registry for every tracked write, and by sync to foresee an apply. Pure: JSON values
in and out, the time passed in. Equal input changes nothing, so that it need not be written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

from reconciler.core.errors import ReconcilerError
from reconciler.model import merge
from reconciler.model.fieldset import (
    FieldSet,
    Layout,
    difference,
    intersection,
    layout_of,
    of_manifest,
    paths,
    union,
)
from reconciler.model.meta import KubeObject, ManagedFieldsEntry

BEFORE_FIRST_APPLY = "before-first-apply"

_IDENTITY = ("f:apiVersion", "f:kind")
_SERVER_METADATA = (
    "f:name", "f:namespace", "f:creationTimestamp", "f:selfLink", "f:uid", "f:clusterName",
    "f:generation", "f:managedFields", "f:resourceVersion",
)  # fmt: skip

Operation = Literal["Apply", "Update"]


@dataclass(frozen=True, slots=True)
class Owner:
    """One manager's fields; `time` is its last change, empty when unknown."""

    manager: str
    operation: Operation
    api_version: str
    fields: FieldSet
    time: str = ""
    subresource: str = ""

    @property
    def identity(self) -> tuple[str, str, str]:
        """What tells this owner from others."""
        return (self.manager, self.operation, self.subresource)

    def __str__(self) -> str:
        text = f'"{self.manager}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return f"{text} using {self.api_version}" if self.operation == "Update" else text


Owners = tuple[Owner, ...]


class ApplyConflict(ReconcilerError):
    """Others own fields that an apply would change; `fields` has (owner, path) in order."""

    def __init__(self, fields: Sequence[tuple[str, str]]) -> None:
        super().__init__(_conflict_message(fields))
        self.fields = tuple(fields)


@dataclass(frozen=True, slots=True)
class Applied:
    """The object after an apply, without managedFields, and its owners.

    `changed` is False when both are as they were.
    """

    obj: dict[str, Any]
    owners: Owners
    changed: bool


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, when, and to what: `ignored` are root fields that the write cannot set."""

    manager: str
    api_version: str
    time: str
    subresource: str = ""
    ignored: tuple[str, ...] = ()

    def owner(self, operation: Operation, fields: FieldSet) -> Owner:
        """Return the writer as an owner of `fields`."""
        return Owner(self.manager, operation, self.api_version, fields, self.time, self.subresource)


def apply(
    model: type[KubeObject],
    live: dict[str, Any],
    owners: Owners,
    manifest: Mapping[str, Any],
    writer: Writer,
    *,
    force: bool = False,
) -> Applied:
    """Apply `manifest` to `live` (wire form without managedFields).

    The writer owns exactly the fields of the manifest afterwards; what it alone owned and leaves
    out goes. Raises `ApplyConflict` unless forced.
    """
    layout = layout_of(model)
    if not owners:
        owners = _first_owners(model, live, writer)
    raw = of_manifest(layout, manifest)
    mine = writer.owner("Apply", _stripped(raw, writer.ignored))
    last = next((owner for owner in owners if owner.identity == mine.identity), None)
    others = tuple(owner for owner in owners if owner is not last)
    merged = merge.merge(layout, live, manifest)
    if last is not None and last.fields != mine.fields:
        owned = raw
        for owner in others:
            owned = union(owned, owner.fields)
        left = merge.remove(layout, merged, last.fields, owned)
        # An empty list or struct of the manifest owns nothing, yet it is asked for.
        merged = merge.merge(layout, left, manifest)
    if merged == live:
        return _unchanged(live, owners, others, mine, last)
    others = _yielding(layout, live, merged, others, writer, force=force)
    return Applied(merged, sort((*others, mine) if mine.fields else others), changed=True)


def apply_new(model: type[KubeObject], manifest: Mapping[str, Any], writer: Writer) -> Owners:
    """Return the owners of an object that an apply creates."""
    fields = _stripped(of_manifest(layout_of(model), manifest), writer.ignored)
    return (writer.owner("Apply", fields),) if fields else ()


def update(
    model: type[KubeObject],
    old: dict[str, Any],
    owners: Owners,
    new: dict[str, Any],
    writer: Writer,
) -> Owners:
    """Return the owners after a write that is no apply: it takes every field that it changes."""
    comparison = merge.compare(layout_of(model), old, new)
    changed = _stripped(comparison.changed, writer.ignored)
    removed = _stripped(comparison.removed, writer.ignored)
    if not changed and not removed:
        return owners
    self = writer.owner("Update", changed)
    kept = []
    for owner in owners:
        fields = difference(owner.fields, removed) if removed else owner.fields
        if owner.identity == self.identity:
            self = replace(self, fields=union(fields, changed), time=_later(owner, self, changed))
        elif fields := difference(fields, changed):
            kept.append(owner if fields == owner.fields else replace(owner, fields=fields))
    return sort((*kept, self) if self.fields else kept)


def sort(owners: Iterable[Owner]) -> Owners:
    """Order owners as Kubernetes stores them: appliers first, then by time and name."""
    return tuple(
        sorted(owners, key=lambda o: (o.operation, o.time, o.manager, o.api_version, o.subresource))
    )


def decode(entries: Iterable[ManagedFieldsEntry]) -> Owners:
    """Return the owners that managedFields say."""
    return tuple(
        Owner(
            entry.manager,
            "Apply" if entry.operation == "Apply" else "Update",
            entry.api_version,
            entry.fields_v1 or {},
            entry.time or "",
            entry.subresource,
        )
        for entry in entries
    )


def encode(owners: Owners) -> tuple[ManagedFieldsEntry, ...]:
    """Return owners as managedFields."""
    return tuple([_entry(owner) for owner in owners])


def _entry(owner: Owner) -> ManagedFieldsEntry:
    return _ENTRY.replace(
        manager=owner.manager,
        operation=owner.operation,
        api_version=owner.api_version,
        time=owner.time or None,
        fields_v1=owner.fields,
        subresource=owner.subresource,
    )


_ENTRY = ManagedFieldsEntry.model_construct(fields_type="FieldsV1")


@cache
def empty(model: type[KubeObject]) -> dict[str, Any]:
    """Return the wire form of an object without content: what a new one is compared with."""
    return model.model_construct().to_dict()


def _later(owner: Owner, self: Owner, changed: FieldSet) -> str:
    return self.time if changed else owner.time


def _first_owners(model: type[KubeObject], live: dict[str, Any], writer: Writer) -> Owners:
    """Return who owns an object that nobody tracked so far: an unnamed past."""
    past = Writer(BEFORE_FIRST_APPLY, writer.api_version, writer.time, ignored=writer.ignored)
    return update(model, empty(model), (), live, past)


def _unchanged(
    live: dict[str, Any], owners: Owners, others: Owners, mine: Owner, last: Owner | None
) -> Applied:
    """Return an apply that changes no value: at most the ownership moves, with no new time."""
    if mine.fields == (last.fields if last else {}):
        return Applied(live, owners, changed=False)
    mine = replace(mine, time=last.time if last else "")
    return Applied(live, sort((*others, mine) if mine.fields else others), changed=True)


def _yielding(
    layout: Layout,
    live: dict[str, Any],
    merged: dict[str, Any],
    others: Owners,
    writer: Writer,
    *,
    force: bool,
) -> Owners:
    """Return the other owners without the fields that the apply takes or removes."""
    comparison = merge.compare(layout, live, merged)
    changed = _stripped(comparison.changed, writer.ignored)
    conflicts = [(owner, intersection(owner.fields, changed)) for owner in others]
    if not force and any(fields for _, fields in conflicts):
        named = sorted(((str(o), fields) for o, fields in conflicts), key=lambda pair: pair[0])
        raise ApplyConflict([(name, path) for name, fields in named for path in paths(fields)])
    gone = union(changed, comparison.removed)
    left = (replace(owner, fields=difference(owner.fields, gone)) for owner in others)
    return tuple(owner for owner in left if owner.fields)


def _stripped(fields: FieldSet, ignored: tuple[str, ...]) -> FieldSet:
    """Return the set without the identity, what the server keeps in metadata, and `ignored`."""
    kept = {
        name: node
        for name, node in fields.items()
        if name not in _IDENTITY and name[2:] not in ignored
    }
    meta = kept.pop("f:metadata", None)
    if meta:
        own = {name: node for name, node in meta.items() if name not in (*_SERVER_METADATA, ".")}
        if own:
            kept["f:metadata"] = own
    return kept


def _conflict_message(fields: Sequence[tuple[str, str]]) -> str:
    if len(fields) == 1:
        ((owner, path),) = fields
        return f"Apply failed with 1 conflict: conflict with {owner}: {path}"
    owners = dict.fromkeys(owner for owner, _ in fields)
    parts = [
        "\n".join([f"conflicts with {owner}:", *(f"- {path}" for o, path in fields if o == owner)])
        for owner in owners
    ]
    return f"Apply failed with {len(fields)} conflicts: " + "\n".join(parts)
