"""authentication.k8s.io/v1: who somebody is, and tokens of accounts. Nothing of it is stored."""

from __future__ import annotations

from typing import Literal

from reconciler.model.base import EMPTY, Model, always, unset
from reconciler.model.meta import KubeObject
from reconciler.model.scalar import Int64, Time


class UserInfo(Model):
    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = EMPTY


class _Review(KubeObject):
    api_version: Literal["authentication.k8s.io/v1"] = always(lambda: "authentication.k8s.io/v1")


class SelfSubjectReviewStatus(Model):
    user_info: UserInfo = always(UserInfo)


class SelfSubjectReview(_Review):
    kind: Literal["SelfSubjectReview"] = always(lambda: "SelfSubjectReview")
    status: SelfSubjectReviewStatus = always(SelfSubjectReviewStatus)


class TokenReviewSpec(Model):
    token: str = ""
    audiences: tuple[str, ...] = ()


class TokenReviewStatus(Model):
    authenticated: bool = False
    user: UserInfo = always(UserInfo)
    audiences: tuple[str, ...] = ()
    error: str = ""


class TokenReview(_Review):
    kind: Literal["TokenReview"] = always(lambda: "TokenReview")
    spec: TokenReviewSpec = always(TokenReviewSpec)
    status: TokenReviewStatus = always(TokenReviewStatus)


class BoundObjectReference(Model):
    kind: str = ""
    api_version: str = ""
    name: str = ""
    uid: str = ""


class TokenRequestSpec(Model):
    audiences: tuple[str, ...] = always(tuple)
    expiration_seconds: Int64 | None = None
    bound_object_ref: BoundObjectReference | None = None


class TokenRequestStatus(Model):
    token: str = always(str)
    expiration_timestamp: Time | None = unset()


class TokenRequest(_Review):
    kind: Literal["TokenRequest"] = always(lambda: "TokenRequest")
    spec: TokenRequestSpec = always(TokenRequestSpec)
    status: TokenRequestStatus = always(TokenRequestStatus)
