"""Where a pod goes: filters, then scores, then a tie-break that a seed fixes. Pure.

Called by `loop.py`. The same pod, nodes and seed give the same answer.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.model.node import Node
from reconciler.model.pod import Pod
from reconciler.scheduler.filters import Refusal, refuse
from reconciler.scheduler.request import Request, request_of
from reconciler.scheduler.scores import Candidates, total
from reconciler.scheduler.snapshot import NodeUse
from reconciler.scheduler.terms import Spaces
from reconciler.scheduler.volumes import NONE, PodVolumes

NO_NODES = "no nodes available to schedule pods"


@dataclass(frozen=True, slots=True)
class Placed:
    """The pod goes to `node`."""

    node: str


@dataclass(frozen=True, slots=True)
class Refused:
    """No node takes the pod; `message` says why in Kubernetes' words, `by_node` each node's why."""

    message: str
    request: Request
    by_node: Mapping[str, Refusal] = field(default_factory=dict)


Decision = Placed | Refused


def decide(
    pod: Pod,
    nodes: Sequence[NodeUse],
    seed: int,
    volumes: PodVolumes = NONE,
    *,
    spaces: Spaces | None = None,
    crowded: Mapping[str, NodeUse] | None = None,
) -> Decision:
    """Choose one of `nodes` for `pod`, whose claims mean `volumes`.

    `spaces` are the labels of the namespaces; `crowded` has the nodes on which room is kept for
    other pods, as they will be with these.
    """
    known = [use for use in nodes if use.node is not None]
    request = request_of(pod, known, volumes, spaces or {})
    if volumes.fault:
        final = Refusal((volumes.fault,), final=True)
        message = f"0/{len(known)} nodes are available: {volumes.fault}." if known else NO_NODES
        return Refused(message, request, {use.name: final for use in known})
    fitting: list[tuple[NodeUse, Node]] = []
    refusals: dict[str, Refusal] = {}
    for use in known:
        if use.node is not None:
            full = (crowded or {}).get(use.name)
            found = refuse(request, full, use.node) if full is not None else None
            found = found or refuse(request, use, use.node)
            if found is not None:
                refusals[use.name] = found
            else:
                fitting.append((use, use.node))
    if not fitting:
        return Refused(explain(refusals.values()), request, refusals)
    return Placed(_best(request, fitting, seed))


def explain(refusals: Iterable[Refusal]) -> str:
    """Return Kubernetes' FitError: how many nodes refused, and how many for each reason."""
    held = list(refusals)
    if not held:
        return NO_NODES
    counts = Counter(reason for refusal in held for reason in refusal.reasons)
    told = ", ".join(sorted(f"{number} {reason}" for reason, number in counts.items()))
    return f"0/{len(held)} nodes are available: {told}."


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
