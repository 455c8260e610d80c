"""Metadata that the server owns: uid, creation time, generation, names. Pure.

Called by the registry before each write: Kubernetes' rest.BeforeCreate and rest.BeforeUpdate.
"""

from __future__ import annotations

from reconciler.model.meta import ObjectMeta

_LONGEST_BASE = 58  # 63 characters of a label less the 5 random ones


def generated_name(base: str, suffix: str) -> str:
    """Return `generateName` with its random tail, cut so that the whole fits a label."""
    return base[:_LONGEST_BASE] + suffix


def for_create(meta: ObjectMeta, *, name: str, uid: str, now: str, generation: int) -> ObjectMeta:
    """Return what a new object carries, whatever its creator wrote into the server's fields."""
    return meta.replace(
        name=name,
        uid=uid,
        creation_timestamp=now,
        resource_version="",
        self_link="",
        deletion_timestamp=None,
        deletion_grace_period_seconds=None,
        generation=generation or meta.generation,
    )


def for_update(new: ObjectMeta, old: ObjectMeta) -> ObjectMeta:
    """Return `new` with the fields that no client changes taken from `old`."""
    return new.replace(
        uid=old.uid,
        generate_name=old.generate_name,
        creation_timestamp=old.creation_timestamp,
        resource_version=old.resource_version,
        self_link=old.self_link,
        deletion_timestamp=old.deletion_timestamp,
        deletion_grace_period_seconds=old.deletion_grace_period_seconds,
        generation=old.generation,
    )
