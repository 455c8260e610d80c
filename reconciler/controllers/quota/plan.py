"""The status that a ResourceQuota should have. Pure; called by `loop.py`."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model import quantity, usage
from reconciler.model.account import ResourceQuota, ResourceQuotaStatus
from reconciler.model.meta import KubeObject


def plan(quota: ResourceQuota, objects: Iterable[KubeObject]) -> ResourceQuotaStatus | None:
    """Return the status by the objects of the quota's namespace, None when it has that already.

    Two quantities are equal by value: the registry may have written one in another family.
    """
    wanted = ResourceQuotaStatus(hard=quota.spec.hard, used=usage.counted(quota, objects))
    status = quota.status
    same = status.hard == wanted.hard and _equal(status.used, wanted.used)
    return None if same else wanted


def _equal(first: dict[str, str], second: dict[str, str]) -> bool:
    return first.keys() == second.keys() and all(
        quantity.compare(amount, second[name]) == 0 for name, amount in first.items()
    )
