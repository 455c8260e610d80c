"""What of a pod only one may hold at a time, so that a successor waits until it is gone. Pure.

Called by the replication controller, which then stops an old pod before it makes a new one, and by
sync's plan, which says that there is a gap.
"""

from __future__ import annotations

from collections.abc import Callable

from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.pod import PodSpec

_SHARED = frozenset(("ReadWriteMany", "ReadOnlyMany"))

Claims = Callable[[str], PersistentVolumeClaim | None]
"""From a claim's name in the pod's namespace to the claim, None when there is none."""


def exclusive(spec: PodSpec, claims: Claims) -> str:
    """Return what the pod holds alone (a host port, a single-writer claim it writes), or ""."""
    for container in spec.containers:
        for port in container.ports:
            if port.host_port:
                return f"host port {port.host_port}/{port.protocol}"
    for volume in spec.volumes:
        source = volume.persistent_volume_claim
        if source is None or source.read_only:
            continue
        claim = claims(source.claim_name)
        if claim is not None and not _SHARED.intersection(claim.spec.access_modes):
            return f"claim {source.claim_name}"
    return ""
