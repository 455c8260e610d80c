"""Validation of an object that differs from a valid one in what the server or its source adds.

Called by the registry for objects that a caller in this process has admitted a moment ago: what is
the very same object, frozen as all are, need not be judged again. Pure.
"""

from __future__ import annotations

from operator import itemgetter

from reconciler.admission.create import validate
from reconciler.admission.errors import FieldError
from reconciler.admission.rules.meta import annotation_map
from reconciler.model.meta import KubeObject, ObjectMeta

# Members that the server sets itself; no rule looks at them when an object is created.
_SERVER = frozenset(
    ("uid", "resource_version", "generation", "creation_timestamp", "self_link", "managed_fields",
     "deletion_timestamp", "deletion_grace_period_seconds")
)  # fmt: skip
_metadata = itemgetter(
    *(name for name in ObjectMeta.model_fields if name not in (*_SERVER, "annotations"))
)


def validate_restated(new: KubeObject, valid: KubeObject) -> tuple[FieldError, ...]:
    """Return what is wrong with `new`, which was made from `valid` by replacing members.

    Annotations are judged alone, what the server sets not at all; anything else that differs
    brings all rules of the kind.
    """
    if not _same_but_metadata(new, valid) or not _same_metadata(new.metadata, valid.metadata):
        return validate(new)
    annotations = new.metadata.annotations
    return tuple(annotation_map(annotations, "metadata.annotations")) if annotations else ()


def _same_but_metadata(new: KubeObject, valid: KubeObject) -> bool:
    if type(new) is not type(valid):
        return False
    known = valid.__dict__
    for name, value in new.__dict__.items():
        if value is not known[name] and name != "metadata":
            return False
    return True


def _same_metadata(new: ObjectMeta, valid: ObjectMeta) -> bool:
    return bool(_metadata(new.__dict__) == _metadata(valid.__dict__))
