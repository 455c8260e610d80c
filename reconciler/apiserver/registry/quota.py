"""ResourceQuota: what a write would use, and why a quota forbids it. Pure.

Called by the registry around its writes. Kubernetes' admission plug-in ResourceQuota: a quota
counts once its status tells what it limits and what is used; a write that needs more of what is
exhausted is forbidden, every other adds to the usage first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from reconciler.model import quantity, usage
from reconciler.model.account import ResourceQuota
from reconciler.model.meta import KubeObject


@dataclass(frozen=True, slots=True)
class Charge:
    """A quota whose usage a write changes, and its new usage."""

    quota: ResourceQuota
    used: usage.Usage


class Exceeded(ValueError):
    """A quota forbids the write; the message is Kubernetes' own."""


def charges(
    quotas: Sequence[ResourceQuota], new: KubeObject, old: KubeObject | None
) -> list[Charge]:
    """Return what a write adds to the quotas of its namespace. Raises `Exceeded`."""
    found = []
    for quota in quotas:
        delta = _delta(quota, new, old)
        if delta:
            found.append(_charge(quota, delta))
    return found


def _delta(quota: ResourceQuota, new: KubeObject, old: KubeObject | None) -> dict[str, Decimal]:
    """Return by how much the counted amounts of a quota grow."""
    counted = quota.status.hard
    if not counted or not usage.matches(quota, new):
        return {}
    if old is None:
        _check_given(quota, new)
    before = usage.of(old) if old is not None else {}
    delta = {}
    for name, amount in usage.of(new).items():
        grown = quantity.parse(amount).value - quantity.parse(before.get(name, "0")).value
        if name in counted and grown > 0:
            delta[name] = grown
    return delta


def _check_given(quota: ResourceQuota, new: KubeObject) -> None:
    missing = usage.missing(quota.status.hard, new)
    if missing:
        told = "; ".join(f"{name} for: {','.join(who)}" for name, who in missing.items())
        raise Exceeded(f"failed quota: {quota.metadata.name}: must specify {told}")


def _charge(quota: ResourceQuota, delta: dict[str, Decimal]) -> Charge:
    hard, used = quota.status.hard, dict(quota.status.used)
    exceeded = []
    for name, grown in delta.items():
        present = used.get(name, "0")
        total = quantity.parse(present).value + grown
        if total > quantity.parse(hard[name]).value:
            exceeded.append(name)
        like = present if quantity.parse(present).value else hard[name]
        used[name] = quantity.write(total, like)
    if exceeded:
        raise Exceeded(_refusal(quota, delta, sorted(exceeded)))
    return Charge(quota, used)


def _refusal(quota: ResourceQuota, delta: dict[str, Decimal], names: list[str]) -> str:
    hard, used = quota.status.hard, quota.status.used
    asked = ",".join(f"{name}={quantity.write(delta[name], hard[name])}" for name in names)
    present = ",".join(f"{name}={used.get(name, '0')}" for name in names)
    limited = ",".join(f"{name}={hard[name]}" for name in names)
    return (
        f"exceeded quota: {quota.metadata.name},"
        f" requested: {asked}, used: {present}, limited: {limited}"
    )
