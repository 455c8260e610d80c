"""The line of a source that asks for each thing in a plan. Called by `plan` and its view."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.core.errors import ReconcilerError
from reconciler.desired.asked import Asked, Spot
from reconciler.desired.objects import DesiredObject
from reconciler.model.meta import ObjectKey
from reconciler.sync.fields import FieldChange
from reconciler.sync.refusal import Refusal


class Lines:
    """Answers for the objects that one revision declares."""

    def __init__(self, asked: Asked, desired: Mapping[ObjectKey, DesiredObject]) -> None:
        self._asked = asked
        self._desired = desired
        self._known: dict[tuple[ObjectKey, str], Spot] = {}

    def of(self, key: ObjectKey, change: FieldChange) -> Spot | None:
        """Return the line that asks for a changed field; None when nothing declares the object."""
        return self._spot(key, change.path, change.new)

    def at(self, key: ObjectKey, path: str) -> Spot | None:
        """Return the line of a field, of the object itself when `path` is no field of it."""
        return self._spot(key, path)

    def placed(self, refusal: Refusal) -> Refusal:
        """Return a refusal with the line of its field instead of its object's."""
        spot = self._spot(refusal.key, refusal.path) if refusal.key is not None else None
        return refusal.at(spot) if spot is not None else refusal

    def _spot(self, key: ObjectKey, path: str, value: object = None) -> Spot | None:
        wanted = self._desired.get(key)
        if wanted is None:
            return None
        if (key, path) not in self._known:
            try:
                spot = self._asked.spot(wanted, path, value)
            except ReconcilerError:
                spot = Spot(wanted.path, wanted.line)
            self._known[key, path] = spot
        return self._known[key, path]
