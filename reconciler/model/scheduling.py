"""Where a pod may run: affinity, tolerations, topology spread."""

from __future__ import annotations

from typing import ClassVar

from reconciler.model.base import Model, always
from reconciler.model.scalar import Int32, Int64
from reconciler.model.selector import LabelSelector


class NodeSelectorRequirement(Model):
    key: str = always(str)
    operator: str = always(str)
    values: tuple[str, ...] = ()


class NodeSelectorTerm(Model):
    atomic: ClassVar[bool] = True
    match_expressions: tuple[NodeSelectorRequirement, ...] = ()
    match_fields: tuple[NodeSelectorRequirement, ...] = ()


class NodeSelector(Model):
    atomic: ClassVar[bool] = True
    node_selector_terms: tuple[NodeSelectorTerm, ...] = always(tuple)


class PreferredSchedulingTerm(Model):
    weight: Int32 = always(int)
    preference: NodeSelectorTerm = always(NodeSelectorTerm)


class NodeAffinity(Model):
    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: tuple[PreferredSchedulingTerm, ...] = ()


class PodAffinityTerm(Model):
    label_selector: LabelSelector | None = None
    namespaces: tuple[str, ...] = ()
    topology_key: str = always(str)
    namespace_selector: LabelSelector | None = None
    match_label_keys: tuple[str, ...] = ()
    mismatch_label_keys: tuple[str, ...] = ()


class WeightedPodAffinityTerm(Model):
    weight: Int32 = always(int)
    pod_affinity_term: PodAffinityTerm = always(PodAffinityTerm)


class PodAffinity(Model):
    required_during_scheduling_ignored_during_execution: tuple[PodAffinityTerm, ...] = ()
    preferred_during_scheduling_ignored_during_execution: tuple[WeightedPodAffinityTerm, ...] = ()


class PodAntiAffinity(Model):
    required_during_scheduling_ignored_during_execution: tuple[PodAffinityTerm, ...] = ()
    preferred_during_scheduling_ignored_during_execution: tuple[WeightedPodAffinityTerm, ...] = ()


class Affinity(Model):
    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAntiAffinity | None = None


class Toleration(Model):
    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""
    toleration_seconds: Int64 | None = None


class TopologySpreadConstraint(Model):
    max_skew: Int32 = always(int)
    topology_key: str = always(str)
    when_unsatisfiable: str = always(str)
    label_selector: LabelSelector | None = None
    min_domains: Int32 | None = None
    node_affinity_policy: str | None = None
    node_taints_policy: str | None = None
    match_label_keys: tuple[str, ...] = ()


class PodSchedulingGate(Model):
    name: str = always(str)
