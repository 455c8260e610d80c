"""Resources of the API that store nothing: bindings, reviews, the health of components.

Called by discovery, and by `api.py` where a URL names none of the stored kinds. Kubernetes' group
policy is here for `pods/eviction`, whose kind it has; it has no resource of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.apiserver.http import absent
from reconciler.model.authentication import SelfSubjectReview, TokenRequest, TokenReview
from reconciler.model.authorization import (
    LocalSubjectAccessReview,
    SelfSubjectAccessReview,
    SelfSubjectRulesReview,
    SubjectAccessReview,
)
from reconciler.model.component import ComponentStatus
from reconciler.model.kinds import Resource
from reconciler.model.meta import KubeObject
from reconciler.model.podrequest import Binding, Eviction

AUTHENTICATION = "authentication.k8s.io"
AUTHORIZATION = "authorization.k8s.io"
EMPTY_GROUPS = (("policy", "v1"),)
"""Groups without a resource, as (group, version)."""

UNLISTED = ((AUTHENTICATION, "v1beta1"), absent.VERSION)
"""Versions that are answered and not advertised: kubectl 1.27 asks the first who it is."""


@dataclass(frozen=True, slots=True)
class Virtual:
    """A resource without objects, and what may be done with it."""

    resource: Resource
    verbs: tuple[str, ...] = ("create",)


def _review(model: type[KubeObject], group: str, *, namespaced: bool = False) -> Virtual:
    kind = model.__name__
    plural = f"{kind.lower()}s"
    return Virtual(Resource(model, kind, plural, kind.lower(), namespaced=namespaced, group=group))


BINDING = Resource(Binding, "Binding", "bindings", "binding")
EVICTION = Resource(Eviction, "Eviction", "evictions", "eviction", group="policy")
TOKEN_REQUEST = Resource(
    TokenRequest, "TokenRequest", "tokenrequests", "tokenrequest", group=AUTHENTICATION
)


COMPONENTS = Resource(
    ComponentStatus,
    "ComponentStatus",
    "componentstatuses",
    "componentstatus",
    ("cs",),
    namespaced=False,
)

VIRTUAL: tuple[Virtual, ...] = (
    Virtual(BINDING),
    Virtual(COMPONENTS, ("get", "list")),
    _review(SelfSubjectReview, AUTHENTICATION),
    _review(TokenReview, AUTHENTICATION),
    _review(LocalSubjectAccessReview, AUTHORIZATION, namespaced=True),
    _review(SelfSubjectAccessReview, AUTHORIZATION),
    _review(SelfSubjectRulesReview, AUTHORIZATION),
    _review(SubjectAccessReview, AUTHORIZATION),
)

REVIEWS = {
    each.resource.plural: each.resource
    for each in VIRTUAL
    if each.resource.group in (AUTHENTICATION, AUTHORIZATION)
}
"""The reviews, by the word of their URL."""

_VERBS = {each.resource: each.verbs for each in VIRTUAL}


def verbs(resource: Resource) -> tuple[str, ...]:
    """Return what may be done with a virtual resource, nothing for one that is stored."""
    return _VERBS.get(resource, ())


def is_virtual(resource: Resource) -> bool:
    """Say whether a resource stores nothing."""
    return resource in _VERBS
