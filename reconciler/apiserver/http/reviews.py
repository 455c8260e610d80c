"""Access reviews and token reviews: questions about who somebody is, and what he may do.

Called by `api.py` for the groups authentication.k8s.io and authorization.k8s.io. A review is asked
by a POST, answered at once, and stored nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from reconciler.admission.errors import FieldError, GoValue, aggregate, invalid
from reconciler.apiserver.http import body, discovery, query, status, virtual
from reconciler.apiserver.http.message import Reply, Request
from reconciler.apiserver.http.target import Target
from reconciler.apiserver.http.virtual import AUTHORIZATION
from reconciler.apiserver.registry.errors import StatusError, bad_request
from reconciler.apiserver.security.attributes import Attributes
from reconciler.apiserver.security.authentication import Authenticator, WrongCredentials
from reconciler.apiserver.security.authorization import Authorizer
from reconciler.apiserver.security.identity import Identity
from reconciler.core.clock import Clock
from reconciler.model.authentication import SelfSubjectReview, TokenReview
from reconciler.model.authorization import (
    LocalSubjectAccessReview,
    SelfSubjectAccessReview,
    SelfSubjectAccessReviewSpec,
    SelfSubjectRulesReview,
    SubjectAccessReview,
    SubjectAccessReviewSpec,
)
from reconciler.model.rbac import PolicyRule
from reconciler.model.time import format_time

Json = dict[str, Any]
_Answer = Callable[[Request, Target, Any], Json]


class Reviews:
    """See the module."""

    def __init__(self, authenticator: Authenticator, authorizer: Authorizer, clock: Clock) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._clock = clock
        self._answers: Mapping[str, _Answer] = {
            "localsubjectaccessreviews": self._local,
            "selfsubjectaccessreviews": self._self,
            "selfsubjectreviews": self._who,
            "selfsubjectrulesreviews": self._rules,
            "subjectaccessreviews": self._other,
            "tokenreviews": self._token,
        }

    def handle(self, request: Request, target: Target) -> Reply:
        """Answer a review; raises `StatusError`."""
        beta = target.version != "v1" and target.plural != "selfsubjectreviews"
        namespaced = bool(target.namespace)
        if beta or not discovery.is_served(target.group, target.plural, namespaced=namespaced):
            raise status.no_resource()
        if request.method != "POST" or target.name:
            raise status.no_method()
        of = virtual.REVIEWS[target.plural]
        wanted = replace(body.expected(of), version=target.version)
        options = query.write_options(request, "CreateOptions")
        sent = body.read(request, wanted, options.validation)
        asked, faults = body.decode_as(sent, options.validation, of)
        told = self._answers[target.plural](request, target, asked)
        answer = {**asked.to_dict(), "apiVersion": wanted.api_version, **told}
        return Reply(201, orjson.dumps(answer), warnings=status.warning_headers(faults))

    def _self(self, request: Request, _target: Target, asked: SelfSubjectAccessReview) -> Json:
        _check(list(_attribute_faults(asked.spec)))
        return self._decided(request.user, asked.spec)

    def _other(
        self,
        _request: Request,
        _target: Target,
        asked: SubjectAccessReview | LocalSubjectAccessReview,
    ) -> Json:
        spec = asked.spec
        _check([*_attribute_faults(spec), *_subject_faults(spec)])
        return self._decided(Identity(spec.user, spec.groups, spec.uid), spec)

    def _local(self, request: Request, target: Target, asked: LocalSubjectAccessReview) -> Json:
        about = asked.spec.resource_attributes
        if about is None or about.namespace != target.namespace:
            text = f"spec.resourceAttributes.namespace must match namespace: {target.namespace}"
            raise bad_request(text)
        return self._other(request, target, asked)

    def _decided(self, user: Identity, spec: SelfSubjectAccessReviewSpec) -> Json:
        decision = self._authorizer.decide(user, _attributes(spec))
        told: Json = {"allowed": decision.allowed}
        if decision.reason:
            told["reason"] = decision.reason
        return {"status": told}

    def _rules(self, request: Request, _target: Target, asked: SelfSubjectRulesReview) -> Json:
        namespace = asked.spec.namespace
        if not namespace:
            raise bad_request("no namespace on request")
        held = tuple(dict.fromkeys(self._authorizer.held(request.user, namespace)))
        told = {
            "resourceRules": [_rule(rule) for rule in held if not rule.non_resource_urls],
            "nonResourceRules": [_rule(rule) for rule in held if rule.non_resource_urls],
            "incomplete": False,
        }
        return {"status": told}

    def _who(self, request: Request, _target: Target, _asked: SelfSubjectReview) -> Json:
        meta = {"creationTimestamp": format_time(self._clock.now())}
        return {"metadata": meta, "status": {"userInfo": _user_info(request.user)}}

    def _token(self, _request: Request, _target: Target, asked: TokenReview) -> Json:
        spec = asked.spec
        if not spec.token:
            raise bad_request("token is required for TokenReview in authentication")
        try:
            user, accepted = self._authenticator.review(spec.token, spec.audiences)
        except WrongCredentials as error:
            return {"status": {"user": {}, "error": str(error)}}
        told: Json = {"authenticated": True, "user": _user_info(user)}
        if accepted:
            told["audiences"] = list(accepted)
        return {"status": told}


def _attributes(spec: SelfSubjectAccessReviewSpec) -> Attributes:
    """Return what a review asks about; what it leaves out of a resource means all of them."""
    about, other = spec.resource_attributes, spec.non_resource_attributes
    if about is not None:
        return Attributes(
            about.verb,
            "",
            about.resource,
            about.group,
            about.namespace,
            about.name,
            about.subresource,
            is_resource=True,
        )
    return Attributes(other.verb, other.path) if other is not None else Attributes("", "")


def _attribute_faults(spec: SelfSubjectAccessReviewSpec) -> Iterator[FieldError]:
    """ValidateSelfSubjectAccessReviewSpec: about a resource, or about a path."""
    other = spec.non_resource_attributes
    if spec.resource_attributes is None and other is None:
        text = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        yield invalid("spec.resourceAttributes", "null", text)
    elif spec.resource_attributes is not None and other is not None:
        text = "cannot be specified in combination with resourceAttributes"
        shown = f'authorization.NonResourceAttributes{{Path:"{other.path}", Verb:"{other.verb}"}}'
        yield invalid("spec.nonResourceAttributes", GoValue(shown), text)


def _subject_faults(spec: SubjectAccessReviewSpec) -> Iterator[FieldError]:
    if not spec.user and not spec.groups:
        yield invalid("spec.user", "", "at least one of user or group must be specified")


def _check(faults: Sequence[FieldError]) -> None:
    """Refuse as errors.NewInvalid does for a kind that has no name here."""
    if not faults:
        return
    causes = [
        {"reason": fault.reason.value, "message": fault.message, "field": fault.path}
        for fault in faults
    ]
    text = f'.{AUTHORIZATION} "" is invalid: {aggregate(tuple(faults))}'
    raise StatusError(422, "Invalid", text, {"group": AUTHORIZATION, "causes": causes})


def _rule(rule: PolicyRule) -> Json:
    return rule.to_dict()


def _user_info(user: Identity) -> Json:
    """Return authentication/v1 UserInfo."""
    told = {
        "username": user.name,
        "uid": user.uid,
        "groups": list(user.groups),
        "extra": {key: list(values) for key, values in user.extra},
    }
    return {key: value for key, value in told.items() if value}
