"""Topology spread constraints: how evenly pods lie over zones, hosts or other domains. Pure.

Called by the filters and scores; what holds for all nodes is counted once a decision. The rules
are those of Kubernetes' plug-in PodTopologySpread.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from reconciler.model.affinity import REFUSING, selects, tolerates
from reconciler.model.node import Node
from reconciler.model.pod import Pod
from reconciler.model.scheduling import TopologySpreadConstraint
from reconciler.model.selector import Selector, from_map
from reconciler.scheduler.snapshot import NodeUse
from reconciler.scheduler.terms import Profile, compiled

SKEWED = "node(s) didn't match pod topology spread constraints"
NO_LABEL = f"{SKEWED} (missing required label)"

HOSTNAME = "kubernetes.io/hostname"


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint; a selector that is None counts no pod."""

    topology_key: str
    max_skew: int
    selector: Selector | None
    min_domains: int
    honor_affinity: bool
    honor_taints: bool

    def count(self, me: Profile, use: NodeUse) -> int:
        """Return how many pods of the node count: those of the namespace that are to stay."""
        if self.selector is None:
            return 0
        return sum(
            number
            for other, number in use.profiles.items()
            if not other.ending
            and other.namespace == me.namespace
            and self.selector.matches(other.labels)
        )

    def includes(self, pod: Pod, use: NodeUse, node: Node) -> bool:
        """Say whether the node counts as a place for the pod (node inclusion policies)."""
        if self.honor_affinity and not selects(pod, node):
            return False
        return not self.honor_taints or all(
            taint.effect not in REFUSING or tolerates(pod.spec.tolerations, taint)
            for taint in use.taints
        )


def constraints_of(pod: Pod, action: str) -> tuple[Constraint, ...]:
    """Return the pod's constraints with `whenUnsatisfiable` equal to `action`."""
    held = pod.spec.topology_spread_constraints
    return tuple(_compiled(pod, item) for item in held if item.when_unsatisfiable == action)


def _compiled(pod: Pod, held: TopologySpreadConstraint) -> Constraint:
    selector, labels = compiled(held.label_selector), pod.metadata.labels
    same = {key: labels[key] for key in held.match_label_keys if key in labels}
    if same:
        known = selector.requirements if selector is not None else ()
        selector = Selector((*from_map(same).requirements, *known))
    return Constraint(
        topology_key=held.topology_key,
        max_skew=held.max_skew,
        selector=selector,
        min_domains=held.min_domains or 1,
        honor_affinity=held.node_affinity_policy != "Ignore",
        honor_taints=held.node_taints_policy == "Honor",
    )


@dataclass(frozen=True, slots=True)
class Spread:
    """For each constraint: pods by domain, the least of them, and whether the pod counts itself."""

    constraints: tuple[Constraint, ...]
    counts: tuple[Mapping[str, int], ...]
    least: tuple[int, ...]
    own: tuple[bool, ...]

    def refusal(self, labels: Mapping[str, str]) -> str:
        """Return why a node with these labels is refused; empty when it is not."""
        columns = zip(self.constraints, self.counts, self.least, self.own, strict=True)
        for constraint, counts, least, own in columns:
            value = labels.get(constraint.topology_key)
            if value is None:
                return NO_LABEL
            if counts.get(value, 0) + own - least > constraint.max_skew:
                return SKEWED
        return ""


def spread_of(pod: Pod, me: Profile, nodes: Sequence[NodeUse]) -> Spread | None:
    """Count what the pod's DoNotSchedule constraints ask about; None when it has none."""
    if not pod.spec.topology_spread_constraints:
        return None
    constraints = constraints_of(pod, "DoNotSchedule")
    if not constraints:
        return None
    counts: tuple[Counter[str], ...] = tuple(Counter() for _ in constraints)
    for use, node in _labelled(nodes, constraints):
        for constraint, found in zip(constraints, counts, strict=True):
            if constraint.includes(pod, use, node):
                found[use.labels[constraint.topology_key]] += constraint.count(me, use)
    least = tuple(_least(c, found) for c, found in zip(constraints, counts, strict=True))
    own = tuple(c.selector is not None and c.selector.matches(me.labels) for c in constraints)
    return Spread(constraints, counts, least, own)


def _least(constraint: Constraint, counts: Mapping[str, int]) -> int:
    """Return the global minimum, which is 0 while there are too few domains (minDomains)."""
    return 0 if len(counts) < constraint.min_domains else min(counts.values())


def _labelled(
    nodes: Sequence[NodeUse], constraints: Sequence[Constraint]
) -> Iterable[tuple[NodeUse, Node]]:
    """Yield the nodes that have every topology key."""
    keys = {constraint.topology_key for constraint in constraints}
    for use in nodes:
        if use.node is not None and keys <= use.labels.keys():
            yield use, use.node


def unevenness(
    pod: Pod, me: Profile, nodes: Sequence[NodeUse], fitting: Sequence[NodeUse]
) -> Sequence[float | None]:
    """Return how crowded each fitting node's domains are by the pod's ScheduleAnyway constraints.

    None for a node that lacks a topology key. A constraint with many domains weighs more.
    """
    constraints = constraints_of(pod, "ScheduleAnyway")
    known = [use for use, _ in _labelled(fitting, constraints)]
    columns = [
        _column(pod, me, nodes, known, constraint, constraints) for constraint in constraints
    ]
    sums = {
        use.name: sum(
            column[use.labels[constraint.topology_key]]
            for constraint, column in zip(constraints, columns, strict=True)
        )
        for use in known
    }
    return [round(sums[use.name]) if use.name in sums else None for use in fitting]


def _column(
    pod: Pod,
    me: Profile,
    nodes: Sequence[NodeUse],
    known: Sequence[NodeUse],
    constraint: Constraint,
    constraints: Sequence[Constraint],
) -> Mapping[str, float]:
    """Return one constraint's share of the score for each value of its topology key."""
    key = constraint.topology_key
    counts = dict.fromkeys((use.labels[key] for use in known), 0)
    for use, node in _labelled(nodes, constraints):
        if use.labels[key] in counts and (key == HOSTNAME or constraint.includes(pod, use, node)):
            counts[use.labels[key]] += constraint.count(me, use)
    weight = math.log(len(counts) + 2)
    return {value: count * weight + (constraint.max_skew - 1) for value, count in counts.items()}
