"""What a plan may ask for: values only, made by the planner, performed by `execute.py` alone.

The command line prints them. No action holds anything that changes after it was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.sync.fields import FieldChange

Propagation = Literal["Background", "Orphan"]


class Origin(NamedTuple):
    """The place in the source that asks for an object: path from its root, and line from 1."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Create:
    """There is no such object: make it. `digest` is the content hash of the declaration.

    `drift` says that it was there under the same declaration, and somebody deleted it. `admitted`
    is what admission made of `manifest`.
    """

    key: ObjectKey
    origin: Origin
    digest: str
    drift: bool
    manifest: Mapping[str, Any] = field(repr=False)
    admitted: KubeObject | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Apply:
    """The object is ours and differs: bring `changes` about.

    No changes at all means that only the ownership of fields changes hands. `drift` says that
    somebody else changed the object while its declaration stayed the same, `revive` that it was
    retired: what rests runs again.
    """

    key: ObjectKey
    origin: Origin
    digest: str
    changes: tuple[FieldChange, ...]
    drift: bool
    manifest: Mapping[str, Any] = field(repr=False)
    revive: bool = False


@dataclass(frozen=True, slots=True)
class Adopt:
    """The object exists but is not ours: take it over.

    `former` is the source that had it, "" when it was made by hand or by the system; `revive` says
    that it was retired.
    """

    key: ObjectKey
    origin: Origin
    digest: str
    changes: tuple[FieldChange, ...]
    former: str
    manifest: Mapping[str, Any] = field(repr=False)
    revive: bool = False


@dataclass(frozen=True, slots=True)
class Replace:
    """`changes` touch what Kubernetes lets nobody change: delete this incarnation.

    The next plan waits until it is gone, the one after creates it anew.
    """

    key: ObjectKey
    origin: Origin
    uid: str
    changes: tuple[FieldChange, ...]
    drift: bool


@dataclass(frozen=True, slots=True)
class Retire:
    """The source no longer declares the object: let it rest, to be removed at `until`.

    Its pods stop; declared again, or undeleted, it goes on as it was.
    """

    key: ObjectKey
    uid: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Prune:
    """The source no longer declares the object: delete this incarnation.

    `Background` takes its dependents along, `Orphan` leaves them. `first` says that a declared
    object needs something this one holds (a node port), so that it goes before anything is applied.
    """

    key: ObjectKey
    uid: str
    propagation: Propagation
    first: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """The source no longer declares an object that may not go: give up its fields, leave it."""

    key: ObjectKey


@dataclass(frozen=True, slots=True)
class Await:
    """The declared object cannot be written before something is gone; `reason` says what."""

    key: ObjectKey
    origin: Origin
    reason: str


Write = Create | Apply | Adopt
"""What applies a manifest."""
End = Retire | Prune | Release
Action = Create | Apply | Adopt | Replace | Retire | Prune | Release | Await


def starts(action: Write) -> bool:
    """Return whether an action on a pod starts a container: of a new one, or of another image."""
    if isinstance(action, Create):
        return True
    return any(change.path.endswith(".image") for change in action.changes)
