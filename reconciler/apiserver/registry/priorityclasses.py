"""PriorityClasses: one default at most, and the system's own that stay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from reconciler.apiserver.registry import errors
from reconciler.apiserver.registry.deletion import DeleteOptions, Verdict
from reconciler.apiserver.registry.strategy import Strategy
from reconciler.model.priorityclass import SYSTEM_CLASSES, PriorityClass, default_priority

Priorities = Callable[[], Sequence[PriorityClass]]

_SYSTEM = frozenset(each.metadata.name for each in SYSTEM_CLASSES)


class PriorityClassStrategy(Strategy[PriorityClass]):
    """The rules of PriorityClasses; `classes` are those that there are."""

    generation = True

    def __init__(self, classes: Priorities) -> None:
        super().__init__(PriorityClass)
        self._classes = classes

    def same_spec(self, new: PriorityClass, old: PriorityClass) -> bool:  # noqa: ARG002
        """Count no generations after the first, as Kubernetes does."""
        return True

    def for_create(self, new: PriorityClass) -> PriorityClass:
        """Refuse a second default (the plug-in Priority)."""
        self._check_default(new)
        return super().for_create(new)

    def for_update(self, new: PriorityClass, old: PriorityClass) -> PriorityClass:
        """Refuse a second default."""
        self._check_default(new)
        return super().for_update(new, old)

    def decide(
        self, obj: PriorityClass, options: DeleteOptions, now: datetime
    ) -> Verdict[PriorityClass]:
        """Refuse to delete the system's classes."""
        name = obj.metadata.name
        if name in _SYSTEM:
            why = "this is a system priority class and cannot be deleted"
            raise errors.forbidden(self.resource, name, why)
        return super().decide(obj, options, now)

    def _check_default(self, new: PriorityClass) -> None:
        default = default_priority(self._classes()) if new.global_default else None
        if default is not None and default.metadata.name != new.metadata.name:
            told = f"PriorityClass {default.metadata.name} is already marked as default."
            why = f"{told} Only one default can exist"
            raise errors.forbidden(self.resource, new.metadata.name, why)
