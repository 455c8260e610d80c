"""Node selectors, node affinity and tolerations: does this pod go with this node? Pure.

Called by the scheduler's filters and scores, by the kubelet and by plans. The rules are
Kubernetes' nodeaffinity and v1helper packages'.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.model.node import Node, Taint
from reconciler.model.pod import Pod
from reconciler.model.scheduling import NodeSelectorRequirement, NodeSelectorTerm, Toleration
from reconciler.model.selector import Operator, Requirement

REFUSING = ("NoSchedule", "NoExecute")
"""The effects of taints that keep a pod off a node."""

_OPERATORS: dict[str, Operator] = {
    "In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!", "Gt": "gt", "Lt": "lt",
}  # fmt: skip


def selects(pod: Pod, node: Node) -> bool:
    """Say whether the pod's nodeSelector and required node affinity take the node."""
    if not pod.spec.node_selector.items() <= node.metadata.labels.items():
        return False
    affinity = pod.spec.affinity.node_affinity if pod.spec.affinity is not None else None
    if affinity is None:
        return True
    required = affinity.required_during_scheduling_ignored_during_execution
    return required is None or any(
        term_matches(term, node) for term in required.node_selector_terms
    )


def preference(pod: Pod, node: Node) -> int:
    """Return the sum of the weights of the pod's preferred terms that the node meets."""
    affinity = pod.spec.affinity.node_affinity if pod.spec.affinity is not None else None
    if affinity is None:
        return 0
    terms = affinity.preferred_during_scheduling_ignored_during_execution
    return sum(term.weight for term in terms if term_matches(term.preference, node))


def term_matches(term: NodeSelectorTerm, node: Node) -> bool:
    """Say whether the node meets every requirement of the term; an empty term takes no node."""
    if not term.match_expressions and not term.match_fields:
        return False
    fields = {"metadata.name": node.metadata.name}
    return _meets(term.match_expressions, node.metadata.labels) and _meets(
        term.match_fields, fields
    )


def _meets(requirements: Iterable[NodeSelectorRequirement], values: Mapping[str, str]) -> bool:
    return all(
        Requirement(item.key, _OPERATORS[item.operator], item.values).matches(values)
        for item in requirements
    )


def tolerates(tolerations: Iterable[Toleration], taint: Taint) -> bool:
    """Say whether one of `tolerations` covers `taint` (ToleratesTaint)."""
    return any(
        (not item.effect or item.effect == taint.effect)
        and (not item.key or item.key == taint.key)
        and (item.operator == "Exists" or item.value == taint.value)
        for item in tolerations
    )
