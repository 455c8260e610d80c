"""A pod to place, with all that its filters and scores ask of the whole cluster. Pure.

Made once a decision by `decision.py` and for each trial by `preemption.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from reconciler.model.demand import Demand, demand_of
from reconciler.model.pod import Pod
from reconciler.scheduler.company import Company, company_of
from reconciler.scheduler.snapshot import NodeUse
from reconciler.scheduler.spreading import Spread, spread_of
from reconciler.scheduler.terms import Profile, Spaces, profile_of
from reconciler.scheduler.volumes import NONE, PodVolumes


@dataclass(frozen=True, slots=True)
class Request:
    """A pod to place, what it asks for, and the nodes with their pods as they are.

    `company` and `spread` are None when no rule of that kind concerns the pod.
    """

    pod: Pod
    demand: Demand
    profile: Profile
    nodes: Sequence[NodeUse]
    volumes: PodVolumes = NONE
    spaces: Spaces = field(default_factory=dict)
    company: Company | None = None
    spread: Spread | None = None


def request_of(pod: Pod, nodes: Sequence[NodeUse], volumes: PodVolumes, spaces: Spaces) -> Request:
    """Return the request of a pod to the nodes (PreFilter)."""
    me = profile_of(pod)
    company, spread = company_of(me, nodes, spaces), spread_of(pod, me, nodes)
    return Request(pod, demand_of(pod), me, nodes, volumes, spaces, company, spread)
