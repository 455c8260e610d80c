"""Limits on ephemeral-storage, and what the kubelet says of who exceeds them. Pure.

Called by `eviction.py`. Kubernetes' podEphemeralStorageLimitEviction and
containerEphemeralStorageLimitEviction: a container counts with its writable layer and its logs,
the pod with all of its containers and its volumes on the disk.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model.pod import Pod
from reconciler.model.quantity import to_int
from reconciler.model.usage import pod_limits

_STORAGE = "ephemeral-storage"


def is_limited(pod: Pod) -> bool:
    """Tell whether there is anything to measure."""
    return any(_STORAGE in container.resources.limits for container in pod.spec.containers)


def excess(pod: Pod, layers: Mapping[str, int], folder: int) -> str:
    """Return why the pod is to be evicted; empty while it holds to its limits.

    `layers` are the bytes of each container, `folder` those of the pod's volumes.
    """
    limit = pod_limits(pod).get(_STORAGE)
    if limit is not None and sum(layers.values()) + folder > to_int(limit):
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {limit}. "
    for container in pod.spec.containers:
        own = container.resources.limits.get(_STORAGE)
        if own is not None and 0 < to_int(own) < layers.get(container.name, 0):
            return (
                f'Container {container.name} exceeded its local ephemeral storage limit "{own}". '
            )
    return ""
