"""Which kinds a source may declare, beyond being known. Pure."""

from __future__ import annotations

from reconciler.model.kinds import Resource

_MADE_HERE = "is made by the daemon itself and cannot be declared"
_REFUSED = {
    "Event": _MADE_HERE,
    "Event.events.k8s.io": _MADE_HERE,
    "ImagePull.gitops.reconciler.dev": _MADE_HERE,
    "ProxyState.gitops.reconciler.dev": _MADE_HERE,
    "Revision.gitops.reconciler.dev": _MADE_HERE,
}


def refusal(resource: Resource) -> str:
    """Return why a source may not declare this kind, or nothing."""
    reason = _REFUSED.get(resource.key_kind)
    return f"{resource.kind} {reason}" if reason else ""
