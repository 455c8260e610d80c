"""Validation: every rule that an object breaks, in Kubernetes' order and words.

Called by `admit` on create and by the registry on update. Pure; each concept has a module of its
own beside this one, in which a rule is a small function that yields errors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reconciler.admission.errors import Errors, FieldError
from reconciler.model.meta import KubeObject

Rule = Callable[[Any], Errors]
UpdateRule = Callable[[Any, Any], Errors]

CREATE: dict[type[KubeObject], Rule] = {}
UPDATE: dict[type[KubeObject], UpdateRule] = {}


def validate(obj: KubeObject) -> tuple[FieldError, ...]:
    """Return what is wrong with a new, defaulted object; nothing when it may be created."""
    rule = CREATE.get(type(obj))
    return tuple(rule(obj)) if rule is not None else ()


def validate_update(new: KubeObject, old: KubeObject) -> tuple[FieldError, ...]:
    """Return what is wrong with `new` as the successor of `old`.

    That is its own faults, and changes of fields that must not change.
    """
    rule = UPDATE.get(type(new))
    return tuple(rule(new, old)) if rule is not None else ()
