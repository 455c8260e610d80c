"""Whether the pods that a plan starts find room, by the scheduler's own rules. Pure.

Called by `reconciler plan`. Pods that the plan stops, or stops first, have left by then; pods that
are surged stand beside those that they replace.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reconciler.desired.objects import DesiredObject
from reconciler.model.meta import KubeObject, ObjectKey, ObjectMeta
from reconciler.model.namespace import Namespace
from reconciler.model.node import Node
from reconciler.model.pod import Pod
from reconciler.model.replication import ReplicationController
from reconciler.scheduler.decision import Placed, decide
from reconciler.scheduler.loop import is_ours
from reconciler.scheduler.snapshot import Snapshot
from reconciler.sync.workloads import PodEffect


def misfits(
    effects: Sequence[PodEffect],
    desired: Mapping[ObjectKey, DesiredObject],
    live: Iterable[KubeObject],
    nodes: Iterable[Node],
) -> tuple[str, ...]:
    """Return a sentence for each pod that no node would take; () without any node."""
    snapshot, pods = Snapshot(), {}
    for node in nodes:
        snapshot.set_node(node)
    for obj in live:
        if isinstance(obj, Namespace):
            snapshot.spaces[obj.metadata.name] = obj.metadata.labels
        elif isinstance(obj, Pod) and obj.spec.node_name:
            snapshot.place(obj, obj.spec.node_name)
            pods[obj.metadata.namespace, obj.metadata.name] = obj
    if not any(use.node is not None for use in snapshot.nodes()):
        return ()
    for effect in effects:
        gone = pods.get((effect.namespace, effect.pod))
        if gone is not None and (effect.fate == "stop" or effect.gap):
            snapshot.remove(gone.metadata.uid)
    told = (_place(effect, desired, snapshot) for effect in effects)
    return tuple(sentence for sentence in told if sentence)


def _place(
    effect: PodEffect, desired: Mapping[ObjectKey, DesiredObject], snapshot: Snapshot
) -> str:
    if effect.fate not in ("start", "replace"):
        return ""
    for number in range(effect.count):
        pod = _pod(effect, desired, number)
        if pod is None or not is_ours(pod):
            return ""
        found = decide(pod, snapshot.nodes(), 0, spaces=snapshot.spaces)
        if not isinstance(found, Placed):
            return f"{effect.namespace}/{effect.pod}: {found.message}"
        if effect.fate == "start" or effect.gap:
            snapshot.place(pod, found.node)
    return ""


def _pod(effect: PodEffect, desired: Mapping[ObjectKey, DesiredObject], number: int) -> Pod | None:
    """Return the pod as it would be made; a surged one stands for all that are surged in turn."""
    meta = ObjectMeta(
        name=f"{effect.pod}-{number}", namespace=effect.namespace, uid=f"{effect.pod}/{number}"
    )
    alone = desired.get(ObjectKey("Pod", effect.namespace, effect.pod))
    if alone is not None and isinstance(alone.obj, Pod):
        return Pod(metadata=meta.replace(labels=alone.obj.metadata.labels), spec=alone.obj.spec)
    name = effect.pod.rpartition("-")[0]
    made_by = desired.get(ObjectKey("ReplicationController", effect.namespace, name))
    if made_by is None or not isinstance(made_by.obj, ReplicationController):
        return None
    template = made_by.obj.spec.template
    if template is None:
        return None
    return Pod(metadata=meta.replace(labels=template.metadata.labels), spec=template.spec)
