"""Which of several nodes is best for a pod. Pure.

Called by `decision.py` with the nodes that can take the pod, at least two. Each score gives 0 to
100 a node, the higher the better; a new one is a function and its weight in `SCORES`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reconciler.model.affinity import preference, tolerates
from reconciler.model.demand import CPU, MEMORY
from reconciler.model.node import Node
from reconciler.scheduler.company import attraction
from reconciler.scheduler.request import Request
from reconciler.scheduler.snapshot import NodeUse, owner_of
from reconciler.scheduler.spreading import unevenness

Candidates = Sequence[tuple[NodeUse, Node]]
Score = Callable[[Request, Candidates], Sequence[float]]

_BEST = 100.0


def least_allocated(request: Request, nodes: Candidates) -> Sequence[float]:
    """Prefer free CPU and memory, each half of the score (LeastAllocated)."""
    cpu, memory = request.demand.scored_cpu, request.demand.scored_memory
    return [
        (
            _free(use.allocatable.get(CPU, 0), use.scored_cpu + cpu)
            + _free(use.allocatable.get(MEMORY, 0), use.scored_memory + memory)
        )
        / 2
        for use, _ in nodes
    ]


def _free(allocatable: int, used: int) -> float:
    return max(allocatable - used, 0) / allocatable * _BEST if allocatable > 0 else 0.0


def spread(request: Request, nodes: Candidates) -> Sequence[float]:
    """Prefer nodes with fewer pods of the same controller, as pods without a word on it expect.

    A pod's own topology spread constraints take the place of this (SelectorSpread).
    """
    told = request.pod.spec.topology_spread_constraints
    owner = owner_of(request.pod.metadata) if not told else ""
    return _fewer_is_better([use.owners[owner] if owner else 0 for use, _ in nodes])


def preferred_affinity(request: Request, nodes: Candidates) -> Sequence[float]:
    """Prefer nodes that the pod's preferred node affinity names, by weight."""
    weights = [preference(request.pod, node) for _, node in nodes]
    most = max(weights)
    return [weight / most * _BEST if most > 0 else 0.0 for weight in weights]


def preferred_taints(request: Request, nodes: Candidates) -> Sequence[float]:
    """Prefer nodes with fewer PreferNoSchedule taints that the pod does not tolerate."""
    tolerations = request.pod.spec.tolerations
    return _fewer_is_better(
        [
            sum(
                t.effect == "PreferNoSchedule" and not tolerates(tolerations, t) for t in use.taints
            )
            for use, _ in nodes
        ]
    )


def attracted(request: Request, nodes: Candidates) -> Sequence[float]:
    """Prefer nodes by the preferred terms of pods for each other (InterPodAffinity)."""
    if not request.profile.terms.preferred and not any(use.choosy for use in request.nodes):
        return [0.0] * len(nodes)
    weights = attraction(request.profile, request.nodes, request.spaces)
    sums = [
        sum(weight for (key, value), weight in weights.items() if use.labels.get(key) == value)
        for use, _ in nodes
    ]
    least, most = min(sums), max(sums)
    return [(each - least) / (most - least) * _BEST if most > least else 0.0 for each in sums]


def evenness(request: Request, nodes: Candidates) -> Sequence[float]:
    """Prefer nodes by the ScheduleAnyway constraints of the pod (PodTopologySpread)."""
    if not request.pod.spec.topology_spread_constraints:
        return [0.0] * len(nodes)
    fitting = [use for use, _ in nodes]
    found = unevenness(request.pod, request.profile, request.nodes, fitting)
    known = [each for each in found if each is not None]
    least, most = min(known, default=0.0), max(known, default=0.0)
    return [
        0.0 if each is None else (most + least - each) / most * _BEST if most else _BEST
        for each in found
    ]


def _fewer_is_better(counts: Sequence[int]) -> Sequence[float]:
    most = max(counts)
    return [(most - count) / most * _BEST if most else _BEST for count in counts]


SCORES: tuple[tuple[Score, float], ...] = (
    (least_allocated, 1),
    (spread, 2),
    (preferred_affinity, 2),
    (preferred_taints, 3),
    (attracted, 2),
    (evenness, 2),
)


def total(request: Request, nodes: Candidates) -> Sequence[float]:
    """Return the weighted sum of all scores for each node."""
    columns = [(score(request, nodes), weight) for score, weight in SCORES]
    return [
        sum(column[index] * weight for column, weight in columns) for index in range(len(nodes))
    ]
