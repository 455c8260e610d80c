"""The order of kinds: what others need comes first, and goes last. Pure.

Called by the planner. Within one rank objects do not depend on one another and are written side
by side.
"""

from __future__ import annotations

_ORDER: tuple[tuple[str, ...], ...] = (
    ("Namespace",),
    ("ResourceQuota", "LimitRange"),
    ("ServiceAccount",),
    ("Role.rbac.authorization.k8s.io", "ClusterRole.rbac.authorization.k8s.io"),
    ("RoleBinding.rbac.authorization.k8s.io", "ClusterRoleBinding.rbac.authorization.k8s.io"),
    ("Secret", "ConfigMap", "PodTemplate"),
    ("StorageClass.storage.k8s.io", "PriorityClass.scheduling.k8s.io"),
    ("PersistentVolume",),
    ("PersistentVolumeClaim",),
    ("Service",),
    ("Endpoints", "EndpointSlice.discovery.k8s.io"),
    ("ReplicationController",),
    ("Pod",),
    ("Source.gitops.reconciler.dev",),
)
_RANKS = {kind: rank for rank, kinds in enumerate(_ORDER) for kind in kinds}
_OTHERS = _RANKS["Service"]


def rank(kind: str) -> int:
    """Return the place of an `ObjectKey.kind`; a kind without a place of its own goes with Service.

    Apply in rising, prune in falling order.
    """
    return _RANKS.get(kind, _OTHERS)
