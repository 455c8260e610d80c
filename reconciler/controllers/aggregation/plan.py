"""The rules that an aggregated ClusterRole should have. Pure; called by `loop.py`."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model import selector
from reconciler.model.rbac import ClusterRole, PolicyRule


def plan(role: ClusterRole, roles: Iterable[ClusterRole]) -> tuple[PolicyRule, ...] | None:
    """Return the rules of all roles that `role` selects, None when it has just these.

    They come by the name of their role, each once, as Kubernetes' clusterrole-aggregation
    controller puts them. A role without an aggregation rule keeps its own.
    """
    if role.aggregation_rule is None:
        return None
    chosen = [selector.from_label_selector(each)
              for each in role.aggregation_rule.cluster_role_selectors]  # fmt: skip
    found: dict[PolicyRule, None] = {}
    for other in sorted(roles, key=lambda each: each.metadata.name):
        if other.metadata.name == role.metadata.name:
            continue
        if any(each.matches(other.metadata.labels) for each in chosen):
            found |= dict.fromkeys(other.rules or ())
    wanted = tuple(found)
    return None if wanted == (role.rules or ()) else wanted
