"""Tokens of ServiceAccounts: issued for a while and a purpose, and believed as long as both last.

Called by the REST face (TokenRequest, every request with such a token) and by the local client for
the kubelet. The claims are those of Kubernetes' bound tokens. A token ends with its time, with its
account, and with the pod or secret that it is bound to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from reconciler.apiserver.registry import errors
from reconciler.apiserver.registry.errors import StatusError
from reconciler.apiserver.registry.registry import Registry
from reconciler.apiserver.security import jwt
from reconciler.apiserver.security.identity import (
    ACCOUNT_PREFIX,
    Identity,
    account_groups,
    authenticated,
)
from reconciler.apiserver.security.signing import LONGEST_TOKEN, SigningKeys
from reconciler.core.clock import Clock
from reconciler.core.ids import Ids
from reconciler.model.account import ServiceAccount
from reconciler.model.config import Secret
from reconciler.model.meta import KubeObject
from reconciler.model.node import Node
from reconciler.model.pod import Pod
from reconciler.model.time import parse_time
from reconciler.model.token import BoundObject, IssuedToken, TokenSpec

_PRIVATE = "kubernetes.io"
_EXTRA = "authentication.kubernetes.io"
_KINDS: Mapping[str, type[KubeObject]] = {"Pod": Pod, "Secret": Secret, "Node": Node}
_LEAVING = timedelta(seconds=60)  # a pod that ends may use its token so long after its time


class Refused(Exception):
    """A token is not believed; the message says why, as a token review tells it."""


@dataclass(frozen=True, slots=True)
class AccountTokens:
    """Issues tokens in the name of `issuer`, which is also the audience of this API."""

    registry: Registry
    keys: SigningKeys
    clock: Clock
    ids: Ids
    issuer: str

    def issue(self, name: str, namespace: str, spec: TokenSpec) -> IssuedToken:
        """Return a token of an account; raises `StatusError`."""
        account = self.registry.get(ServiceAccount, name, namespace)
        bound = self._bound(account, spec.bound) if spec.bound is not None else None
        now = self.clock.now().replace(microsecond=0)
        seconds = min(spec.seconds, LONGEST_TOKEN)
        audiences, expires = spec.audiences or (self.issuer,), now + timedelta(seconds=seconds)
        claims = {
            "aud": list(audiences),
            "exp": int(expires.timestamp()),
            "iat": int(now.timestamp()),
            "iss": self.issuer,
            "jti": self.ids.uid(),
            _PRIVATE: {"namespace": namespace, "serviceaccount": _named(account), **(bound or {})},
            "nbf": int(now.timestamp()),
            "sub": f"{ACCOUNT_PREFIX}{namespace}:{name}",
        }
        return IssuedToken(jwt.encode(claims, *self.keys.signer), expires, audiences, seconds)

    def believe(
        self, token: str, audiences: Sequence[str] = ()
    ) -> tuple[Identity, tuple[str, ...]] | None:
        """Return whose a token is, and for which of `audiences`; None when it is not ours.

        Without `audiences` it must be for this API. Raises `Refused`.
        """
        try:
            claims = jwt.decode(token, self.keys.by_id)
        except jwt.BadToken:
            return None
        wanted = tuple(audiences) or (self.issuer,)
        accepted = tuple(each for each in wanted if each in claims.get("aud", ()))
        if not accepted:
            raise Refused(
                f"token audiences [{' '.join(map(_quoted, claims.get('aud', ())))}] is invalid for"
                f" the target audiences [{' '.join(map(_quoted, wanted))}]"
            )
        now = self.clock.now().timestamp()
        if now >= claims["exp"]:
            raise Refused("service account token has expired")
        if now < claims["nbf"]:
            raise Refused("service account token is not valid yet")
        return self._holder(claims), accepted

    def _holder(self, claims: Mapping[str, Any]) -> Identity:
        private = claims[_PRIVATE]
        namespace = private["namespace"]
        account = self._living(ServiceAccount, private["serviceaccount"], namespace)
        extra = {f"{_EXTRA}/credential-id": f"JTI={claims['jti']}"}
        for kind, model in _KINDS.items():
            ref = private.get(kind.lower())
            if ref is None:
                continue
            if kind != "Node" or "pod" not in private:
                self._living(model, ref, "" if kind == "Node" else namespace)
            if kind != "Secret":
                extra |= {
                    f"{_EXTRA}/{kind.lower()}-name": ref["name"],
                    f"{_EXTRA}/{kind.lower()}-uid": ref.get("uid", ""),
                }
        told = tuple((key, (value,)) for key, value in extra.items() if value)
        name = f"{ACCOUNT_PREFIX}{namespace}:{account.metadata.name}"
        return authenticated(name, account_groups(namespace), account.metadata.uid, told)

    def _living(
        self, model: type[KubeObject], ref: Mapping[str, str], namespace: str
    ) -> KubeObject:
        """Return an object that a token names; raises `Refused` when it is gone or another."""
        word = model.__name__.lower()
        try:
            found = self.registry.get(model, ref["name"], namespace)
        except StatusError as error:
            raise Refused("service account token has been invalidated") from error
        meta = found.metadata
        if meta.uid != ref.get("uid"):
            raise Refused(f"{word} UID ({meta.uid}) does not match claim ({ref.get('uid')})")
        if meta.deletion_timestamp is not None:
            ended = parse_time(meta.deletion_timestamp) + _LEAVING
            if self.clock.now() > ended:
                raise Refused("service account token has been invalidated")
        return found

    def _bound(self, account: ServiceAccount, bound: BoundObject) -> dict[str, Any]:
        """Return the claims of the object that a token is bound to; raises `StatusError`."""
        model = _KINDS.get(bound.kind)
        if model is None or bound.api_version != "v1":
            group, _, version = bound.api_version.rpartition("/")
            shown = f"{group}/{version}, Kind={bound.kind}"
            raise errors.bad_request(f"cannot bind token to object of type {shown}")
        space = "" if model is Node else account.metadata.namespace
        found = self.registry.get(model, bound.name, space)
        if isinstance(found, Pod) and found.spec.service_account_name != account.metadata.name:
            raise errors.bad_request(
                f'cannot bind token for serviceaccount "{account.metadata.name}" to pod running'
                " with different serviceaccount name."
            )
        if bound.uid and bound.uid != found.metadata.uid:
            raise _another(bound)
        claims = {bound.kind.lower(): _named(found)}
        if isinstance(found, Pod) and found.spec.node_name:
            claims |= self._node(found.spec.node_name)
        return claims

    def _node(self, name: str) -> dict[str, Any]:
        try:
            return {"node": _named(self.registry.get(Node, name))}
        except StatusError:
            return {"node": {"name": name}}


def _named(obj: KubeObject) -> dict[str, str]:
    return {"name": obj.metadata.name, "uid": obj.metadata.uid}


def _quoted(text: str) -> str:
    return f'"{text}"'


def _another(bound: BoundObject) -> StatusError:
    text = (
        f'Operation cannot be fulfilled on {bound.kind} "{bound.name}": the UID in the bound object'
        f" reference ({bound.uid}) does not match the UID in record. The object might have been"
        " deleted and then recreated"
    )
    return StatusError(409, "Conflict", text, {"name": bound.name, "kind": bound.kind})
