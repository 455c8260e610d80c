"""This node's Lease in `kube-node-lease`: renewed every ten seconds, which is the node's heartbeat.

Called by `node.py`. As Kubernetes' kubelet has it: the node's status is written when it changes,
and the Lease, which is small and which few read, tells that the node lives.
"""

from __future__ import annotations

from reconciler.client.protocol import Client, NotFound
from reconciler.core.clock import Clock
from reconciler.model.lease import NODE_LEASES, Lease, LeaseSpec
from reconciler.model.meta import ObjectMeta, OwnerReference
from reconciler.model.node import Node
from reconciler.model.time import format_micro_time

SECONDS = 40
"""Kubernetes' nodeLeaseDurationSeconds: the node is silent when it was not renewed for so long."""


async def renew(client: Client, clock: Clock, node: Node, manager: str) -> None:
    """Write that the node lives, as of now; raises `ApiError`."""
    name, now = node.metadata.name, format_micro_time(clock.now())
    spec = LeaseSpec(holder_identity=name, lease_duration_seconds=SECONDS, renew_time=now)
    owner = OwnerReference(api_version="v1", kind="Node", name=name, uid=node.metadata.uid)
    try:
        lease = await client.get(Lease, name, NODE_LEASES)
    except NotFound:
        meta = ObjectMeta(name=name, namespace=NODE_LEASES, owner_references=(owner,))
        await client.create(Lease(metadata=meta, spec=spec), manager=manager)
        return
    meta = lease.metadata.replace(owner_references=(owner,))
    await client.update(lease.replace(metadata=meta, spec=spec), manager=manager)
