"""Kinds of rbac.authorization.k8s.io/v1: who may do what."""

from __future__ import annotations

from typing import ClassVar, Literal

from reconciler.model.base import Model, always
from reconciler.model.meta import KubeObject
from reconciler.model.selector import LabelSelector

GROUP = "rbac.authorization.k8s.io"
AUTO_UPDATE = "rbac.authorization.kubernetes.io/autoupdate"
"""The annotation of a default role; "false" keeps the server from mending it at its start."""

_VERSION = Literal["rbac.authorization.k8s.io/v1"]


def _version() -> str:
    return f"{GROUP}/v1"


class PolicyRule(Model):
    verbs: tuple[str, ...] = always(tuple)
    api_groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()
    non_resource_urls: tuple[str, ...] = ()


class AggregationRule(Model):
    cluster_role_selectors: tuple[LabelSelector, ...] = ()


class RoleRef(Model):
    atomic: ClassVar[bool] = True
    api_group: str = always(str)
    kind: str = always(str)
    name: str = always(str)


class Subject(Model):
    atomic: ClassVar[bool] = True
    kind: str = always(str)
    api_group: str = ""
    name: str = always(str)
    namespace: str = ""


class Role(KubeObject):
    api_version: _VERSION = always(_version)
    kind: Literal["Role"] = always(lambda: "Role")
    rules: tuple[PolicyRule, ...] | None = always(lambda: None)


class ClusterRole(KubeObject):
    api_version: _VERSION = always(_version)
    kind: Literal["ClusterRole"] = always(lambda: "ClusterRole")
    rules: tuple[PolicyRule, ...] | None = always(lambda: None)
    aggregation_rule: AggregationRule | None = None


class RoleBinding(KubeObject):
    api_version: _VERSION = always(_version)
    kind: Literal["RoleBinding"] = always(lambda: "RoleBinding")
    subjects: tuple[Subject, ...] = ()
    role_ref: RoleRef = always(RoleRef)


class ClusterRoleBinding(KubeObject):
    api_version: _VERSION = always(_version)
    kind: Literal["ClusterRoleBinding"] = always(lambda: "ClusterRoleBinding")
    subjects: tuple[Subject, ...] = ()
    role_ref: RoleRef = always(RoleRef)
