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
from reconciler.apiserver.http import body, discovery, query, status
from reconciler.apiserver.http.body import Expected
from reconciler.apiserver.http.message import Reply, Request
from reconciler.apiserver.http.target import Target
from reconciler.apiserver.http.virtual import AUTHENTICATION, AUTHORIZATION
from reconciler.apiserver.registry.errors import StatusError, bad_request
from reconciler.apiserver.security.attributes import Attributes
from reconciler.apiserver.security.authentication import Authenticator, WrongCredentials
from reconciler.apiserver.security.authorization import Authorizer
from reconciler.apiserver.security.identity import Identity
from reconciler.core.clock import Clock
from reconciler.model.rbac import PolicyRule
from reconciler.model.time import format_time

Json = dict[str, Any]
_Answer = Callable[[Request, Target, Json], Json]

_KINDS = {
    "localsubjectaccessreviews": Expected("LocalSubjectAccessReview", "v1", AUTHORIZATION),
    "selfsubjectaccessreviews": Expected("SelfSubjectAccessReview", "v1", AUTHORIZATION),
    "selfsubjectreviews": Expected("SelfSubjectReview", "v1", AUTHENTICATION),
    "selfsubjectrulesreviews": Expected("SelfSubjectRulesReview", "v1", AUTHORIZATION),
    "subjectaccessreviews": Expected("SubjectAccessReview", "v1", AUTHORIZATION),
    "tokenreviews": Expected("TokenReview", "v1", AUTHENTICATION),
}


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
        wanted = replace(_KINDS[target.plural], version=target.version)
        options = query.write_options(request, "CreateOptions")
        sent = body.read(request, wanted, options.validation).value
        made = self._answers[target.plural](request, target, sent)
        meta = {"creationTimestamp": None, **_member(sent, "metadata")}
        return Reply(201, orjson.dumps({**sent, "metadata": meta, **made}))

    def _self(self, request: Request, _target: Target, sent: Json) -> Json:
        spec = _member(sent, "spec")
        _check(list(_attribute_faults(spec)))
        return self._decided(request.user, spec)

    def _other(self, _request: Request, _target: Target, sent: Json) -> Json:
        spec = _member(sent, "spec")
        _check([*_attribute_faults(spec), *_subject_faults(spec)])
        return self._decided(_subject(spec), spec)

    def _local(self, request: Request, target: Target, sent: Json) -> Json:
        named = _member(_member(sent, "spec"), "resourceAttributes").get("namespace") or ""
        if named != target.namespace:
            text = f"spec.resourceAttributes.namespace must match namespace: {target.namespace}"
            raise bad_request(text)
        return self._other(request, target, sent)

    def _decided(self, user: Identity, spec: Json) -> Json:
        decision = self._authorizer.decide(user, _attributes(spec))
        told: Json = {"allowed": decision.allowed}
        if decision.reason:
            told["reason"] = decision.reason
        return {"status": told}

    def _rules(self, request: Request, _target: Target, sent: Json) -> Json:
        namespace = _member(sent, "spec").get("namespace") or ""
        if not namespace:
            raise bad_request("no namespace on request")
        held = tuple(dict.fromkeys(self._authorizer.held(request.user, str(namespace))))
        told = {
            "resourceRules": [_rule(rule) for rule in held if not rule.non_resource_urls],
            "nonResourceRules": [_rule(rule) for rule in held if rule.non_resource_urls],
            "incomplete": False,
        }
        return {"status": told}

    def _who(self, request: Request, _target: Target, _sent: Json) -> Json:
        meta = {"creationTimestamp": format_time(self._clock.now())}
        return {"metadata": meta, "status": {"userInfo": _user_info(request.user)}}

    def _token(self, _request: Request, _target: Target, sent: Json) -> Json:
        spec = _member(sent, "spec")
        token, audiences = spec.get("token"), _texts(spec.get("audiences"), "audiences")
        if not isinstance(token, str) or not token:
            raise bad_request("token is required for TokenReview in authentication")
        try:
            user, accepted = self._authenticator.review(token, audiences)
        except WrongCredentials as error:
            return {"status": {"user": {}, "error": str(error)}}
        told: Json = {"authenticated": True, "user": _user_info(user)}
        if accepted:
            told["audiences"] = list(accepted)
        return {"status": told}


def _member(value: Json, name: str) -> Json:
    member = value.get(name)
    if member is not None and not isinstance(member, dict):
        raise bad_request(f"{name} of a review must be an object")
    return member or {}


def _attributes(spec: Json) -> Attributes:
    """Return what a review asks about; what it leaves out of a resource means all of them."""
    resource, other = _member(spec, "resourceAttributes"), _member(spec, "nonResourceAttributes")
    if not resource:
        return Attributes(_text(other, "verb"), _text(other, "path"))
    return Attributes(
        _text(resource, "verb"),
        "",
        _text(resource, "resource"),
        _text(resource, "group"),
        _text(resource, "namespace"),
        _text(resource, "name"),
        _text(resource, "subresource"),
        is_resource=True,
    )


def _text(members: Json, name: str) -> str:
    value = members.get(name)
    if value is not None and not isinstance(value, str):
        raise bad_request(f"{name} of a review must be a string")
    return value or ""


def _subject(spec: Json) -> Identity:
    groups = _texts(spec.get("groups"), "groups")
    return Identity(_text(spec, "user"), groups, _text(spec, "uid"))


def _texts(value: Any, name: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise bad_request(f"{name} of a review must be a list of strings")
    return tuple(value)


def _attribute_faults(spec: Json) -> Iterator[FieldError]:
    """ValidateSelfSubjectAccessReviewSpec: about a resource, or about a path."""
    given = [spec.get(name) for name in ("resourceAttributes", "nonResourceAttributes")]
    if all(each is not None for each in given):
        text = "cannot be specified in combination with resourceAttributes"
        yield invalid("spec.nonResourceAttributes", GoValue(_go_struct(given[1])), text)
    elif all(each is None for each in given):
        text = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        yield invalid("spec.resourceAttributes", "null", text)


def _go_struct(value: Any) -> str:
    members = value if isinstance(value, dict) else {}
    path, verb = members.get("path") or "", members.get("verb") or ""
    return f'authorization.NonResourceAttributes{{Path:"{path}", Verb:"{verb}"}}'


def _subject_faults(spec: Json) -> Iterator[FieldError]:
    if not spec.get("user") and not spec.get("groups"):
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
