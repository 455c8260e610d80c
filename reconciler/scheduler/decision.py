"""Where a pod goes: filters, then scores, then a tie-break that a seed fixes. Pure.

Called by `loop.py`. The same pod, nodes and seed give the same answer.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler.model.node import Node
from reconciler.model.pod import Pod
from reconciler.scheduler.demand import demand_of
from reconciler.scheduler.filters import Reasons, Request, refuse
from reconciler.scheduler.scores import Candidates, total
from reconciler.scheduler.snapshot import NodeUse
from reconciler.scheduler.volumes import NONE, PodVolumes

NO_NODES = "no nodes available to schedule pods"


@dataclass(frozen=True, slots=True)
class Placed:
    """The pod goes to `node`."""

    node: str


@dataclass(frozen=True, slots=True)
class Refused:
    """No node takes the pod; `message` says why in Kubernetes' words."""

    message: str


Decision = Placed | Refused


def decide(pod: Pod, nodes: Sequence[NodeUse], seed: int, volumes: PodVolumes = NONE) -> Decision:
    """Choose one of `nodes` for `pod`, whose claims mean `volumes`."""
    request = Request(pod, demand_of(pod), volumes)
    known = sum(use.node is not None for use in nodes)
    if volumes.fault and known:
        return Refused(f"0/{known} nodes are available: {volumes.fault}.")
    fitting: list[tuple[NodeUse, Node]] = []
    refusals: list[Reasons] = []
    for use in nodes:
        if use.node is None:
            continue
        reasons = refuse(request, use, use.node)
        if reasons:
            refusals.append(reasons)
        else:
            fitting.append((use, use.node))
    if not fitting:
        return Refused(explain(refusals))
    return Placed(_best(request, fitting, seed))


def explain(refusals: Sequence[Reasons]) -> str:
    """Return Kubernetes' FitError: how many nodes refused, and how many for each reason."""
    if not refusals:
        return NO_NODES
    counts = Counter(reason for reasons in refusals for reason in reasons)
    return f"0/{len(refusals)} nodes are available: {_join(counts.items())}."


def _join(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(sorted(f"{number} {reason}" for reason, number in counts))


def _best(request: Request, nodes: Candidates, seed: int) -> str:
    if len(nodes) == 1:
        return nodes[0][0].name
    scores = total(request, nodes)
    uid = request.pod.metadata.uid
    ranked = [
        (score, zlib.crc32(f"{seed}/{uid}/{use.name}".encode()), use.name)
        for score, (use, _) in zip(scores, nodes, strict=True)
    ]
    return max(ranked)[2]
