"""Whether the pods that a plan starts find room, by the scheduler's own rules. Pure.

Called by `reconciler plan`. Pods that the plan stops, or stops first, have left by then; pods that
are surged stand beside those that they replace; pods of lower priority leave where that helps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from reconciler.desired.objects import DesiredObject
from reconciler.model.meta import KubeObject, ObjectKey, ObjectMeta
from reconciler.model.namespace import Namespace
from reconciler.model.node import Node
from reconciler.model.pod import Pod, PodSpec
from reconciler.model.priorityclass import PriorityClass, default_priority
from reconciler.model.replication import ReplicationController
from reconciler.scheduler.decision import Placed, Refused, decide
from reconciler.scheduler.loop import is_ours
from reconciler.scheduler.preemption import Preemption, preempt
from reconciler.scheduler.snapshot import Snapshot
from reconciler.sync.workloads import PodEffect


@dataclass(frozen=True, slots=True)
class Fit:
    """A sentence for each pod that no node takes, and for each that leaves for another."""

    misfits: tuple[str, ...] = ()
    preempted: tuple[str, ...] = ()


def fit(
    effects: Sequence[PodEffect],
    desired: Mapping[ObjectKey, DesiredObject],
    live: Iterable[KubeObject],
    nodes: Iterable[Node],
) -> Fit:
    """Place the pods that the plan starts, one after the other; nothing to tell without a node."""
    known = list(live)
    snapshot = _snapshot(known, nodes, effects)
    if not any(use.node is not None for use in snapshot.nodes()):
        return Fit()
    held = (*known, *(each.obj for each in desired.values()))
    classes = {each.metadata.name: each for each in held if isinstance(each, PriorityClass)}
    trial = _Trial(snapshot, desired, classes)
    for effect in effects:
        if effect.fate in ("start", "replace"):
            trial.place(effect)
    return Fit(tuple(trial.misfits), tuple(trial.preempted))


def _snapshot(
    live: Iterable[KubeObject], nodes: Iterable[Node], effects: Iterable[PodEffect]
) -> Snapshot:
    """Return what the nodes hold once the pods that stop have left."""
    snapshot, pods = Snapshot(), {}
    for node in nodes:
        snapshot.set_node(node)
    for obj in live:
        if isinstance(obj, Namespace):
            snapshot.spaces[obj.metadata.name] = obj.metadata.labels
        elif isinstance(obj, Pod) and obj.spec.node_name:
            snapshot.place(obj, obj.spec.node_name)
            pods[obj.metadata.namespace, obj.metadata.name] = obj
    for effect in effects:
        gone = pods.get((effect.namespace, effect.pod))
        if gone is not None and (effect.fate == "stop" or effect.gap):
            snapshot.remove(gone.metadata.uid)
    return snapshot


class _Trial:
    """Pods placed on a snapshot that is its own, and what there is to tell of it."""

    def __init__(
        self,
        snapshot: Snapshot,
        desired: Mapping[ObjectKey, DesiredObject],
        classes: Mapping[str, PriorityClass],
    ) -> None:
        self._snapshot, self._desired, self._classes = snapshot, desired, classes
        self.misfits: list[str] = []
        self.preempted: list[str] = []

    def place(self, effect: PodEffect) -> None:
        """Place all pods of an effect, or tell of the first that no node takes."""
        for number in range(effect.count):
            pod = self._pod(effect, number)
            if pod is None or not is_ours(pod):
                return
            found = decide(pod, self._snapshot.nodes(), 0, spaces=self._snapshot.spaces)
            node = found.node if isinstance(found, Placed) else self._make_room(effect, found)
            if not node:
                return
            if effect.fate == "start" or effect.gap:
                self._snapshot.place(pod, node)

    def _make_room(self, effect: PodEffect, refused: Refused) -> str:
        """Let pods of lower priority leave; return the node, empty where that does not help."""
        name = f"{effect.namespace}/{effect.pod}"
        if refused.by_node:
            found = preempt(refused.request, refused.by_node, self._snapshot.tenants(), {})
            if isinstance(found, Preemption):
                for victim in found.victims:
                    self._snapshot.remove(victim.uid)
                    other = f"{victim.profile.namespace}/{victim.name}"
                    self.preempted.append(f"{other} leaves {found.node} for {name}")
                return found.node
        self.misfits.append(f"{name}: {refused.message}")
        return ""

    def _pod(self, effect: PodEffect, number: int) -> Pod | None:
        """Return the pod as it would be made; a surged one stands for all surged in turn."""
        meta = ObjectMeta(
            name=f"{effect.pod}-{number}", namespace=effect.namespace, uid=f"{effect.pod}/{number}"
        )
        alone = self._desired.get(ObjectKey("Pod", effect.namespace, effect.pod))
        if alone is not None and isinstance(alone.obj, Pod):
            labels, spec = alone.obj.metadata.labels, alone.obj.spec
            return Pod(metadata=meta.replace(labels=labels), spec=self._ranked(spec))
        name = effect.pod.rpartition("-")[0]
        made_by = self._desired.get(ObjectKey("ReplicationController", effect.namespace, name))
        if made_by is None or not isinstance(made_by.obj, ReplicationController):
            return None
        template = made_by.obj.spec.template
        if template is None:
            return None
        labels, spec = template.metadata.labels, template.spec
        return Pod(metadata=meta.replace(labels=labels), spec=self._ranked(spec))

    def _ranked(self, spec: PodSpec) -> PodSpec:
        """Return the spec with the priority that admission will give."""
        default = default_priority(self._classes.values())
        chosen = self._classes.get(spec.priority_class_name, default)
        if chosen is None:
            return spec
        return spec.replace(priority=chosen.value, preemption_policy=chosen.preemption_policy)
