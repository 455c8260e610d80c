"""Makes the default roles and bindings at start, and mends those that have lost something.

Called once by the composition root. As in Kubernetes a default is given back what it lacks, unless
its annotation `rbac.authorization.kubernetes.io/autoupdate` is "false"; what was added stays.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from reconciler.apiserver.registry.errors import StatusError
from reconciler.apiserver.registry.registry import Registry
from reconciler.apiserver.security import rules
from reconciler.apiserver.security.defaults import BINDINGS, ROLES
from reconciler.model.meta import KubeObject
from reconciler.model.rbac import AUTO_UPDATE, ClusterRole, ClusterRoleBinding

K = TypeVar("K", bound=KubeObject)

_MANAGER = "reconciler"


async def ensure(registry: Registry) -> None:
    """Create or mend every default; raises `StatusError`."""
    async with asyncio.TaskGroup() as group:
        for role in ROLES:
            group.create_task(_ensure(registry, role))
        for binding in BINDINGS:
            group.create_task(_ensure(registry, binding))


async def _ensure(registry: Registry, default: ClusterRole | ClusterRoleBinding) -> None:
    try:
        live: Any = registry.get(type(default), default.metadata.name)
    except StatusError as error:
        if error.reason != "NotFound":
            raise
        await registry.create(default, manager=_MANAGER)
        return
    if live.metadata.annotations.get(AUTO_UPDATE) == "false":
        return
    if isinstance(default, ClusterRoleBinding) and live.role_ref != default.role_ref:
        await registry.delete(ClusterRoleBinding, default.metadata.name)
        await registry.create(default, manager=_MANAGER)
        return
    mended = _with_meta(live, default)
    mended = _role(mended, default) if isinstance(default, ClusterRole) else _bound(mended, default)
    if mended != live:
        await registry.update(mended, manager=_MANAGER)


def _with_meta(live: K, default: KubeObject) -> K:
    labels = {**default.metadata.labels, **live.metadata.labels}
    annotations = {**default.metadata.annotations, **live.metadata.annotations}
    meta = live.metadata
    if (labels, annotations) == (meta.labels, meta.annotations):
        return live
    return live.replace(metadata=meta.replace(labels=labels, annotations=annotations))


def _role(live: ClusterRole, default: ClusterRole) -> ClusterRole:
    if default.aggregation_rule is not None:
        if live.aggregation_rule is not None:
            return live
        return live.replace(aggregation_rule=default.aggregation_rule)
    held = live.rules or ()
    lost = rules.missing(held, default.rules or ())
    return live.replace(rules=(*held, *lost)) if lost else live


def _bound(live: ClusterRoleBinding, default: ClusterRoleBinding) -> ClusterRoleBinding:
    lost = tuple(each for each in default.subjects if each not in live.subjects)
    return live.replace(subjects=(*live.subjects, *lost)) if lost else live
