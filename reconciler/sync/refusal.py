"""Why a revision cannot be followed, in words that name the place to mend. Values only.

Made by the planner and by what is asked before it; `report.py` puts them into a Revision.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    return Refusal(
        key,
        origin,
        "metadata.namespace",
        f'namespaces "{key.namespace}" not found: declare the Namespace in the source, or make it '
        "before",
    )


def place_of(refusal: Refusal) -> tuple[Origin, str, str]:
    """Return what refusals are sorted by."""
    return refusal.origin or Origin("", 0), refusal.path, refusal.message
