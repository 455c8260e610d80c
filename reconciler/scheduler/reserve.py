"""Reserves on the chosen node what a pod's claims wait for: Kubernetes' BindPodVolumes.

Called by `loop.py` before it binds the pod. A volume that is there is bound beforehand to the
claim; a claim that needs a new one is told the node. The volume controller does the rest, and the
scheduler binds the pod once the claims are bound.
"""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.client.protocol import Client
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.storage import ClaimReference, PersistentVolume
from reconciler.model.volumebinding import BOUND_BY_CONTROLLER, SELECTED_NODE
from reconciler.scheduler.volumes import Reservation


async def reserve(client: Client, reservations: Iterable[Reservation], node: str) -> None:
    """Write the reservations; what is reserved already is not written. Raises `ApiError`."""
    for reservation in reservations:
        if reservation.volume is not None:
            await client.update(_reserved(reservation.volume, reservation.claim))
        elif reservation.claim.metadata.annotations.get(SELECTED_NODE) != node:
            await client.update(_selected(reservation.claim, node))


def _reserved(volume: PersistentVolume, claim: PersistentVolumeClaim) -> PersistentVolume:
    meta, known = volume.metadata, volume.spec.claim_ref
    if known is not None and known.uid:
        return volume
    if known is None:
        notes = {**meta.annotations, BOUND_BY_CONTROLLER: "yes"}
        meta = meta.replace(annotations=notes)
    reference = ClaimReference(
        kind="PersistentVolumeClaim",
        api_version="v1",
        namespace=claim.metadata.namespace,
        name=claim.metadata.name,
        uid=claim.metadata.uid,
    )
    return volume.replace(metadata=meta, spec=volume.spec.replace(claim_ref=reference))


def _selected(claim: PersistentVolumeClaim, node: str) -> PersistentVolumeClaim:
    notes = {**claim.metadata.annotations, SELECTED_NODE: node}
    return claim.replace(metadata=claim.metadata.replace(annotations=notes))
