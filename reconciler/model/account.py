"""ServiceAccounts, and the limits of a namespace: ResourceQuota and LimitRange."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from reconciler.model.base import EMPTY, ListMap, Model, always
from reconciler.model.meta import KubeObject
from reconciler.model.reference import LocalObjectReference, ObjectReference
from reconciler.model.scalar import ResourceList


class ServiceAccount(KubeObject):
    api_version: Literal["v1"] = always(lambda: "v1")
    kind: Literal["ServiceAccount"] = always(lambda: "ServiceAccount")
    secrets: Annotated[tuple[ObjectReference, ...], ListMap("name")] = ()
    image_pull_secrets: tuple[LocalObjectReference, ...] = ()
    automount_service_account_token: bool | None = None


class ScopedResourceSelectorRequirement(Model):
    scope_name: str = always(str)
    operator: str = always(str)
    values: tuple[str, ...] = ()


class ScopeSelector(Model):
    atomic: ClassVar[bool] = True
    match_expressions: tuple[ScopedResourceSelectorRequirement, ...] = ()


class ResourceQuotaSpec(Model):
    hard: ResourceList = EMPTY
    scopes: tuple[str, ...] = ()
    scope_selector: ScopeSelector | None = None


class ResourceQuotaStatus(Model):
    hard: ResourceList = EMPTY
    used: ResourceList = EMPTY


class ResourceQuota(KubeObject):
    api_version: Literal["v1"] = always(lambda: "v1")
    kind: Literal["ResourceQuota"] = always(lambda: "ResourceQuota")
    spec: ResourceQuotaSpec = always(ResourceQuotaSpec)
    status: ResourceQuotaStatus = always(ResourceQuotaStatus)


class LimitRangeItem(Model):
    type: str = always(str)
    max: ResourceList = EMPTY
    min: ResourceList = EMPTY
    default: ResourceList = EMPTY
    default_request: ResourceList = EMPTY
    max_limit_request_ratio: ResourceList = EMPTY


class LimitRangeSpec(Model):
    limits: tuple[LimitRangeItem, ...] = always(tuple)


class LimitRange(KubeObject):
    api_version: Literal["v1"] = always(lambda: "v1")
    kind: Literal["LimitRange"] = always(lambda: "LimitRange")
    spec: LimitRangeSpec = always(LimitRangeSpec)
