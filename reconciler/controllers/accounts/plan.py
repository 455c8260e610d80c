"""What a namespace lacks of its ServiceAccount and CA, and what a token Secret. Pure."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime

from reconciler.model.account import ServiceAccount
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.meta import ObjectMeta
from reconciler.model.namespace import Namespace
from reconciler.model.token import validity

DEFAULT_ACCOUNT = "default"
ROOT_CA = "kube-root-ca.crt"
TOKEN_TYPE = "kubernetes.io/service-account-token"  # noqa: S105 - the type of a Secret
ACCOUNT_NAME = "kubernetes.io/service-account.name"
ACCOUNT_UID = "kubernetes.io/service-account.uid"

_DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal"
    " endpoints such as the internal service IP or kubernetes.default.svc. No other usage is"
    " guaranteed across distributions of Kubernetes clusters."
)


@dataclass(frozen=True, slots=True)
class CreateAccount:
    """Make the account `default`."""

    account: ServiceAccount


@dataclass(frozen=True, slots=True)
class CreateAuthority:
    """Make the ConfigMap with the CA."""

    config_map: ConfigMap


@dataclass(frozen=True, slots=True)
class UpdateAuthority:
    """Put the CA back, or the new one in."""

    config_map: ConfigMap


Action = CreateAccount | CreateAuthority | UpdateAuthority


def plan(
    namespace: Namespace, account: ServiceAccount | None, authority: ConfigMap | None, ca: str
) -> tuple[Action, ...]:
    """Return what makes a namespace whole; nothing for one that goes away.

    `ca` is the certificate in PEM, empty while there is none.
    """
    if namespace.metadata.deletion_timestamp is not None:
        return ()
    space = namespace.metadata.name
    actions: list[Action] = []
    if not ca:
        pass  # it is being made
    elif authority is None:
        meta = ObjectMeta(
            name=ROOT_CA, namespace=space, annotations={"kubernetes.io/description": _DESCRIPTION}
        )
        actions.append(CreateAuthority(ConfigMap(metadata=meta, data={"ca.crt": ca})))
    elif authority.data != {"ca.crt": ca} or authority.binary_data:
        actions.append(UpdateAuthority(authority.replace(data={"ca.crt": ca}, binary_data={})))
    if account is None:
        meta = ObjectMeta(name=DEFAULT_ACCOUNT, namespace=space)
        actions.append(CreateAccount(ServiceAccount(metadata=meta)))
    return tuple(actions)


def is_orphan(secret: Secret, account: ServiceAccount | None) -> bool:
    """Say whether a token Secret's account is gone, so that the Secret goes, too."""
    uid = secret.metadata.annotations.get(ACCOUNT_UID)
    return account is None or (uid is not None and uid != account.metadata.uid)


def needs_token(secret: Secret, ca: str, now: datetime) -> bool:
    """Say whether a Secret lacks anything, or its token is old."""
    held = validity(_decoded(secret.data.get("token", "")))
    if held is None or not held.is_fresh(now.timestamp()):
        return True
    wanted = {"ca.crt": encoded(ca), "namespace": encoded(secret.metadata.namespace)}
    same = all(secret.data.get(key) == value for key, value in wanted.items())
    return not same or ACCOUNT_UID not in secret.metadata.annotations


def filled(secret: Secret, account: ServiceAccount, token: str, ca: str) -> Secret:
    """Return a Secret with the token of its account, the CA and the namespace."""
    meta = secret.metadata
    notes = {**meta.annotations, ACCOUNT_UID: account.metadata.uid}
    values = {"token": token, "ca.crt": ca, "namespace": meta.namespace}
    data = {**secret.data, **{key: encoded(value) for key, value in values.items()}}
    return secret.replace(metadata=meta.replace(annotations=notes), data=data)


def encoded(text: str) -> str:
    """Return text as a Secret holds it."""
    return base64.b64encode(text.encode()).decode()


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data).decode()
    except ValueError:
        return ""
