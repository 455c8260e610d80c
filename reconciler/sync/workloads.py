"""What a plan means for containers: which start, stop, are replaced, and the field at fault. Pure.

Called by `reconciler plan`. It foresees what the controllers and the kubelet will do with the
objects that the plan writes; it decides nothing for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from reconciler.desired.objects import DesiredObject
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.exclusive import exclusive
from reconciler.model.inplace import SHAPE, asks_in_place, shape_of
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.model.pod import Pod, PodSpec
from reconciler.model.replication import ReplicationController
from reconciler.model.retirement import STOPPED
from reconciler.sync.actions import Action, Adopt, Apply, Create, Prune, Replace, Retire
from reconciler.sync.fields import FieldChange
from reconciler.sync.health import wanted_replicas
from reconciler.sync.plan import Plan, Situation

Fate = Literal["start", "stop", "replace", "in-place", "orphan"]
TEMPLATE = (
    "spec.template.spec",
    "spec.template.metadata.labels",
    "spec.template.metadata.annotations",
    "spec.template.metadata.finalizers",
)
"""The fields of a ReplicationController whose change makes new pods."""


@dataclass(frozen=True, slots=True)
class PodEffect:
    """What becomes of one pod, or of `count` pods that are alike.

    `pod` is the pod's name, or its controller's with "-*" when which ones is not known yet;
    `containers` are the names of the containers concerned; `cause` is the one field, or the
    object, that causes it. `gap`: nothing serves in between. `of` is the object whose action it
    is: the field is one of its own.
    """

    fate: Fate
    namespace: str
    pod: str
    count: int
    containers: tuple[str, ...]
    cause: str
    gap: bool = False
    of: ObjectKey = field(default=ObjectKey("", "", ""), compare=False)


def pod_effects(plan: Plan, situation: Situation) -> tuple[PodEffect, ...]:
    """Return what the plan does to pods, in the order of its actions."""
    pods = _by_owner(situation.live.values())
    return tuple(
        replace(effect, of=action.key)
        for action in plan.actions
        for effect in _effects(action, situation, pods)
    )


def _effects(
    action: Action, situation: Situation, pods: Mapping[str, Sequence[Pod]]
) -> Iterator[PodEffect]:
    live, wanted = situation.live.get(action.key), situation.desired.get(action.key)
    match action:
        case Create() if wanted is not None:
            yield from _started(wanted)
        case Apply() | Adopt() if isinstance(live, ReplicationController):
            owned = pods.get(live.metadata.uid, ())
            if _is_in_place(wanted, action, owned):
                yield from _updated(live, action.changes, owned)
            else:
                alone = _alone(wanted, situation)
                yield from _rolled(live, action.changes, owned, gap=alone)
        case Apply() | Adopt() if isinstance(live, Pod):
            yield from _restarted(live, action.changes)
        case Replace() if isinstance(live, Pod):
            cause = _first(action.changes)
            yield _one("replace", live, cause, gap=True)
        case Retire() | Prune() if live is not None:
            yield from _pruned(action, live, situation, pods)
        case _:
            return


def _started(wanted: DesiredObject) -> Iterator[PodEffect]:
    obj = wanted.obj
    cause = f"{wanted.key} is new"
    if isinstance(obj, Pod):
        yield _one("start", obj, cause)
    elif isinstance(obj, ReplicationController) and wanted_replicas(obj):
        yield _many("start", obj, wanted_replicas(obj), cause)


def _rolled(
    live: ReplicationController, changes: Sequence[FieldChange], pods: Sequence[Pod], *, gap: bool
) -> Iterator[PodEffect]:
    template = next((c.path for c in changes if c.path.startswith(TEMPLATE)), "")
    count = next((c for c in changes if c.path == "spec.replicas"), None)
    before = wanted_replicas(live)
    after = count.new if count is not None and isinstance(count.new, int) else before
    if template:
        for pod in pods[: min(before, after)]:
            yield _one("replace", pod, template, gap=gap)
    if count is not None and after > before:
        yield _many("start", live, after - before, count.path)
    elif count is not None and after < before:
        yield _many("stop", live, before - after, count.path)


def _is_in_place(wanted: DesiredObject | None, action: Apply | Adopt, pods: Sequence[Pod]) -> bool:
    """Whether the controller's pods take the change over as they are, as it decides it."""
    if not any(change.path.startswith(TEMPLATE) for change in action.changes):
        return action.revive
    if wanted is None or not asks_in_place(wanted.obj):
        return False
    template = wanted.obj.spec.template if isinstance(wanted.obj, ReplicationController) else None
    shape = shape_of(template) if template is not None else ""
    return all(pod.metadata.annotations.get(SHAPE) == shape for pod in pods)


def _updated(
    live: ReplicationController, changes: Sequence[FieldChange], pods: Sequence[Pod]
) -> Iterator[PodEffect]:
    """A container restarts for its image, all of them when the pods rested, none for a label."""
    causes = [c.path for c in changes if c.path.startswith(TEMPLATE)] or [changes[0].path]
    images = {_name_in(path): path for path in causes if path.endswith(".image")}
    gap = wanted_replicas(live) == 1 and bool(images)
    for pod in pods:
        meta = pod.metadata
        if STOPPED in meta.annotations:
            touched = {_containers(pod.spec): next(iter(images.values()), causes[0])}
        else:
            touched = {(name,): path for name, path in images.items()} or {(): causes[0]}
        for names, cause in touched.items():
            yield PodEffect("in-place", meta.namespace, meta.name, 1, names, cause, gap=gap)
    yield from _rolled(live, [c for c in changes if c.path == "spec.replicas"], pods, gap=gap)


def _name_in(path: str) -> str:
    """Return the name in the first brackets of a field path."""
    return path.partition("[")[2].partition("]")[0]


def _alone(wanted: DesiredObject | None, situation: Situation) -> bool:
    """Whether a pod must be gone before its successor starts, as the controller decides it."""
    if wanted is None or not isinstance(wanted.obj, ReplicationController):
        return False
    template, namespace = wanted.obj.spec.template, wanted.key.namespace
    if template is None:
        return False

    def claim(name: str) -> PersistentVolumeClaim | None:
        key = ObjectKey("PersistentVolumeClaim", namespace, name)
        declared = situation.desired.get(key)
        found = situation.live.get(key) or (declared.obj if declared else None)
        return found if isinstance(found, PersistentVolumeClaim) else None

    return bool(exclusive(template.spec, claim))


def _restarted(live: Pod, changes: Sequence[FieldChange]) -> Iterator[PodEffect]:
    """Kubernetes lets a pod's images change in place: those containers alone restart."""
    for change in changes:
        name = _name_in(change.path)
        if change.path.startswith("spec.") and change.path.endswith(".image"):
            yield PodEffect(
                "in-place", live.metadata.namespace, live.metadata.name, 1, (name,), change.path,
                gap=True,
            )  # fmt: skip


def _pruned(
    action: Retire | Prune,
    live: KubeObject,
    situation: Situation,
    pods: Mapping[str, Sequence[Pod]],
) -> Iterator[PodEffect]:
    cause = f"{action.key} is no longer declared"
    if isinstance(live, Pod):
        yield _one("stop", live, cause)
    elif isinstance(live, ReplicationController):
        orphaned = isinstance(action, Prune) and action.propagation == "Orphan"
        fate: Fate = "orphan" if orphaned else "stop"
        for pod in pods.get(live.metadata.uid, ()):
            yield _one(fate, pod, cause)
    elif action.key.kind == "Namespace":
        yield from _emptied(action.key, situation, cause)


def _emptied(namespace: ObjectKey, situation: Situation, cause: str) -> Iterator[PodEffect]:
    """A namespace takes all its pods along; those of pruned controllers are told already."""
    told = {
        obj.metadata.uid
        for key, obj in situation.live.items()
        if key in situation.owned and key not in situation.desired
    }
    for key, obj in situation.live.items():
        if isinstance(obj, Pod) and key.namespace == namespace.name:
            owners = {owner.uid for owner in obj.metadata.owner_references}
            if obj.metadata.uid not in told and not owners & told:
                yield _one("stop", obj, cause)


def _one(fate: Fate, pod: Pod, cause: str, *, gap: bool = False) -> PodEffect:
    meta = pod.metadata
    return PodEffect(fate, meta.namespace, meta.name, 1, _containers(pod.spec), cause, gap=gap)


def _many(fate: Fate, controller: ReplicationController, count: int, cause: str) -> PodEffect:
    template, meta = controller.spec.template, controller.metadata
    names = _containers(template.spec) if template is not None else ()
    return PodEffect(fate, meta.namespace, f"{meta.name}-*", count, names, cause)


def _containers(spec: PodSpec) -> tuple[str, ...]:
    return tuple(container.name for container in spec.containers)


def _first(changes: Sequence[FieldChange]) -> str:
    return next((c.path for c in changes if c.path.startswith("spec")), "") or (
        changes[0].path if changes else ""
    )


def _by_owner(objects: Iterable[KubeObject]) -> dict[str, list[Pod]]:
    found: dict[str, list[Pod]] = {}
    for obj in objects:
        if isinstance(obj, Pod) and not obj.metadata.deletion_timestamp:
            for owner in obj.metadata.owner_references:
                if owner.controller:
                    found.setdefault(owner.uid, []).append(obj)
    for pods in found.values():
        pods.sort(key=lambda pod: pod.key)
    return found
