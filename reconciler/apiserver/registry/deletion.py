"""What a delete request does to an object. Pure: Kubernetes' rest.BeforeDelete and its finalizers.

Called by the registry. It decides on one object; who deletes the dependents is the garbage
collector's business, which reads the finalizers set here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, Literal, TypeVar

from reconciler.model.meta import KubeObject, ObjectMeta
from reconciler.model.time import LONGEST_SECONDS, format_time, parse_time, span

K = TypeVar("K", bound=KubeObject)

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"

Propagation = Literal["Background", "Foreground", "Orphan"]


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """meta/v1 DeleteOptions: preconditions, grace in seconds, what becomes of dependents."""

    uid: str = ""
    resource_version: str = ""
    grace_period_seconds: int | None = None
    propagation: Propagation | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Verdict(Generic[K]):
    """The object after the request; `gone` says that it leaves the store in this state."""

    obj: K
    gone: bool


def decide(
    obj: K,
    options: DeleteOptions,
    now: datetime,
    *,
    grace: int | None,
    orphan_by_default: bool,
) -> Verdict[K]:
    """Return what the request makes of `obj`.

    `grace` is the strategy's grace period in seconds for this object, None for a kind without
    graceful deletion.
    """
    options = _at_least_one(options)
    meta, pending = _gracefully(obj.metadata, options, now, grace)
    if pending:
        return Verdict(obj, gone=False)
    finalizers = _finalizers(meta.finalizers, options, orphan_by_default=orphan_by_default)
    meta = meta.replace(finalizers=finalizers) if finalizers != meta.finalizers else meta
    if finalizers:
        meta = _marked(meta, now) if grace is None else meta
        return Verdict(_with_meta(obj, meta), gone=False)
    gone = grace is None or not meta.deletion_grace_period_seconds
    return Verdict(_with_meta(obj, meta), gone=gone)


def is_released(obj: KubeObject) -> bool:
    """Say whether nothing holds a deleted object any more: no finalizers, grace over."""
    meta = obj.metadata
    return (
        meta.deletion_timestamp is not None
        and not meta.finalizers
        and meta.deletion_grace_period_seconds == 0
    )


def _at_least_one(options: DeleteOptions) -> DeleteOptions:
    grace = options.grace_period_seconds
    return replace(options, grace_period_seconds=1) if grace is not None and grace < 0 else options


def _gracefully(
    meta: ObjectMeta, options: DeleteOptions, now: datetime, grace: int | None
) -> tuple[ObjectMeta, bool]:
    """Return the metadata with its grace period, and whether the request changes nothing."""
    if grace is None or meta.deletion_grace_period_seconds == 0:
        return meta, False
    if meta.deletion_timestamp is None:
        kept = min(grace, LONGEST_SECONDS)
        return _begin(meta, format_time(now + span(kept)), kept), False
    return _shortened(meta, options)


def _shortened(meta: ObjectMeta, options: DeleteOptions) -> tuple[ObjectMeta, bool]:
    """Apply a later request, which may only shorten the grace period."""
    present, wanted = meta.deletion_grace_period_seconds, options.grace_period_seconds
    if present is None or meta.deletion_timestamp is None:
        return meta, False
    if wanted is None or wanted >= present:
        return meta, True
    end = parse_time(meta.deletion_timestamp) - span(present - wanted)
    changed = meta.replace(
        deletion_timestamp=format_time(end), deletion_grace_period_seconds=wanted
    )
    return changed, False


def _begin(meta: ObjectMeta, timestamp: str, grace: int) -> ObjectMeta:
    return meta.replace(
        deletion_timestamp=timestamp,
        deletion_grace_period_seconds=grace,
        generation=meta.generation + 1 if meta.generation else 0,
    )


def _marked(meta: ObjectMeta, now: datetime) -> ObjectMeta:
    """Mark an object that only its finalizers keep."""
    if meta.deletion_timestamp is None:
        return _begin(meta, format_time(now), 0)
    return meta.replace(deletion_grace_period_seconds=0)


def _finalizers(
    present: tuple[str, ...], options: DeleteOptions, *, orphan_by_default: bool
) -> tuple[str, ...]:
    """Return the finalizers that the propagation policy leaves and adds."""
    orphan, foreground = ORPHAN in present, FOREGROUND in present
    match options.propagation:
        case None:
            orphan = orphan or (orphan_by_default and not foreground)
        case policy:
            orphan, foreground = policy == "Orphan", policy == "Foreground"
    kept = tuple(item for item in present if item not in (ORPHAN, FOREGROUND))
    added = (ORPHAN,) * orphan + (FOREGROUND,) * foreground
    unchanged = set(kept + added) == set(present)
    return present if unchanged else kept + added


def _with_meta(obj: K, meta: ObjectMeta) -> K:
    return obj if meta is obj.metadata else obj.replace(metadata=meta)
