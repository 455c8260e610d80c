"""Kinds that this server does not have, and that clients list without asking whether it does.

Called by `api.py`. `kubectl cluster-info dump`, and some dashboards, list the workloads of apps/v1
before they come to pods and logs, and give up when one is refused. There are none: an empty list
is the truth. Discovery does not name them, so that nothing takes them for kinds that can be made;
whatever else is asked of them, a watch too, finds no such resource.
"""

from __future__ import annotations

from reconciler.apiserver.http.message import Request
from reconciler.apiserver.http.target import Target
from reconciler.model.kinds import Resource
from reconciler.model.meta import KubeObject

VERSION = ("apps", "v1")
_KINDS = {
    f"{kind.lower()}s": Resource(KubeObject, kind, f"{kind.lower()}s", kind.lower(), group="apps")
    for kind in ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet")
}


def listed(request: Request, place: Target) -> Resource | None:
    """Return the kind of which `request` wants the empty list, None for whatever else it wants."""
    reads = request.method in ("GET", "HEAD") and not request.flag("watch")
    if not reads or place.name or (place.group, place.version) != VERSION:
        return None
    return _KINDS.get(place.plural)
