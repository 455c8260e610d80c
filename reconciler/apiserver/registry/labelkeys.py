"""Pod affinity by the pod's own labels: matchLabelKeys and mismatchLabelKeys. Pure.

Called by the pod strategy. Follows Kubernetes' applyMatchLabelKeysAndMismatchLabelKeys: the keys
become requirements of the term's selector, with the values that the pod itself has. A template
never gets them, and topology spread constraints are read by the scheduler as they stand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from reconciler.model.pod import PodSpec
from reconciler.model.scheduling import (
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
    WeightedPodAffinityTerm,
)
from reconciler.model.selector import LabelSelectorRequirement

A = TypeVar("A", PodAffinity, PodAntiAffinity)


def with_label_keys(spec: PodSpec, labels: Mapping[str, str]) -> PodSpec:
    """Return the spec with the keys of its affinity terms turned into requirements, once."""
    held = spec.affinity
    if held is None or (held.pod_affinity is None and held.pod_anti_affinity is None):
        return spec
    near, far = held.pod_affinity, held.pod_anti_affinity
    changed = held.replace(
        pod_affinity=near and _affinity(near, labels),
        pod_anti_affinity=far and _affinity(far, labels),
    )
    return spec if changed == held else spec.replace(affinity=changed)


def _affinity(held: A, labels: Mapping[str, str]) -> A:
    required = held.required_during_scheduling_ignored_during_execution
    preferred = held.preferred_during_scheduling_ignored_during_execution
    return held.replace(
        required_during_scheduling_ignored_during_execution=tuple(
            _term(term, labels) for term in required
        ),
        preferred_during_scheduling_ignored_during_execution=tuple(
            _weighted(term, labels) for term in preferred
        ),
    )


def _weighted(held: WeightedPodAffinityTerm, labels: Mapping[str, str]) -> WeightedPodAffinityTerm:
    return held.replace(pod_affinity_term=_term(held.pod_affinity_term, labels))


def _term(held: PodAffinityTerm, labels: Mapping[str, str]) -> PodAffinityTerm:
    selector = held.label_selector
    if selector is None:
        return held
    asked = (
        *(("In", key) for key in held.match_label_keys),
        *(("NotIn", key) for key in held.mismatch_label_keys),
    )
    added = tuple(
        LabelSelectorRequirement(key=key, operator=operator, values=(labels[key],))
        for operator, key in asked
        if key in labels
    )
    missing = tuple(item for item in added if item not in selector.match_expressions)
    if not missing:
        return held
    expressions = (*selector.match_expressions, *missing)
    return held.replace(label_selector=selector.replace(match_expressions=expressions))
