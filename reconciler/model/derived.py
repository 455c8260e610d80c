"""Objects that the system makes for others, and would make again. Pure.

Sync counts them for nothing where it tells what an end takes along; the registry makes them even
where it makes nothing else any more.
"""

from __future__ import annotations

from reconciler.model.meta import KubeObject

_KINDS = frozenset(("Endpoints", "EndpointSlice", "Event"))
_OF_EACH_NAMESPACE = frozenset((("ServiceAccount", "default"), ("ConfigMap", "kube-root-ca.crt")))


def is_derived(obj: KubeObject) -> bool:
    """Return whether an object follows from another: its controller's, a service's, an event.

    The account and the ConfigMap that each namespace is given (by Kubernetes' serviceaccount and
    root-ca-cert-publisher controllers) count too.
    """
    if obj.kind in _KINDS or (obj.kind, obj.metadata.name) in _OF_EACH_NAMESPACE:
        return True
    return any(owner.controller for owner in obj.metadata.owner_references)
