"""What one object holds exclusively, so that another can have it only afterwards. Pure.

Called by the planner to find deletions that must come before anything is applied.
"""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.meta import KubeObject
from reconciler.model.service import Service

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
