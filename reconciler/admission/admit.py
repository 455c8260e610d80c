"""The one door for outside input: decode, default, validate.

Called by `desired` for manifests and by the registry for request bodies. Pure.
"""

from __future__ import annotations

from typing import Any

from reconciler.admission.create import validate
from reconciler.admission.decode import decode
from reconciler.admission.defaults import apply_defaults
from reconciler.admission.errors import Refused
from reconciler.model import kinds
from reconciler.model.meta import KubeObject


def admit(value: Any) -> KubeObject:
    """Return the object that a plain JSON-like value says, defaulted and valid.

    Raises `Undecodable` or `Refused`, each with all errors of its stage.
    """
    return check(apply_defaults(decode(value)))


def check(obj: KubeObject) -> KubeObject:
    """Return a defaulted object when it is valid; raises `Refused` with all its errors."""
    errors = validate(obj)
    if not errors:
        return obj
    resource = kinds.of_object(obj)
    raise Refused(
        errors,
        group=resource.group,
        version=resource.version,
        kind=resource.kind,
        name=obj.metadata.name,
        namespace=obj.metadata.namespace,
    )
