"""What somebody is told who writes an object that Git declares. Called by `api.py`.

The server knows nothing of Git: it asks whoever composed the daemon.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from reconciler.apiserver.http import status
from reconciler.apiserver.http.message import Reply, Request
from reconciler.apiserver.http.target import Target
from reconciler.apiserver.registry.errors import StatusError
from reconciler.apiserver.registry.registry import Registry
from reconciler.model.kinds import Resource
from reconciler.model.meta import KubeObject, ObjectKey

Declared = Callable[[ObjectKey, KubeObject | None], str]
"""Say what becomes of an object that somebody wrote, as it now is (None: deleted); "" for those
that Git does not declare."""

_WRITES = ("PUT", "PATCH", "DELETE")
_PARTS = ("", "scale")  # Git declares no status, and no part that only a server sets


def nothing_declared(_key: ObjectKey, _live: KubeObject | None) -> str:
    """Say of no object that Git declares it."""
    return ""


def warned(
    answer: Reply,
    request: Request,
    target: Target,
    of: Resource,
    registry: Registry,
    declared: Declared,
) -> Reply:
    """Return the answer to a write of one object with the warning that it deserves."""
    if request.method not in _WRITES or target.subresource not in _PARTS or not target.name:
        return answer
    if request.query.get("dryRun"):
        return answer
    key = ObjectKey(of.key_kind, target.namespace, target.name)
    told = declared(key, _live(registry, of, target))
    if not told:
        return answer
    return replace(answer, warnings=(status.warning(told), *answer.warnings))


def _live(registry: Registry, of: Resource, target: Target) -> KubeObject | None:
    try:
        return registry.get(of.model, target.name, target.namespace)
    except StatusError:
        return None
