"""Which pods of lower priority have to go so that a pod fits: Kubernetes' DefaultPreemption. Pure.

Called by `loop.py` when every node refused a pod. There are no disruption budgets to respect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from reconciler.scheduler.decision import explain
from reconciler.scheduler.filters import Refusal, refuse
from reconciler.scheduler.request import Request, request_of
from reconciler.scheduler.snapshot import NodeUse, Tenant, priority_of

NO_VICTIMS = "No preemption victims found for incoming pod"
NOT_HELPFUL = "Preemption is not helpful for scheduling"
NEVER = "not eligible due to preemptionPolicy=Never."
UNDER_WAY = "not eligible due to a terminating pod on the nominated node."

# Added to each priority in a sum, so that many victims of negative priority are worse than few.
_OFFSET = 2**31


@dataclass(frozen=True, slots=True)
class Preemption:
    """`victims`, the most important first, are to leave `node`."""

    node: str
    victims: tuple[Tenant, ...]


@dataclass(frozen=True, slots=True)
class NoPreemption:
    """Nobody is to leave; `message` says why in Kubernetes' words.

    `hopeless`: no node would take the pod, so that room is kept for it on none any more.
    """

    message: str
    hopeless: bool = False


def preempt(
    request: Request,
    refusals: Mapping[str, Refusal],
    tenants: Mapping[str, Mapping[str, Tenant]],
    crowded: Mapping[str, NodeUse],
) -> Preemption | NoPreemption:
    """Return what is to be done for a pod that every node refused.

    `tenants` are the pods by node; `crowded` has the nodes on which room is kept for others.
    """
    told = _ineligible(request, refusals, tenants)
    if told:
        return NoPreemption(told)
    found: list[Preemption] = []
    failures: list[Refusal] = []
    for use in request.nodes:
        if refusals[use.name].final:
            failures.append(Refusal((NOT_HELPFUL,), final=True))
            continue
        here = tenants.get(use.name, {}).values()
        trial = _victims(request, crowded.get(use.name, use), here)
        if isinstance(trial, Refusal):
            failures.append(trial)
        else:
            found.append(Preemption(use.name, trial))
    return _gentlest(found) if found else NoPreemption(explain(failures), hopeless=True)


def _ineligible(
    request: Request,
    refusals: Mapping[str, Refusal],
    tenants: Mapping[str, Mapping[str, Tenant]],
) -> str:
    """PodEligibleToPreemptOthers: one preemption at a time, and none for who wants none."""
    pod = request.pod
    if pod.spec.preemption_policy == "Never":
        return NEVER
    nominated = pod.status.nominated_node_name
    if nominated in refusals and not refusals[nominated].final:
        here = tenants.get(nominated, {}).values()
        lower = (t for t in here if t.priority < priority_of(pod))
        if any(tenant.profile.ending for tenant in lower):
            return UNDER_WAY
    return ""


def _victims(
    request: Request, use: NodeUse, tenants: Iterable[Tenant]
) -> tuple[Tenant, ...] | Refusal:
    """SelectVictimsOnNode: take all lower pods away, then give back all that can stay."""
    lower = [tenant for tenant in tenants if tenant.priority < priority_of(request.pod)]
    if not lower:
        return Refusal((NO_VICTIMS,))
    trial = use.copy()
    for tenant in lower:
        trial.count(tenant, -1)
    found = _refused(request, trial)
    if found is not None:
        return found
    victims = []
    for tenant in sorted(lower, key=lambda each: (-each.priority, each.since, each.name)):
        trial.count(tenant, 1)
        if _refused(request, trial) is not None:
            trial.count(tenant, -1)
            victims.append(tenant)
    return tuple(victims)


def _refused(request: Request, trial: NodeUse) -> Refusal | None:
    """Say whether the node, as it would be, refuses the pod; all rules are counted anew."""
    nodes = [trial if use.name == trial.name else use for use in request.nodes]
    again = request_of(request.pod, nodes, request.volumes, request.spaces)
    return refuse(again, trial, trial.node) if trial.node is not None else Refusal((NOT_HELPFUL,))


def _gentlest(found: Sequence[Preemption]) -> Preemption:
    """PickOneNodeForPreemption: the least important victims, then the fewest, then the youngest."""

    def cost(each: Preemption) -> tuple[int, int, int]:
        priorities = [victim.priority for victim in each.victims]
        highest = max(priorities, default=-_OFFSET)
        return highest, sum(priority + _OFFSET for priority in priorities), len(priorities)

    least = min(map(cost, found))
    return max((each for each in found if cost(each) == least), key=_eldest)


def _eldest(each: Preemption) -> str:
    """Return since when the longest-lived of its most important victims is there."""
    highest = max((victim.priority for victim in each.victims), default=0)
    return min((v.since for v in each.victims if v.priority == highest), default="")


def displaced(
    nominated: Sequence[Tenant], preemption: Preemption, priority: int
) -> tuple[Tenant, ...]:
    """Return the pods of lower priority for which room was kept on the node that is taken now."""
    return tuple(
        each for each in nominated if each.node == preemption.node and each.priority < priority
    )
