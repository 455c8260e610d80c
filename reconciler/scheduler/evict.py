"""Makes the victims of a preemption leave, gracefully: Kubernetes' prepareCandidate.

Called by `loop.py`. Each victim is told why in its status and by an event, then deleted with the
grace period of its own.
"""

from __future__ import annotations

from reconciler.client.events import ComponentRecorder
from reconciler.client.protocol import Client, ConflictError, NotFound
from reconciler.model.pod import Pod
from reconciler.model.podstatus import disrupted

_MESSAGE = "default-scheduler: preempting to accommodate a higher priority pod"


async def evict(
    client: Client, victim: Pod, preemptor: Pod, node: str, events: ComponentRecorder, now: str
) -> None:
    """Delete `victim`; one that is gone or leaves already is left alone. Raises `ApiError`."""
    meta = victim.metadata
    if meta.deletion_timestamp is not None:
        return
    try:
        status = disrupted(victim.status, "PreemptionByScheduler", _MESSAGE, now)
        await client.update(victim.replace(status=status), subresource="status")
        await client.delete(Pod, meta.name, meta.namespace, uid=meta.uid)
    except NotFound:
        return
    message = f"Preempted by pod {preemptor.metadata.uid} on node {node}"
    events.event(victim, "Normal", "Preempted", message)


async def withdraw(client: Client, pod: Pod) -> None:
    """Take back that room is kept for `pod`: one of higher priority took it. Raises `ApiError`."""
    if not pod.status.nominated_node_name:
        return
    changed = pod.replace(status=pod.status.replace(nominated_node_name=""))
    try:
        await client.update(changed, subresource="status")
    except (NotFound, ConflictError):
        return
