"""What the live objects are driven to: one validated revision, and how far it got.

Held by the loop alone. It keeps the health of each declared object up to date event by event, so
that judging a revision of 10,000 objects costs what changed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from heapq import nsmallest

from reconciler.core.derived import difference
from reconciler.desired.objects import Desired, DesiredObject
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.model.pod import Pod
from reconciler.source.snapshot import Snapshot
from reconciler.sync.actions import Write, starts
from reconciler.sync.casualties import is_of
from reconciler.sync.health import HEALTHY, Health, State, health, settles
from reconciler.sync.hooks import marked
from reconciler.sync.patience import Patience
from reconciler.sync.waves import Order, order_of

_SHOWN = 3


@dataclass(slots=True)
class Target:
    """A revision that passed validation.

    `record` is its Revision object's name; `planned` says that its plan was told, `applied` that
    every write is done, `rollback` that it undoes a failed one, which was begun at `undoes` where
    that is known, `asked` that a person wants it now; `message` is the commit's; `since` is when it
    was taken up by this run, `begun` by whichever run was the first, `order` what waits for what;
    `inputs` marks the variables that it was made with.
    `unhealthy` has every declared object that is not healthy, or not there yet; `failed` those of
    them that are not expected to heal; `started` are declared pods in which it started a container,
    `pods` those of `unhealthy` that are pods. `proven` says that all of it was healthy once;
    `inherited` are those of `unhealthy` that it has as a revision had them that never was, whose
    place it took: their pods count from that one's beginning on.
    `settling` are those of `unhealthy` that look well and have to stay so until a time of the
    monotonic clock, 0 before it is set.
    """

    revision: str
    record: str
    desired: Mapping[ObjectKey, DesiredObject]
    applied: bool = False
    planned: bool = False
    rollback: bool = False
    undoes: datetime | None = None
    asked: bool = False
    message: str = ""
    since: datetime | None = None
    begun: datetime | None = None
    inputs: str = ""
    order: Order = field(default_factory=Order)
    unhealthy: dict[ObjectKey, Health] = field(default_factory=dict)
    failed: dict[ObjectKey, Health] = field(default_factory=dict)
    started: set[ObjectKey] = field(default_factory=set)
    pods: set[ObjectKey] = field(default_factory=set)
    proven: bool = False
    inherited: dict[ObjectKey, datetime] = field(default_factory=dict)
    settling: dict[ObjectKey, float] = field(default_factory=dict)

    def doomed(self, key: ObjectKey, reason: str) -> bool:
        """Take in that a pod of the controller `key` is not expected to heal; "" says it is."""
        if reason and key in self.unhealthy:
            known = self.failed.get(key)
            self.settling.pop(key, None)
            self.unhealthy[key] = self.failed[key] = Health(State.FAILED, reason)
            return known != self.failed[key]
        return False

    def give_up(
        self, live: Mapping[ObjectKey, KubeObject], now: datetime, patience: Patience
    ) -> float:
        """Give up the pods of this revision that took too long; return when to ask again.

        That is in so many seconds, 0 when none is waited for.
        """
        waits = []
        for key in sorted(self.pods - self.settling.keys() - self.failed.keys()):
            pod = live.get(key)
            due = patience.until(pod) if isinstance(pod, Pod) and self.made(pod) else None
            if pod is None or due is None:
                continue
            if due > now:
                waits.append((due - now).total_seconds())
            else:
                reason = patience.over(pod, self.unhealthy[key].reason)
                self.unhealthy[key] = self.failed[key] = Health(State.FAILED, reason)
        return min(waits, default=0.0)

    def made(self, pod: Pod) -> bool:
        """Return whether the revision made a declared pod, or started a container in it."""
        return self.reaches(pod.key, pod) or pod.key in self.started

    def reaches(self, key: ObjectKey, pod: Pod) -> bool:
        """Return whether a pod, or an update of it, is so young that `key` is judged by it."""
        begun = self.inherited.get(key, self.begun)
        return begun is not None and is_of(pod, begun)

    def _inherit(self, before: Target, changed: Collection[ObjectKey]) -> None:
        """Take over what a revision that never was healthy has begun and this one leaves as it is.

        Else one bad revision would be followed for ever once another has overtaken it.
        """
        if before.proven or before.begun is None:
            return
        same = [key for key in self.unhealthy if key not in changed]
        self.inherited = {key: before.inherited.get(key, before.begun) for key in same}
        self.started |= before.started & self.inherited.keys()

    def settle(self, now: float) -> tuple[list[ObjectKey], float]:
        """Count as healthy what stayed so; return that, and in how many seconds to ask again or 0.

        `now` is of the monotonic clock.
        """
        for key, due in self.settling.items():
            self.settling[key] = due or now + _SETTLING_SECONDS
        over = [key for key, due in self.settling.items() if due <= now]
        for key in over:
            del self.settling[key], self.unhealthy[key]
            self.pods.discard(key)
        return over, min(self.settling.values(), default=now) - now

    def judge(self, live: Mapping[ObjectKey, KubeObject], before: Target | None) -> None:
        """Look at every declared object that `before` does not know; take over the rest from it.

        `before` saw every change of its objects until now.
        """
        if before is None:
            fresh = list(self.desired)
        else:
            wanted = self.desired
            known = before.desired
            changed = difference(wanted, known)
            fresh = [key for key in changed if key in wanted and key not in known]
            self.unhealthy = {k: h for k, h in before.unhealthy.items() if k in wanted}
            self.failed = {k: h for k, h in before.failed.items() if k in wanted}
            self.pods = before.pods & wanted.keys()
            self._inherit(before, changed)
            self.settling = {k: due for k, due in before.settling.items() if k in wanted}
        for key in fresh:
            self.see(key, live.get(key))

    def wrote(self, action: Write, obj: KubeObject) -> None:
        """Take in an object of the target that was applied now."""
        self.see(action.key, obj)
        if isinstance(obj, Pod) and starts(action):
            self.started.add(action.key)

    def see(self, key: ObjectKey, obj: KubeObject | None) -> bool:
        """Take in the newest state of a declared object; return whether its health changed."""
        before = self.unhealthy.pop(key, None)
        self.failed.pop(key, None)
        now = health(obj) if obj is not None else _MISSING
        if obj is not None and before is not None and now == HEALTHY and settles(obj):
            self.settling.setdefault(key, 0.0)
            now = _SETTLING
        else:
            self.settling.pop(key, None)
        if now.state is State.HEALTHY:
            self.pods.discard(key)
            return before is not None
        self.unhealthy[key] = now
        if key.kind == "Pod":
            self.pods.add(key)
        if now.state is State.FAILED:
            self.failed[key] = now
        return now != before


def begun(
    snapshot: Snapshot, record: str, desired: Desired, now: datetime, first: datetime | None
) -> Target:
    """Return the target that a valid revision of the source is; `first` is when it first began."""
    objects, since = marked(desired.objects), now.replace(microsecond=0)
    return Target(
        snapshot.revision,
        record,
        objects,
        order=order_of(objects),
        message=snapshot.message,
        since=since,
        begun=first or since,
        inputs=snapshot.inputs,
    )


_SETTLING_SECONDS = 1.0
_SETTLING = Health(State.PROGRESSING, "is ready, and has to stay so for a second")
_MISSING = Health(State.PROGRESSING, "does not exist yet")


def summary(unhealthy: Mapping[ObjectKey, Health]) -> str:
    """Return one line that names the first few objects and what each waits for."""
    first = nsmallest(_SHOWN, unhealthy)
    named = [f"{key}: {unhealthy[key].reason}" for key in first]
    more = len(unhealthy) - len(named)
    return "; ".join(named) + (f"; and {more} more" if more > 0 else "")
