"""What a namespace says of its objects: its labels, LimitRanges and ResourceQuotas.

Called by the registry only. It reads them as they are stored, and adds to a quota's usage before
the object is written: should that fail, the quota controller counts again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from weakref import WeakValueDictionary

from reconciler.admission.podsecurity import policy
from reconciler.apiserver.registry import errors, limits, quota
from reconciler.apiserver.registry.access import Access
from reconciler.apiserver.registry.accountadmission import AccountAdmission
from reconciler.model import kinds
from reconciler.model.account import LimitRange, ResourceQuota
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.meta import KubeObject, ObjectMeta
from reconciler.model.namespace import Namespace
from reconciler.model.pod import Pod, PodSpec, PodTemplate
from reconciler.model.replication import ReplicationController
from reconciler.model.service import Service
from reconciler.store.protocol import Conflict

K = TypeVar("K", bound=KubeObject)

_ATTEMPTS = 5
_LIMITED = (Pod, PersistentVolumeClaim)
_RECOUNTED = (Service, PersistentVolumeClaim)  # an update of these may count for more


def _pod_of(obj: KubeObject) -> tuple[ObjectMeta, PodSpec] | None:
    """Return the pod that an object is or makes."""
    match obj:
        case Pod():
            return obj.metadata, obj.spec
        case ReplicationController() if obj.spec.template is not None:
            return obj.spec.template.metadata, obj.spec.template.spec
        case PodTemplate():
            return obj.template.metadata, obj.template.spec
    return None


class Policies:
    """See the module."""

    def __init__(self, access: Access, accounts: AccountAdmission | None = None) -> None:
        self._access = access
        self._accounts = accounts
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def with_defaults(self, new: K) -> K:
        """Return a new object with what LimitRanges and its ServiceAccount give it.

        It is `new` itself when they give nothing. Raises `StatusError` when the account is not
        there.
        """
        if not isinstance(new, Pod):
            return new
        pod: Any = limits.with_defaults(new, self._of(LimitRange, new.metadata.namespace))
        if self._accounts is not None:
            pod = await self._accounts.admit(pod)
        return cast(K, pod)

    async def admit(
        self,
        new: KubeObject,
        old: KubeObject | None = None,
        *,
        whole: bool = True,
        dry_run: bool = False,
    ) -> None:
        """Refuse a write that a policy forbids, else count it. Raises `StatusError` 403.

        Of a write that is not of the `whole` object, ephemeral containers alone concern a policy.
        """
        if not whole:
            return self._admit_ephemeral(new, old)
        space = new.metadata.namespace
        if not space or (old is not None and not isinstance(new, _RECOUNTED)):
            return None
        if isinstance(new, Pod):
            self._check_security(new, space)
        if isinstance(new, _LIMITED) and (old is None or isinstance(new, PersistentVolumeClaim)):
            told = limits.refusal(new, self._of(LimitRange, space))
            if told:
                raise self._forbidden(new, told)
        if self._access.records(kinds.of(ResourceQuota), space):
            async with self._turn(space):
                await self._count(new, old, dry_run=dry_run)
        return None

    def _admit_ephemeral(self, new: KubeObject, old: KubeObject | None) -> None:
        if not isinstance(new, Pod) or not isinstance(old, Pod):
            return
        if new.spec.ephemeral_containers == old.spec.ephemeral_containers:
            return
        self._check_security(new, new.metadata.namespace)
        if self._accounts is not None:
            self._accounts.check_ephemeral(new)

    def _check_security(self, pod: Pod, space: str) -> None:
        labels = self._labels(space)
        told = policy.violation(labels, "enforce", pod.metadata, pod.spec) if labels else ""
        if told:
            raise self._forbidden(pod, told)

    def security_warnings(self, obj: KubeObject) -> tuple[str, ...]:
        """Return what a namespace warns of: a pod, or what makes pods, below a level.

        What makes pods is warned of by the level that is enforced, too: its pods will be refused.
        """
        labels = self._labels(obj.metadata.namespace)
        found = _pod_of(obj) if labels else None
        if found is None:
            return ()
        meta, spec = found
        modes: tuple[policy.Mode, ...] = ("warn",) if isinstance(obj, Pod) else ("warn", "enforce")
        told = [policy.violation(labels, mode, meta, spec) for mode in modes]
        first = next(filter(None, told), "")
        return (first.replace("violates", "would violate", 1),) if first else ()

    def _labels(self, space: str) -> Mapping[str, str]:
        record = self._access.find(kinds.of(Namespace), "", space)
        if record is None:
            return {}
        return self._access.decode(Namespace, record).metadata.labels

    def _turn(self, space: str) -> asyncio.Lock:
        """Return what lets the writes of a namespace count one after the other.

        Kubernetes' quota evaluator looks at one namespace at a time, too: who counts at the same
        time as others would mostly find that they were faster.
        """
        lock = self._turns.get(space)
        if lock is None:
            lock = self._turns[space] = asyncio.Lock()
        return lock

    async def _count(self, new: KubeObject, old: KubeObject | None, *, dry_run: bool) -> None:
        """Charge, again where the quota controller was faster."""
        name = ""
        for _ in range(_ATTEMPTS):
            try:
                return await self._charge(new, old, dry_run=dry_run)
            except Conflict as error:
                name = error.key.name
        raise errors.conflict(kinds.of(ResourceQuota), name)

    async def _charge(self, new: KubeObject, old: KubeObject | None, *, dry_run: bool) -> None:
        resource = kinds.of(ResourceQuota)
        records = self._access.records(resource, new.metadata.namespace)
        known = {record.key.name: record for record in records}
        quotas = [self._access.decode(ResourceQuota, record) for record in records]
        try:
            found = quota.charges(quotas, new, old)
        except quota.Exceeded as error:
            raise self._forbidden(new, str(error)) from error
        for charge in found if not dry_run else ():
            changed = charge.quota.replace(status=charge.quota.status.replace(used=charge.used))
            await self._access.put(resource, changed, known[charge.quota.metadata.name])

    def _of(self, model: type[K], namespace: str) -> list[K]:
        records = self._access.records(kinds.of(model), namespace)
        return [self._access.decode(model, record) for record in records]

    def _forbidden(self, new: KubeObject, why: str) -> errors.StatusError:
        return errors.forbidden(kinds.of(type(new)), new.metadata.name, why)
