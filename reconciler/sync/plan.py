"""The three-way planner: declared objects, live objects, last applied fields → actions. Pure.

Called by the loop and by `reconciler plan`. It reads nothing but its arguments and never waits.
"Last applied" is what managedFields records for the source's manager; `outcome.py` merges by it.
Nothing outside the inventory of the source is ever pruned, and nothing is pruned when the source
declares nothing at all (law 4).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from reconciler.core.derived import difference
from reconciler.desired.objects import DesiredObject
from reconciler.desired.redact import secret_fields
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.model.retirement import is_retired
from reconciler.model.time import parse_time
from reconciler.sync.actions import (
    Action,
    Adopt,
    Apply,
    Await,
    Create,
    Origin,
    Prune,
    Release,
    Replace,
    Retire,
)
from reconciler.sync.allocation import ServiceRanges, unavailable
from reconciler.sync.blame import owner_of
from reconciler.sync.claims import urgent
from reconciler.sync.ending import end_of, rest_left, revival
from reconciler.sync.fields import (
    ABSENT,
    FieldChange,
    changed_fields,
    path_of,
    redacted,
    without_values,
)
from reconciler.sync.hooks import RUN_PATH, ran_for_another
from reconciler.sync.identity import manager_of, source_of
from reconciler.sync.leeway import (
    break_glass,
    drift_mode,
    ignored_pointers,
    stays,
    with_live_values,
)
from reconciler.sync.manifest import applied_manifest, applied_object
from reconciler.sync.order import rank
from reconciler.sync.outcome import Impossible, Predict
from reconciler.sync.refusal import (
    Refusal,
    conflict,
    empty_tree,
    homeless,
    place_of,
    resting_home,
)
from reconciler.sync.rivals import Rival

_IMMORTAL = frozenset(("default", "kube-system", "kube-public", "kube-node-lease"))
_REPLACEABLE = frozenset(("Pod", "ConfigMap", "Secret"))
_AWAITED_AGAIN = 10.0
"""Seconds after which an object is looked at again that only a waiting revision declares."""


def _nobody(_: ObjectKey) -> Rival | None:
    return None


def _nowhere(_: ObjectKey) -> str:
    return ""


class Clean(NamedTuple):
    """A declaration (content hash) known to change nothing at a live resourceVersion."""

    digest: str
    resource_version: str


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a plan depends on.

    `live` has at least every declared key that exists and the whole inventory; `owned` are the
    keys of the inventory; `clean` is what earlier plans learned, and may be empty. `settled` are
    declarations that were followed wholly before: the caller vouches for what they share with
    `desired`, so that only the differences need a look; None when there are none.
    `rival` tells which other source keeps an object, `heir` which one it goes to when this one
    lets it go ("" for none). `awaited` is what a newer revision declares that waits to be followed:
    it stays, whoever made it. `prunes` says whether what is no longer declared is deleted at all;
    `ending` that the source itself is deleted, so that nothing declared is meant. `keep` is for
    how many seconds objects rest that are declared no more, unless they were made since `undoes`,
    the beginning of a failed revision; `rest` tells for how many one that is retired still does.
    `ranges` are what services are given from: None asks of no service whether it can have what it
    names.
    """

    source: str
    desired: Mapping[ObjectKey, DesiredObject]
    live: Mapping[ObjectKey, KubeObject]
    owned: Collection[ObjectKey]
    predict: Predict
    clean: Mapping[ObjectKey, Clean] = field(default_factory=dict)
    settled: Mapping[ObjectKey, DesiredObject] | None = None
    now: datetime | None = None
    rival: Callable[[ObjectKey], Rival | None] = _nobody
    heir: Callable[[ObjectKey], str] = _nowhere
    awaited: Container[ObjectKey] = ()
    prunes: bool = True
    ending: bool = False
    keep: float = 0.0
    undoes: datetime | None = None
    rest: Callable[[KubeObject, datetime], float | None] = rest_left
    ranges: ServiceRanges | None = None


@dataclass(frozen=True, slots=True)
class Tolerated:
    """A difference that is left as it is, because `mode` says so.

    `until` is when it no longer is: the end of a break-glass override.
    """

    key: ObjectKey
    origin: Origin
    changes: tuple[FieldChange, ...]
    mode: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do. Actions stand in the order in which they are performed.

    `clean` are the pairs newly known equal, or left as they are (`tolerated`); `resting` are the
    objects that stay for now, retired or awaited, and for how many seconds yet. `contested` are
    the objects that another source keeps: who, and where this one declares them. With `refusals`
    there are no actions.
    """

    actions: tuple[Action, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    clean: Mapping[ObjectKey, Clean] = field(default_factory=dict)
    tolerated: tuple[Tolerated, ...] = ()
    contested: Mapping[ObjectKey, Rival] = field(default_factory=dict)
    resting: Mapping[ObjectKey, float] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """True when nothing has to be done, nor waited for."""
        return not self.actions and not self.refusals


def plan(situation: Situation, suspects: Iterable[ObjectKey] = ()) -> Plan:
    """Plan every declared object and the whole inventory.

    With `settled` in the situation, `suspects` are the keys that changed since without our doing.
    """
    if not situation.desired and situation.owned and not situation.ending:
        return Plan(refusals=(empty_tree(len(situation.owned)),))
    if situation.settled is not None:
        return plan_keys(situation, {*difference(situation.desired, situation.settled), *suspects})
    gone = [key for key in situation.owned if key not in situation.desired]
    return plan_keys(situation, [*_not_clean(situation), *gone])


def plan_keys(situation: Situation, keys: Iterable[ObjectKey]) -> Plan:
    """Plan `keys` alone; keys that are neither declared nor owned need nothing."""
    found = _Findings()
    for key in keys:
        wanted, live = situation.desired.get(key), situation.live.get(key)
        if wanted is not None:
            _want(situation, wanted, live, found)
        elif live is not None and source_of(live) == situation.source:
            _unwant(situation, live, found)
    if (ranges := situation.ranges) is not None:
        asked = (found.actions, situation.desired, situation.live, situation.owned)
        found.refusals.extend(unavailable(*asked, ranges))
    if found.refusals:
        refusals = tuple(sorted(found.refusals, key=place_of))
        return Plan(refusals=refusals, contested=found.contested)
    actions = urgent(found.actions, situation.desired, situation.live, situation.owned)
    return Plan(
        actions=tuple(sorted(actions, key=stage)),
        clean=found.clean,
        tolerated=tuple(found.tolerated),
        resting=found.resting,
    )


def stage(action: Action) -> tuple[int, int, ObjectKey]:
    """Return where an action stands; those with equal first two numbers may run side by side."""
    match action:
        case Prune(first=True):
            return 0, -rank(action.key.kind), action.key
        case Retire() | Prune() | Release():
            return 2, -rank(action.key.kind), action.key
        case _:
            return 1, rank(action.key.kind), action.key


@dataclass(slots=True)
class _Findings:
    actions: list[Action] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    clean: dict[ObjectKey, Clean] = field(default_factory=dict)
    tolerated: list[Tolerated] = field(default_factory=list)
    contested: dict[ObjectKey, Rival] = field(default_factory=dict)
    resting: dict[ObjectKey, float] = field(default_factory=dict)


def _not_clean(situation: Situation) -> list[ObjectKey]:
    """Return the declared keys that are not known to be followed."""
    live, clean = situation.live, situation.clean
    suspects = []
    for key, wanted in situation.desired.items():
        known = clean.get(key)
        if known is not None and known[0] == wanted.content:
            obj = live.get(key)
            if obj is not None and obj.metadata.resource_version == known[1]:
                continue
        suspects.append(key)
    return suspects


def _want(
    situation: Situation, wanted: DesiredObject, live: KubeObject | None, found: _Findings
) -> None:
    key, origin = wanted.key, Origin(wanted.path, wanted.line)
    if (rival := situation.rival(key)) is not None:
        found.refusals.append(Refusal(key, origin, "metadata.name", conflict(rival)))
        found.contested[key] = Rival(rival.source, wanted.place)
    elif live is None:
        manifest = applied_manifest(wanted.manifest, situation.source, key)
        admitted = applied_object(wanted.obj, situation.source, key)
        drift = _is_drift(situation, wanted, ())
        if drift and (mode := drift_mode(wanted)) != "correct":
            found.tolerated.append(Tolerated(key, origin, (), mode))
            return
        create = Create(key, origin, wanted.content, drift, manifest, admitted)
        _create(situation, create, found)
    elif live.metadata.deletion_timestamp:
        found.actions.append(Await(key, origin, "its former incarnation is being deleted"))
    elif situation.clean.get(key) != (wanted.content, live.metadata.resource_version):
        _compare(situation, wanted, live, found)


def _create(situation: Situation, action: Create, found: _Findings) -> None:
    namespace = action.key.namespace
    key = ObjectKey("Namespace", "", namespace)
    live = situation.live.get(key)
    if not namespace or (key in situation.desired and live is None):
        found.actions.append(action)
    elif live is None or (key in situation.owned and key not in situation.desired):
        found.refusals.append(homeless(action.key, action.origin))
    elif live.metadata.deletion_timestamp:
        reason = f"namespace {namespace} is being deleted"
        found.actions.append(Await(action.key, action.origin, reason))
    elif key not in situation.desired and is_retired(live):
        found.refusals.append(resting_home(action.key, action.origin))
    else:
        found.actions.append(action)


def _compare(
    situation: Situation, wanted: DesiredObject, live: KubeObject, found: _Findings
) -> None:
    key, origin, digest = wanted.key, Origin(wanted.path, wanted.line), wanted.content
    if ran_for_another(wanted, live) and source_of(live) == situation.source:
        change = FieldChange(RUN_PATH, ABSENT, "the revision changes something")
        found.actions.append(Replace(key, origin, live.metadata.uid, (change,), drift=False))
        return
    manifest: Mapping[str, Any] = applied_manifest(wanted.manifest, situation.source, key)
    if (pointers := ignored_pointers(wanted)) and source_of(live) == situation.source:
        manifest = with_live_values(manifest, live.to_dict(), pointers)
    revived = revival(live)
    after = situation.predict(live, manifest, manager_of(situation.source))
    if after == live and not revived:
        found.clean[key] = Clean(digest, live.metadata.resource_version)
        return
    former = source_of(live)
    owned = former == situation.source
    changes = _changes(situation, live, after.after if isinstance(after, Impossible) else after)
    changes = (*revived, *changes)
    tolerated = _tolerated(situation, wanted, live, changes) if owned and not revived else None
    if tolerated is not None:
        found.tolerated.append(tolerated)
        found.clean[key] = Clean(digest, live.metadata.resource_version)
        return
    if isinstance(after, Impossible):
        if key.kind in _REPLACEABLE and owned:
            drift = _is_drift(situation, wanted, changes)
            found.actions.append(Replace(key, origin, live.metadata.uid, changes, drift))
        else:
            errors = without_values(after.errors, after.after)
            found.refusals.extend(Refusal(key, origin, *error) for error in errors)
        return
    if owned:
        drift = not revived and _is_drift(situation, wanted, changes)
        found.actions.append(Apply(key, origin, digest, changes, drift, manifest, bool(revived)))
    else:
        found.actions.append(Adopt(key, origin, digest, changes, former, manifest, bool(revived)))


def _tolerated(
    situation: Situation,
    wanted: DesiredObject,
    live: KubeObject,
    changes: tuple[FieldChange, ...],
) -> Tolerated | None:
    """Return the difference as one that stays, or `None`; a broken glass wins over Git itself."""
    origin = Origin(wanted.path, wanted.line)
    until = break_glass(live, situation.now)
    if until is not None:
        return Tolerated(wanted.key, origin, changes, "break-glass", until)
    mode = drift_mode(wanted)
    if mode == "correct" or not _is_drift(situation, wanted, changes):
        return None
    return Tolerated(wanted.key, origin, changes, mode)


def _changes(situation: Situation, live: KubeObject, after: KubeObject) -> tuple[FieldChange, ...]:
    kind, manager = live.key.kind, manager_of(situation.source)
    entries = live.metadata.managed_fields
    secret = secret_fields(live.metadata.annotations, after.metadata.annotations)
    return tuple(
        FieldChange(path_of(steps), *redacted(kind, steps, old, new, secret),
                    owner=owner_of(entries, steps, manager))
        for steps, old, new in changed_fields(live.to_dict(), after.to_dict())
    )  # fmt: skip


def _is_drift(
    situation: Situation, wanted: DesiredObject, changes: tuple[FieldChange, ...]
) -> bool:
    """Somebody else's doing, and not a new declaration's."""
    known = situation.clean.get(wanted.key)
    if known is not None:
        return known.digest == wanted.content
    return bool(changes) and all(change.owner for change in changes)


def _unwant(situation: Situation, live: KubeObject, found: _Findings) -> None:
    key = live.key
    if live.metadata.deletion_timestamp or stays(live) or not situation.prunes:
        return
    if situation.heir(key):
        return
    if key in situation.awaited:  # until that revision gives way to one that declares it no more
        found.resting[key] = _AWAITED_AGAIN
        return
    if key.kind == "Namespace":
        inside = [each for each in situation.desired.values() if each.key.namespace == key.name]
        if inside:
            found.refusals.extend(
                homeless(each.key, Origin(each.path, each.line)) for each in inside
            )
            return
        if key.name in _IMMORTAL:
            found.actions.append(Release(key))
            return
    left = situation.rest(live, situation.now) if situation.now is not None else None
    keep = 0.0 if _made_since(live, situation.undoes) else situation.keep
    match end_of(live, situation.now, keep, left):
        case float() as seconds:
            found.resting[key] = seconds
        case action:
            found.actions.append(action)


def _made_since(live: KubeObject, begun: datetime | None) -> bool:
    made = live.metadata.creation_timestamp
    return begun is not None and made is not None and parse_time(made) >= begun
