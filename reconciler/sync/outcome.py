"""What an apply would make of a live object: the registry's own merge, before it happens. Pure.

Called by the planner for objects not known to be equal. It must say what the registry does, or a
plan would not be empty after its effects: the merge, the defaults and the rules of update are the
very functions that the registry uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from reconciler.admission.decode import decode
from reconciler.admission.defaults import apply_defaults
from reconciler.admission.update import validate_update
from reconciler.model import kinds, ownership
from reconciler.model.meta import KubeObject

# The registry clears and allocates addresses before it validates a Service: only it can tell.
_TOLD_BY_THE_REGISTRY = frozenset(("Service",))


@dataclass(frozen=True, slots=True)
class Impossible:
    """The registry would refuse to make the object `after`; `errors` are (path, message) pairs."""

    errors: tuple[tuple[str, str], ...]
    after: KubeObject


class Predict(Protocol):
    """A function from a live object and an applied manifest to the object that results."""

    def __call__(
        self, live: KubeObject, manifest: Mapping[str, Any], manager: str, /
    ) -> KubeObject | Impossible:
        """Return the object as it would be stored, or why the registry would refuse."""
        ...


def predict(
    live: KubeObject, manifest: Mapping[str, Any], manager: str, /
) -> KubeObject | Impossible:
    """Return what a forced server-side apply of `manifest` makes of `live`; itself when nothing."""
    resource = kinds.of_object(live)
    body = live.to_dict()
    body["metadata"].pop("managedFields", None)
    owners = ownership.decode(live.metadata.managed_fields)
    writer = ownership.Writer(
        manager,
        resource.api_version,
        _last_time(owners, manager),
        ignored=("status",) if resource.status else (),
    )
    applied = ownership.apply(type(live), body, owners, manifest, writer, force=True)
    if not applied.changed:
        return live
    after = apply_defaults(decode(applied.obj))
    entries = ownership.encode(applied.owners)
    after = after.replace(metadata=after.metadata.replace(managed_fields=entries))
    if after == live or live.kind in _TOLD_BY_THE_REGISTRY:
        return after
    errors = validate_update(after, live)
    told = tuple(dict.fromkeys((error.path, error.message) for error in errors))
    return Impossible(told, after) if told else after


def _last_time(owners: ownership.Owners, manager: str) -> str:
    """An apply that changes nothing must not differ by its time."""
    applied = (o.time for o in owners if o.manager == manager and o.operation == "Apply")
    return next(applied, "")
