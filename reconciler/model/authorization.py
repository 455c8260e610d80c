"""authorization.k8s.io/v1: reviews of what somebody may do. None of them is stored."""

from __future__ import annotations

from typing import Literal

from reconciler.model.base import EMPTY, Model, always
from reconciler.model.meta import KubeObject


class SelectorRequirement(Model):
    key: str = always(str)
    operator: str = always(str)
    values: tuple[str, ...] = ()


class SelectorAttributes(Model):
    """Which objects a request selects: told, and nothing that a rule looks at."""

    raw_selector: str = ""
    requirements: tuple[SelectorRequirement, ...] = ()


class ResourceAttributes(Model):
    namespace: str = ""
    verb: str = ""
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    field_selector: SelectorAttributes | None = None
    label_selector: SelectorAttributes | None = None


class NonResourceAttributes(Model):
    path: str = ""
    verb: str = ""


class SelfSubjectAccessReviewSpec(Model):
    resource_attributes: ResourceAttributes | None = None
    non_resource_attributes: NonResourceAttributes | None = None


class SubjectAccessReviewSpec(SelfSubjectAccessReviewSpec):
    user: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = EMPTY
    uid: str = ""


class SubjectAccessReviewStatus(Model):
    allowed: bool = always(bool)
    denied: bool = False
    reason: str = ""
    evaluation_error: str = ""


class _Review(KubeObject):
    api_version: Literal["authorization.k8s.io/v1"] = always(lambda: "authorization.k8s.io/v1")


class SelfSubjectAccessReview(_Review):
    kind: Literal["SelfSubjectAccessReview"] = always(lambda: "SelfSubjectAccessReview")
    spec: SelfSubjectAccessReviewSpec = always(SelfSubjectAccessReviewSpec)
    status: SubjectAccessReviewStatus = always(SubjectAccessReviewStatus)


class SubjectAccessReview(_Review):
    kind: Literal["SubjectAccessReview"] = always(lambda: "SubjectAccessReview")
    spec: SubjectAccessReviewSpec = always(SubjectAccessReviewSpec)
    status: SubjectAccessReviewStatus = always(SubjectAccessReviewStatus)


class LocalSubjectAccessReview(_Review):
    kind: Literal["LocalSubjectAccessReview"] = always(lambda: "LocalSubjectAccessReview")
    spec: SubjectAccessReviewSpec = always(SubjectAccessReviewSpec)
    status: SubjectAccessReviewStatus = always(SubjectAccessReviewStatus)


class ResourceRule(Model):
    verbs: tuple[str, ...] = always(tuple)
    api_groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()


class NonResourceRule(Model):
    verbs: tuple[str, ...] = always(tuple)
    non_resource_urls: tuple[str, ...] = ()


class SubjectRulesReviewStatus(Model):
    resource_rules: tuple[ResourceRule, ...] = always(tuple)
    non_resource_rules: tuple[NonResourceRule, ...] = always(tuple)
    incomplete: bool = always(bool)
    evaluation_error: str = ""


class SelfSubjectRulesReviewSpec(Model):
    namespace: str = ""


class SelfSubjectRulesReview(_Review):
    kind: Literal["SelfSubjectRulesReview"] = always(lambda: "SelfSubjectRulesReview")
    spec: SelfSubjectRulesReviewSpec = always(SelfSubjectRulesReviewSpec)
    status: SubjectRulesReviewStatus = always(SubjectRulesReviewStatus)
