"""The rows of roles, bindings, leases and components, in the order of their columns. Pure.

Called by `columns.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from reconciler.apiserver.http.tables.text import age
from reconciler.model.component import ComponentStatus
from reconciler.model.lease import Lease
from reconciler.model.rbac import ClusterRole, ClusterRoleBinding, Role, RoleBinding


def _role(obj: Role | ClusterRole, _: datetime) -> dict[str, Any]:
    return {"cells": [obj.metadata.name, obj.metadata.creation_timestamp]}


def _binding(obj: RoleBinding | ClusterRoleBinding, now: datetime) -> dict[str, Any]:
    users, groups, accounts = (
        ", ".join(f"{each.namespace}/{each.name}" if kind == "ServiceAccount" else each.name
                  for each in obj.subjects if each.kind == kind)
        for kind in ("User", "Group", "ServiceAccount")
    )  # fmt: skip
    role = f"{obj.role_ref.kind}/{obj.role_ref.name}"
    when = age(obj.metadata.creation_timestamp, now)
    return {"cells": [obj.metadata.name, role, when, users, groups, accounts]}


def _lease(obj: Lease, now: datetime) -> dict[str, Any]:
    holder = obj.spec.holder_identity or ""
    return {"cells": [obj.metadata.name, holder, age(obj.metadata.creation_timestamp, now)]}


def _component(obj: ComponentStatus, _: datetime) -> dict[str, Any]:
    words = {"True": "Healthy", "False": "Unhealthy"}
    for each in obj.conditions:
        if each.type == "Healthy":
            told = (words.get(each.status, "Unknown"), each.message, each.error)
            return {"cells": [obj.metadata.name, *told]}
    return {"cells": [obj.metadata.name, "Unknown", "", ""]}


ROWS: dict[str, Any] = {
    "clusterrolebindings": _binding,
    "clusterroles": _role,
    "componentstatuses": _component,
    "leases": _lease,
    "rolebindings": _binding,
    "roles": _role,
}
"""How an object becomes a row, by the plural of its kind."""
