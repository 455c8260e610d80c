"""Whether a plan is so destructive that a person must agree first. Pure.

Called by the loop and by `reconciler plan`. An approval is bound to the plan's hash: what was not
seen is not approved. Rolling back is never held: what it deletes, the failed revision made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from heapq import nsmallest

from reconciler.desired.kustomize.hashing import generated_from
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.gitops import Revision
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.model.retirement import is_retired
from reconciler.model.storage import PersistentVolume
from reconciler.sync.actions import Action, Adopt, Apply, Create, Prune, Replace, Retire
from reconciler.sync.company import company
from reconciler.sync.identity import source_of
from reconciler.sync.plan import Plan, Situation

APPROVE_ANNOTATION = "reconciler.dev/approve"
_TRAILER = "reconciler.dev/approve: prune"
_SHOWN = 3


def hold_reason(plan: Plan, situation: Situation, threshold: int) -> str:
    """Return why the plan waits for approval, "" when it does not.

    It waits when it deletes more than `threshold` percent of the source's objects, or any
    Namespace, or any volume or claim that may hold data. A ConfigMap or Secret that a kustomization
    generates under another name, for its content is another, is not deleted in that sense.
    """
    ended = [action.key for action in plan.actions if _is_new_end(action, situation)]
    pruned = _without_renamed(ended, situation)
    if not pruned:
        return ""
    reasons = list(_precious(pruned, situation))
    total = sum(not is_retired(situation.live[key]) for key in situation.owned)
    if len(pruned) * 100 > total * threshold:
        share = round(len(pruned) * 100 / max(total, 1))
        reasons.append(f"{len(pruned)} of {total} objects ({share} %) would be deleted")
    return "; ".join(reasons)


def plan_hash(plan: Plan, situation: Situation) -> str:
    """Return a hash of what the plan does and to which incarnations, the same for equal plans.

    What a Namespace or Source that goes takes along counts among that.
    """
    lines = [_fingerprint(action) for action in plan.actions]
    ends = (action.key for action in plan.actions if isinstance(action, Prune | Retire))
    for taken in company(ends, situation.live).values():
        lines += (f"With {obj.key} {obj.metadata.uid}" for obj in taken)
    lines.sort()
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=16).hexdigest()


def approved(revision: Revision | None, message: str, digest: str) -> bool:
    """Return whether a person agreed: on the Revision to this very plan, or in the commit."""
    if _TRAILER in (line.strip() for line in message.splitlines()):
        return True
    if revision is None:
        return False
    return revision.metadata.annotations.get(APPROVE_ANNOTATION) == digest


def _is_new_end(action: Action, situation: Situation) -> bool:
    """Whether an object ends by this plan; one that was retired before ends by an earlier one."""
    if isinstance(action, Prune):
        live = situation.live.get(action.key)
        return live is None or not is_retired(live)
    return isinstance(action, Retire)


def _without_renamed(ended: Sequence[ObjectKey], situation: Situation) -> list[ObjectKey]:
    """Return those that are not generated anew under another hash of their content."""
    if not any(_generated(key) for key in ended):
        return list(ended)
    anew = {_generated(key) for key in situation.desired}
    return [key for key in ended if (was := _generated(key)) is None or was not in anew]


def _generated(key: ObjectKey) -> ObjectKey | None:
    """Return the key without the suffix of what a kustomization generated, None without one."""
    name = generated_from(key.name) if key.kind in ("ConfigMap", "Secret") else ""
    return key._replace(name=name) if name else None


def _precious(pruned: Sequence[ObjectKey], situation: Situation) -> Iterator[str]:
    along = company(pruned, situation.live)
    for key in pruned:
        if key.kind == "Namespace":
            others = [obj for obj in along.get(key, ()) if source_of(obj) != situation.source]
            yield f"{key} would be deleted with all that is in it{_named(others)}"
        elif key in along:
            if count := len(along[key]):
                plural = "s" if count != 1 else ""
                yield f"{key} would be deleted with the {count} object{plural} it declares"
        elif _holds_data(situation.live.get(key)):
            yield f"{key} would be deleted, and it holds data"


def _named(others: Sequence[KubeObject]) -> str:
    """Return which objects go that the source does not declare, those with data first."""
    if not others:
        return ""
    first = nsmallest(_SHOWN, others, key=lambda obj: (not _holds_data(obj), obj.key))
    more = f" and {len(others) - len(first)} more" if len(others) > len(first) else ""
    return f", also what others made: {', '.join(str(obj.key) for obj in first)}{more}"


def _holds_data(obj: KubeObject | None) -> bool:
    match obj:
        case PersistentVolumeClaim():
            return obj.status.phase in ("Bound", "Lost")
        case PersistentVolume():
            return obj.status.phase in ("Bound", "Released", "Failed")
        case _:
            return False


def _fingerprint(action: Action) -> str:
    what = type(action).__name__
    match action:
        case Retire() | Prune() | Replace():
            return f"{what} {action.key} {action.uid}"
        case Create() | Apply() | Adopt():
            return f"{what} {action.key} {action.digest}"
        case _:
            return f"{what} {action.key}"
