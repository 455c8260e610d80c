"""What a pod is to other pods, and what it asks of them: inter-pod affinity in compiled form. Pure.

Made when a pod enters the snapshot and when it is to be placed. Pods that are alike have equal
profiles, so that a thousand of one controller are looked at once a node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from reconciler.model.pod import Pod
from reconciler.model.scheduling import PodAffinity, PodAffinityTerm, PodAntiAffinity
from reconciler.model.selector import LabelSelector, Selector, from_label_selector

Spaces = Mapping[str, Mapping[str, str]]
"""The labels of each namespace."""


@dataclass(frozen=True, slots=True)
class Term:
    """One affinity term. A selector that is None matches nothing; `weight` is 0 when required."""

    topology_key: str
    selector: Selector | None
    namespaces: frozenset[str]
    namespace_selector: Selector | None
    weight: int = 0

    def takes(self, other: Profile, spaces: Spaces) -> bool:
        """Say whether the term is about the other pod (AffinityTerm.Matches)."""
        return (
            self.selector is not None
            and self._reaches(other.namespace, spaces)
            and self.selector.matches(other.labels)
        )

    def _reaches(self, namespace: str, spaces: Spaces) -> bool:
        if namespace in self.namespaces:
            return True
        chosen = self.namespace_selector
        return chosen is not None and chosen.matches(spaces.get(namespace, {}))


@dataclass(frozen=True, slots=True)
class Terms:
    """All terms of a pod; in `preferred` those of anti-affinity have negative weights."""

    affinity: tuple[Term, ...] = ()
    anti_affinity: tuple[Term, ...] = ()
    preferred: tuple[Term, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.affinity or self.anti_affinity or self.preferred)


NO_TERMS = Terms()


@dataclass(frozen=True, slots=True)
class Profile:
    """What pods see of each other; `marks` are the labels again, to compare by."""

    namespace: str
    marks: frozenset[tuple[str, str]]
    ending: bool
    terms: Terms
    labels: Mapping[str, str] = field(compare=False)


def profile_of(pod: Pod) -> Profile:
    """Return the pod's profile."""
    meta = pod.metadata
    return Profile(
        namespace=meta.namespace,
        marks=frozenset(meta.labels.items()),
        ending=meta.deletion_timestamp is not None,
        terms=terms_of(pod),
        labels=meta.labels,
    )


def terms_of(pod: Pod) -> Terms:
    """Return what the pod asks of others."""
    held, space = pod.spec.affinity, pod.metadata.namespace
    if held is None or (held.pod_affinity is None and held.pod_anti_affinity is None):
        return NO_TERMS
    near = held.pod_affinity or PodAffinity()
    far = held.pod_anti_affinity or PodAntiAffinity()
    return Terms(
        affinity=_required(near, space),
        anti_affinity=_required(far, space),
        preferred=(*_preferred(near, space, 1), *_preferred(far, space, -1)),
    )


def _required(held: PodAffinity | PodAntiAffinity, space: str) -> tuple[Term, ...]:
    terms = held.required_during_scheduling_ignored_during_execution
    return tuple(_term(term, space, 0) for term in terms)


def _preferred(held: PodAffinity | PodAntiAffinity, space: str, sign: int) -> Iterable[Term]:
    for item in held.preferred_during_scheduling_ignored_during_execution:
        yield _term(item.pod_affinity_term, space, sign * item.weight)


def _term(held: PodAffinityTerm, space: str, weight: int) -> Term:
    """Compile; a term that names no namespaces in any way means the pod's own."""
    chosen = held.namespace_selector
    named = held.namespaces or ((space,) if chosen is None else ())
    return Term(
        held.topology_key, compiled(held.label_selector), frozenset(named), compiled(chosen), weight
    )


def compiled(selector: LabelSelector | None) -> Selector | None:
    """Return the selector in the form that matches; None for one that is absent."""
    return from_label_selector(selector) if selector is not None else None
