"""Why a revision cannot be followed, in words that name the place to mend. Values only.

Made by the planner and by what is asked before it; `report.py` puts them into a Revision.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from reconciler.core.errors import ReconcilerError
from reconciler.desired.asked import Spot
from reconciler.desired.objects import DesiredObject
from reconciler.model.meta import ObjectKey
from reconciler.sync.actions import Origin
from reconciler.sync.rivals import Rival


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the declaration cannot be followed; one of these rejects the revision whole.

    `origin` is None when it is about the tree and not about one object.
    """

    key: ObjectKey | None
    origin: Origin | None
    path: str
    message: str

    def at(self, spot: Spot) -> Refusal:
        """Return the same with another place to mend."""
        return replace(self, origin=Origin(spot.path, spot.line))


Locate = Callable[[str, DesiredObject, str], Awaitable[Spot]]
"""Finds the line of a revision that asks for a field of an object; raises `ReconcilerError`."""

_PLACED = 20


async def placed(
    refusals: Sequence[Refusal],
    revision: str,
    desired: Mapping[ObjectKey, DesiredObject],
    locate: Locate,
) -> list[Refusal]:
    """Return the refusals, the first ones of them with the line of the field that is at fault."""
    found = list(refusals)
    for number, each in enumerate(found[:_PLACED]):
        wanted = desired.get(each.key) if each.key is not None else None
        if wanted is None or not each.path:
            continue
        with suppress(ReconcilerError):  # then the object's own line has to do
            found[number] = each.at(await locate(revision, wanted, each.path))
    return found


def empty_tree(owned: int) -> Refusal:
    """Return why a tree without any object is not followed."""
    return Refusal(
        None,
        None,
        "",
        f"the source declares no object at all while {owned} came from it: an empty tree prunes "
        "nothing; to remove the last object, leave another (a Namespace) declared",
    )


def conflict(rival: Rival) -> str:
    """Return why an object that another source keeps cannot be declared."""
    where = f"at {rival.place}" if rival.place else "and that was not read yet"
    return (
        f'belongs to source "{rival.source}", which declares it {where}: the first keeps it; '
        "declare it in one source alone"
    )


def homeless(key: ObjectKey, origin: Origin) -> Refusal:
    """Return why an object cannot be made whose namespace is not there, nor declared."""
    text = (
        f'namespaces "{key.namespace}" not found: declare the Namespace in the source, or make it '
    )
    return _nowhere(key, origin, text + "before")


def resting_home(key: ObjectKey, origin: Origin) -> Refusal:
    """Return why an object cannot be made in a namespace that rests until it is removed."""
    text = f'namespace "{key.namespace}" is declared no more and about to be removed: declare it '
    return _nowhere(key, origin, f"{text}again, or `reconciler undelete Namespace/{key.namespace}`")


def _nowhere(key: ObjectKey, origin: Origin, why: str) -> Refusal:
    return Refusal(key, origin, "metadata.namespace", why)


def place_of(refusal: Refusal) -> tuple[Origin, str, str]:
    """Return what refusals are sorted by."""
    return refusal.origin or Origin("", 0), refusal.path, refusal.message
