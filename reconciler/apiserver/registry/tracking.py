"""Ownership of fields around the registry's writes: typed objects here, JSON in `model.ownership`.

Called by the registry. Writes without a manager's name are those of our own controllers: they
create untracked objects, and their status writes are not tracked, which keeps objects small and
those writes cheap. As in Kubernetes, an untracked object stays so until its first apply.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import orjson

from reconciler.model import ownership
from reconciler.model.kinds import Resource
from reconciler.model.meta import KubeObject, ManagedFieldsEntry
from reconciler.model.ownership import Applied, Writer

K = TypeVar("K", bound=KubeObject)

CONTROLLERS = "reconciler"
"""The manager named for spec writes of our own controllers to tracked objects."""

_RESET = (ManagedFieldsEntry(),)


def writer(resource: Resource, manager: str, now: str, subresource: str = "") -> Writer:
    """Return who writes `resource` at `now`, and the root fields that this write cannot set."""
    ignored = ("spec",) if subresource == "status" else ("status",) if resource.status else ()
    return Writer(manager, resource.api_version, now, subresource, ignored)


def created(obj: K, by: Writer) -> K:
    """Return a new, defaulted object with its creator as the owner of its fields."""
    if not by.manager:
        return untracked(obj)
    owners = ownership.update(type(obj), ownership.empty(type(obj)), (), _plain(obj), by)
    return with_owners(obj, owners)


def updated(new: K, old: K, by: Writer) -> K:
    """Return `new` with the owners of `old`, less what `by` took from them.

    `new.metadata.managed_fields` of one empty entry ends the tracking, as in Kubernetes.
    """
    given, present = new.metadata.managed_fields, old.metadata.managed_fields
    if given == _RESET:
        return untracked(new)
    if not present or (not by.manager and by.subresource == "status"):
        return _with_entries(new, present)
    named = by if by.manager else Writer(CONTROLLERS, by.api_version, by.time, by.subresource)
    owners = ownership.decode(present)
    after = ownership.update(type(new), _plain(old), owners, _plain(new), named)
    return _with_entries(new, present) if after is owners else with_owners(new, after)


def applied(
    model: type[KubeObject],
    stored: bytes,
    manifest: Mapping[str, Any],
    by: Writer,
    *,
    force: bool,
) -> Applied:
    """Apply `manifest` to a stored object; raises `ApplyConflict`."""
    live = orjson.loads(stored)
    entries = live["metadata"].pop("managedFields", ())
    owners = ownership.decode(ManagedFieldsEntry.model_validate(entry) for entry in entries)
    return ownership.apply(model, live, owners, manifest, by, force=force)


def with_owners(obj: K, owners: ownership.Owners) -> K:
    """Return `obj` with `owners` as its managedFields."""
    return _with_entries(obj, ownership.encode(owners))


def untracked(obj: K) -> K:
    """Return `obj` without managedFields."""
    return _with_entries(obj, ())


def _with_entries(obj: K, entries: tuple[ManagedFieldsEntry, ...]) -> K:
    if obj.metadata.managed_fields == entries:
        return obj
    return obj.replace(metadata=obj.metadata.replace(managed_fields=entries))


def _plain(obj: KubeObject) -> dict[str, Any]:
    """Return the wire form without managedFields."""
    value = obj.to_dict()
    value["metadata"].pop("managedFields", None)
    return value
