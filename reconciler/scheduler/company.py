"""Inter-pod affinity: which nodes other pods draw a pod to, or keep it from. Pure.

Called by the filters and scores; what holds for all nodes is counted once a decision. The rules
are those of Kubernetes' plug-in InterPodAffinity.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from reconciler.scheduler.snapshot import NodeUse
from reconciler.scheduler.terms import Profile, Spaces, Term

AFFINITY = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
EXISTING = "node(s) didn't satisfy existing pods anti-affinity rules"

Domain = tuple[str, str]
"""A topology key and its value: the nodes with this label."""

# What a required affinity of a pod that runs is worth to one that it wants (hardPodAffinityWeight).
_REQUIRED_WEIGHT = 1


@dataclass(frozen=True, slots=True)
class Company:
    """How many pods of interest each domain has; `first` says that the pod suits its own terms."""

    affinity: tuple[Term, ...]
    anti_affinity: tuple[Term, ...]
    wanted: Counter[Domain]
    unwanted: Counter[Domain]
    unwelcome: Counter[Domain]
    first: bool

    def refusal(self, labels: Mapping[str, str]) -> str:
        """Return why a node with these labels is refused; empty when it is not."""
        if not self._wants(labels):
            return AFFINITY
        if any(self.unwanted[domain] for domain in _domains(self.anti_affinity, labels)):
            return ANTI_AFFINITY
        if any(labels.get(key) == value for key, value in self.unwelcome):
            return EXISTING
        return ""

    def _wants(self, labels: Mapping[str, str]) -> bool:
        """Say whether affinity takes the node.

        The first of pods that want each other may go anywhere where the topology is known.
        """
        if any(term.topology_key not in labels for term in self.affinity):
            return False
        found = all(self.wanted[domain] for domain in _domains(self.affinity, labels))
        return found or (not self.wanted and self.first)


def _domains(terms: Iterable[Term], labels: Mapping[str, str]) -> Iterable[Domain]:
    for term in terms:
        value = labels.get(term.topology_key)
        if value is not None:
            yield term.topology_key, value


def company_of(me: Profile, nodes: Sequence[NodeUse], spaces: Spaces) -> Company | None:
    """Count the pods that matter to required terms, theirs and the pod's own; None if none do."""
    terms = me.terms
    unwelcome = _unwelcome(me, nodes, spaces)
    if not (terms.affinity or terms.anti_affinity or unwelcome):
        return None
    wanted: Counter[Domain] = Counter()
    unwanted: Counter[Domain] = Counter()
    for use in nodes:
        labels = use.labels
        for other, number in use.profiles.items() if terms.affinity or terms.anti_affinity else ():
            if terms.affinity and all(term.takes(other, spaces) for term in terms.affinity):
                for domain in _domains(terms.affinity, labels):
                    wanted[domain] += number
            taken = [term for term in terms.anti_affinity if term.takes(other, spaces)]
            for domain in _domains(taken, labels):
                unwanted[domain] += number
    first = all(term.takes(me, spaces) for term in terms.affinity)
    return Company(terms.affinity, terms.anti_affinity, wanted, unwanted, unwelcome, first)


def _unwelcome(me: Profile, nodes: Sequence[NodeUse], spaces: Spaces) -> Counter[Domain]:
    """Count the pods of each domain whose own required anti-affinity is about this pod."""
    found: Counter[Domain] = Counter()
    for use in nodes:
        for other, number in use.choosy.items():
            taken = [term for term in other.terms.anti_affinity if term.takes(me, spaces)]
            for domain in _domains(taken, use.labels):
                found[domain] += number
    return found


def attraction(me: Profile, nodes: Sequence[NodeUse], spaces: Spaces) -> Counter[Domain]:
    """Return the sum of weights of each domain, by the pod's own terms and by those of others."""
    found: Counter[Domain] = Counter()
    for use in nodes:
        for other, number in (use.profiles if me.terms.preferred else use.choosy).items():
            for term in _interested(me, other, spaces):
                for domain in _domains((term,), use.labels):
                    found[domain] += number * (term.weight or _REQUIRED_WEIGHT)
    return found


def _interested(me: Profile, other: Profile, spaces: Spaces) -> Iterable[Term]:
    """Yield the terms of either pod that are about the other and count for the score."""
    yield from (term for term in me.terms.preferred if term.takes(other, spaces))
    if other.terms:
        theirs = (*other.terms.affinity, *other.terms.preferred)
        yield from (term for term in theirs if term.takes(me, spaces))
