"""What becomes of one object because of its owners and dependents. Pure.

Called by `loop.py`, which has asked the API for the object and for each owner. The rules are
Kubernetes' garbage collector's: an object whose owners are all gone is deleted; one that still has
an owner only loses the references to those that are gone; an owner that is deleted in the
foreground waits for the dependents that block it, one that orphans waits until they are released.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from reconciler.client.protocol import Propagation
from reconciler.model.meta import KubeObject, ObjectMeta, OwnerReference

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"


class Owner(Enum):
    """What the API says of an owner: there, gone for good, or waiting for its dependents."""

    SOLID = "solid"
    GONE = "gone"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the object itself."""

    propagation: Propagation


@dataclass(frozen=True, slots=True)
class KeepOwners:
    """Write these owner references to `object`, fewer or weaker than it has."""

    object: KubeObject
    owners: tuple[OwnerReference, ...]


@dataclass(frozen=True, slots=True)
class DropFinalizer:
    """Take a finalizer of the garbage collector off the object: what it waited for is done."""

    finalizer: str


@dataclass(frozen=True, slots=True)
class Visit:
    """Look at a dependent: its owner waits for it."""

    dependent: KubeObject


GarbageAction = Delete | KeepOwners | DropFinalizer | Visit


def waits_for_dependents(metadata: ObjectMeta) -> bool:
    """Say whether the object is being deleted in the foreground."""
    return metadata.deletion_timestamp is not None and FOREGROUND in metadata.finalizers


def plan(
    obj: KubeObject, owners: Mapping[str, Owner], dependents: Sequence[KubeObject]
) -> tuple[GarbageAction, ...]:
    """Return what to do about `obj`; `owners` has the state of each owner by uid."""
    if obj.metadata.deletion_timestamp is not None:
        return _being_deleted(obj, dependents)
    gone = {uid for uid, owner in owners.items() if owner is not Owner.SOLID}
    if not gone:
        return ()
    references = obj.metadata.owner_references
    if len(gone) < len(references):
        return (KeepOwners(obj, tuple(ref for ref in references if ref.uid not in gone)),)
    if dependents and Owner.WAITING in owners.values():
        return (*_unblock_cycle(obj, dependents), Delete("Foreground"))
    return (Delete(_policy(obj)),)


def _policy(obj: KubeObject) -> Propagation:
    if ORPHAN in obj.metadata.finalizers:
        return "Orphan"
    return "Foreground" if FOREGROUND in obj.metadata.finalizers else "Background"


def _being_deleted(obj: KubeObject, dependents: Sequence[KubeObject]) -> tuple[GarbageAction, ...]:
    uid, finalizers = obj.metadata.uid, obj.metadata.finalizers
    if ORPHAN in finalizers:
        releases = [KeepOwners(item, without(item, uid)) for item in dependents]
        return (*releases, *(() if releases else (DropFinalizer(ORPHAN),)))
    if FOREGROUND in finalizers:
        if not any(_blocks(item, uid) for item in dependents):
            return (DropFinalizer(FOREGROUND),)
        return tuple(Visit(item) for item in dependents)
    return ()


def without(dependent: KubeObject, uid: str) -> tuple[OwnerReference, ...]:
    """Return the owner references of `dependent` but for the one to `uid`."""
    return tuple(ref for ref in dependent.metadata.owner_references if ref.uid != uid)


def _blocks(dependent: KubeObject, uid: str) -> bool:
    references = dependent.metadata.owner_references
    return any(ref.uid == uid and ref.block_owner_deletion for ref in references)


def _unblock_cycle(obj: KubeObject, dependents: Sequence[KubeObject]) -> tuple[GarbageAction, ...]:
    """Let a circle of owners end: do not block owners when a dependent waits for us in turn."""
    if not any(waits_for_dependents(item.metadata) for item in dependents):
        return ()
    owners = tuple(
        ref.replace(block_owner_deletion=False) if ref.block_owner_deletion else ref
        for ref in obj.metadata.owner_references
    )
    return (KeepOwners(obj, owners),) if owners != obj.metadata.owner_references else ()
