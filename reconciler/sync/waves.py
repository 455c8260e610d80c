"""In which order the objects of a revision are written beyond the order of kinds. Pure.

Called by the loop until a revision is applied once; what drifts later is put back at once. A wave
starts when every object of the waves before is written and healthy. Hooks are pods that must
succeed: `pre-apply` before all waves, `post-apply` after them. A namespace waits for nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.desired.objects import DesiredObject
from reconciler.desired.objecttree import instructed
from reconciler.model import kinds
from reconciler.model.meta import ObjectKey
from reconciler.model.pod import Pod
from reconciler.sync.actions import Action, End, Origin, Prune
from reconciler.sync.hooks import HOOK_ANNOTATION, PHASES
from reconciler.sync.refusal import Refusal

WAVE_ANNOTATION = "reconciler.dev/wave"
DEPENDS_ANNOTATION = "reconciler.dev/depends-on"

_FARTHEST = 10_000
_HOOK_WAVES = {"pre-apply": -_FARTHEST - 1, "post-apply": _FARTHEST + 1}


@dataclass(frozen=True, slots=True)
class Order:
    """The waves other than 0, and what waits for what; both empty for most revisions."""

    waves: Mapping[ObjectKey, int] = field(default_factory=dict)
    dependencies: Mapping[ObjectKey, tuple[ObjectKey, ...]] = field(default_factory=dict)

    @property
    def matters(self) -> bool:
        """Whether anything has to wait for anything."""
        return bool(self.waves or self.dependencies)

    def wave(self, key: ObjectKey) -> int:
        """Return the wave of an object."""
        return self.waves.get(key, 0)


def order_of(desired: Mapping[ObjectKey, DesiredObject]) -> Order:
    """Return the order that the annotations ask for; words that mean nothing do not count."""
    waves: dict[ObjectKey, int] = {}
    dependencies: dict[ObjectKey, tuple[ObjectKey, ...]] = {}
    for each in instructed(desired):
        key, notes = each.key, each.obj.metadata.annotations
        if key.kind != "Namespace" and (number := _wave(notes)):
            waves[key] = number
        if text := notes.get(DEPENDS_ANNOTATION):
            dependencies[key] = tuple(_named(text, key.namespace))
    return Order(waves, dependencies)


def split(
    order: Order, actions: Sequence[Action], unhealthy: Collection[ObjectKey]
) -> tuple[tuple[Action, ...], tuple[Action, ...]]:
    """Return the actions whose time has come, and those that wait.

    Deletions come last, but for those that make room.
    """
    if not order.matters:
        return tuple(actions), ()
    writes = [a for a in actions if not isinstance(a, End)]
    unfinished = {a.key for a in writes} | set(unhealthy)
    ordered = [order.wave(key) for key in unfinished if key.kind != "Namespace"]
    lowest = min(ordered, default=0)

    def may(action: Action) -> bool:
        if isinstance(action, Prune) and action.first:
            return True
        key = action.key
        if key.kind == "Namespace" and not isinstance(action, End):
            return True
        if unfinished.intersection(order.dependencies.get(key, ())):
            return False
        return not isinstance(action, End) and order.wave(key) <= lowest

    now = tuple(action for action in actions if may(action))
    later = tuple(action for action in actions if not may(action))
    if not any(not isinstance(a, End) for a in later) and not unhealthy:
        return (*now, *later), ()
    return now, later


def order_refusals(desired: Mapping[ObjectKey, DesiredObject], order: Order) -> list[Refusal]:
    """Return what is wrong with the order that a revision asks for."""
    found = [fault for each in instructed(desired) for fault in _faults(each)]
    for key, needed in order.dependencies.items():
        found += [
            _refuse(desired[key], DEPENDS_ANNOTATION, f"{other} is not declared here")
            for other in needed
            if other not in desired
        ]
    found += [
        _refuse(
            desired[key],
            DEPENDS_ANNOTATION,
            f"{other} is written in a later wave ({order.wave(other)}), which waits for this",
        )
        for key, needed in order.dependencies.items()
        for other in needed
        if other.kind != "Namespace" and order.wave(other) > order.wave(key)
    ]
    found += [
        _refuse(desired[key], DEPENDS_ANNOTATION, "it waits for itself, over other objects")
        for key in order.dependencies
        if _reaches_itself(key, order)
    ]
    return found


def _wave(notes: Mapping[str, str]) -> int:
    hook = _HOOK_WAVES.get(notes.get(HOOK_ANNOTATION, ""))
    if hook is not None:
        return hook
    text = notes.get(WAVE_ANNOTATION, "")
    return int(text) if _is_wave(text) else 0


def _is_wave(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and int(digits) <= _FARTHEST


def _named(text: str, namespace: str) -> Iterator[ObjectKey]:
    for part in text.split(","):
        place, slash, rest = part.strip().partition("/")
        if not slash:
            continue
        kind, second, name = rest.partition("/")
        yield _key(kind, place, name) if second else _key(place, namespace, kind)


def _key(kind: str, namespace: str, name: str) -> ObjectKey:
    """Return the key of an object by its kind, to which its group may be added by a dot."""
    resource = _KINDS.get(kind)
    if resource is None:
        return ObjectKey(kind, namespace, name)
    return ObjectKey(resource.key_kind, namespace if resource.namespaced else "", name)


_KINDS = {r.kind: r for r in reversed(kinds.RESOURCES)} | {r.key_kind: r for r in kinds.RESOURCES}


def _faults(each: DesiredObject) -> Iterator[Refusal]:
    notes = each.obj.metadata.annotations
    text, hook = notes.get(WAVE_ANNOTATION), notes.get(HOOK_ANNOTATION)
    if text is not None and not _is_wave(text):
        yield _refuse(each, WAVE_ANNOTATION, f'"{text}" is not a whole number up to {_FARTHEST}')
    needed = notes.get(DEPENDS_ANNOTATION)
    if needed is not None and any("/" not in part for part in needed.split(",")):
        message = f'"{needed}" is not Kind/name, or namespace/Kind/name'
        yield _refuse(each, DEPENDS_ANNOTATION, message)
    if hook is None:
        return
    if hook not in PHASES:
        yield _refuse(each, HOOK_ANNOTATION, f'"{hook}" is neither pre-apply nor post-apply')
    if not isinstance(each.obj, Pod) or each.obj.spec.restart_policy == "Always":
        yield _refuse(
            each, HOOK_ANNOTATION, "a hook is a Pod whose restartPolicy is Never or OnFailure"
        )


def _refuse(each: DesiredObject, annotation: str, message: str) -> Refusal:
    path = f"metadata.annotations[{annotation}]"
    return Refusal(each.key, Origin(each.path, each.line), path, message)


def _reaches_itself(start: ObjectKey, order: Order) -> bool:
    seen: set[ObjectKey] = set()
    front = list(order.dependencies[start])
    while front:
        key = front.pop()
        if key == start:
            return True
        if key not in seen:
            seen.add(key)
            front.extend(order.dependencies.get(key, ()))
    return False
