"""Whether a change of a live object can concern what its source declares. Pure.

Called by the loop for each event, to leave status updates (most of all events) unplanned.
"""

from __future__ import annotations

from reconciler.model.meta import KubeObject

_META = ("labels", "annotations", "finalizers", "owner_references", "deletion_timestamp")


def same_declaration(old: KubeObject, new: KubeObject) -> bool:
    """Return whether two states differ at most in status, version and other managers' records."""
    if old.metadata.uid != new.metadata.uid:
        return False
    if any(getattr(old.metadata, name) != getattr(new.metadata, name) for name in _META):
        return False
    names = type(old).model_fields.keys() - {"status", "metadata"}
    return all(getattr(old, name) == getattr(new, name) for name in names)
