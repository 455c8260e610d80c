"""`reconciler undelete`: bring back what rests until it is removed, as it was.

What is brought back stays, though no source declares it, until a source declares it again or a
person deletes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from reconciler.cli.api import patch
from reconciler.cli.reading import World, open_world
from reconciler.core.clock import SystemClock
from reconciler.core.errors import ReconcilerError
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.model.retirement import REMOVE_AT, UNDELETED, is_retired
from reconciler.model.time import format_time
from reconciler.settings import Settings
from reconciler.sync.identity import source_of
from reconciler.sync.live import followed_kinds

_PLACES = 2  # namespace and kind


class NotRetired(ReconcilerError):
    """Nothing that rests has the name."""


def run_undelete(
    settings: Settings, console: Console, wanted: Sequence[str], *, everything: bool = False
) -> int:
    """Bring back the objects that `wanted` name, or list what rests when nothing is; return 0.

    A name is [namespace/][Kind/]name; `everything` stands for all. Raises `NotRetired`,
    `DaemonUnreachable`.
    """
    with open_world(settings) as world:
        resting = retired(world)
    if not wanted and not everything:
        for line in lines_of(resting):
            console.print(line, soft_wrap=True)
        return 0
    chosen = resting if everything else chosen_of(resting, wanted)
    notes = {REMOVE_AT: None, UNDELETED: format_time(SystemClock().now())}
    for obj in chosen:
        patch(settings, obj.key, {"metadata": {"annotations": notes}})
        console.print(Text(f"{obj.key} is back; no source declares it"))
    left = [obj for obj in resting if obj not in chosen]
    if left:
        names = ", ".join(str(obj.key) for obj in left)
        console.print(Text(f"still to be removed: {names}"), soft_wrap=True)
    return 0


def retired(world: World) -> list[KubeObject]:
    """Return what rests, ordered by key."""
    found = (obj for model in followed_kinds() for obj in world.all(model) if is_retired(obj))
    return sorted(found, key=lambda obj: obj.key)


def chosen_of(resting: Iterable[KubeObject], wanted: Sequence[str]) -> list[KubeObject]:
    """Return the objects that the names mean, and the namespaces in which they would go with it.

    Raises `NotRetired` for a name that means none.
    """
    every = list(resting)
    chosen: dict[ObjectKey, KubeObject] = {}
    for name in wanted:
        found = [obj for obj in every if _means(name, obj.key)]
        if not found:
            raise NotRetired(f"nothing named {name!r} rests; `reconciler undelete` lists what does")
        chosen |= {obj.key: obj for obj in found}
    homes = {key.namespace for key in chosen}
    chosen |= {o.key: o for o in every if o.kind == "Namespace" and o.metadata.name in homes}
    return [chosen[key] for key in sorted(chosen)]


def lines_of(resting: Sequence[KubeObject]) -> list[Text]:
    """Return a line for each object that rests."""
    if not resting:
        return [Text("nothing rests: all that is no longer declared is removed")]
    return [
        Text(
            f"{obj.key}  of source {source_of(obj)}, is removed at "
            f"{obj.metadata.annotations[REMOVE_AT]}"
        )
        for obj in resting
    ]


def _means(name: str, key: ObjectKey) -> bool:
    """Whether a name means the object; its kind may be in any case, and before the namespace."""
    *place, last = name.split("/")
    kind = key.kind.partition(".")[0].lower()
    namespaces = [part for part in place if part.lower() != kind]
    return last == key.name and len(place) <= _PLACES and namespaces in ([], [key.namespace])
