"""What an apply would make of a live object: the registry's own merge, before it happens. Pure.

Called by the planner for objects not known to be equal. It must say what the registry does, or a
plan would not be empty after its effects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from reconciler.model.meta import KubeObject


class Predict(Protocol):
    """A function from a live object and an applied manifest to the object that results."""

    def __call__(
        self, live: KubeObject, manifest: Mapping[str, Any], manager: str
    ) -> KubeObject | Impossible:
        """Return the object as it would be stored, or why the registry would refuse."""
        ...


class Impossible:
    """The registry would refuse the change; `errors` are (field path, message) pairs."""

    def __init__(self, errors: tuple[tuple[str, str], ...], after: KubeObject) -> None:
        self.errors = errors
        self.after = after
