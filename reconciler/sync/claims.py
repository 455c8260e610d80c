"""What one object holds exclusively, so that another can have it only afterwards. Pure.

Called by the planner to find deletions that must come before anything is applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reconciler.desired.objects import DesiredObject
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.model.retirement import is_retired
from reconciler.model.service import Service
from reconciler.sync.actions import Action, Adopt, Apply, Create, Prune, Retire

Claim = tuple[str, str]


def claims_of(obj: KubeObject) -> frozenset[Claim]:
    """Return the addresses and ports of which the cluster gives out only one, as `obj` has them."""
    if not isinstance(obj, Service):
        return frozenset()
    spec = obj.spec
    ports = {(f"nodePort/{port.protocol}", str(port.node_port)) for port in spec.ports}
    address = {("clusterIP", spec.cluster_ip)}
    return frozenset(claim for claim in ports | address if claim[1] not in ("", "0", "None"))


def all_claims(objects: Iterable[KubeObject]) -> frozenset[Claim]:
    """Return the claims of `objects` together."""
    return frozenset(claim for obj in objects for claim in claims_of(obj))


def urgent(
    actions: Sequence[Action],
    desired: Mapping[ObjectKey, DesiredObject],
    live: Mapping[ObjectKey, KubeObject],
    owned: Iterable[ObjectKey],
) -> Sequence[Action]:
    """Let what holds a claim that a written object needs go first, though it might rest.

    `owned` are the keys of the inventory.
    """
    written = [a.key for a in actions if isinstance(a, Create | Apply | Adopt)]
    needed = all_claims(desired[key].obj for key in written)
    if not needed:
        return actions
    leaving = [a.key for a in actions if isinstance(a, Prune | Retire)]
    resting = [key for key in owned if key not in desired and is_retired(live[key])]
    holders = {k: None for k in (*leaving, *resting) if claims_of(live[k]) & needed}
    first = [Prune(k, live[k].metadata.uid, "Background", first=True) for k in holders]
    return [*(a for a in actions if a.key not in holders), *first]
