"""Which object belongs to which source: the annotations that sync reads and writes. Pure.

Called by the planner, the inventory and the command line. The value names the object itself, so
that an object copied with its annotations is in nobody's inventory.
"""

from __future__ import annotations

from reconciler.model.meta import KubeObject, ObjectKey

SOURCE_ANNOTATION = "reconciler.dev/source"
ON_PRUNE_ANNOTATION = "reconciler.dev/on-prune"


def manager_of(source: str) -> str:
    """Return the field manager under which `source` applies (server-side apply's `manager`)."""
    return f"reconciler:{source}"


def identity(source: str, key: ObjectKey) -> str:
    """Return the annotation value that puts the object `key` into the inventory of `source`."""
    return f"{source}/{key.kind}/{key.namespace}/{key.name}"


def source_of(obj: KubeObject, key: ObjectKey | None = None) -> str:
    """Return the source whose inventory holds `obj`, or "" when none does; `key` is its key."""
    value = obj.metadata.annotations.get(SOURCE_ANNOTATION)
    if not value:
        return ""
    source, _, rest = value.partition("/")
    key = key or obj.key
    return source if rest == f"{key.kind}/{key.namespace}/{key.name}" else ""
