"""How an object names its controller: Kubernetes' NewControllerRef. Pure."""

from __future__ import annotations

from reconciler.model.meta import KubeObject, OwnerReference


def owner_reference(owner: KubeObject) -> OwnerReference:
    """Return the reference that makes `owner` the controller of another object."""
    return OwnerReference(
        api_version=owner.api_version,
        kind=owner.kind,
        name=owner.metadata.name,
        uid=owner.metadata.uid,
        controller=True,
        block_owner_deletion=True,
    )
