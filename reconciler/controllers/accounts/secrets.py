"""Fills Secrets of the type `kubernetes.io/service-account-token`. Run by the composition root.

Kubernetes' token controller: such a Secret names an account, gets a token of it, and goes with it.
Here the token ends after a year at the latest and is replaced well before.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from reconciler.client.informer import Informer
from reconciler.client.protocol import Client, ConflictError, EventType, NotFound
from reconciler.controllers.accounts.plan import (
    ACCOUNT_NAME,
    TOKEN_TYPE,
    filled,
    is_orphan,
    needs_token,
)
from reconciler.core.clock import Clock
from reconciler.core.errors import ReconcilerError, Retryable
from reconciler.core.queue import Controller, Done, Outcome, RequeueAfter
from reconciler.model.account import ServiceAccount
from reconciler.model.config import Secret
from reconciler.model.token import SECONDS_MAX, BoundObject, TokenSpec

Key = tuple[str, str]

_DAY = 86400.0
_BY_ACCOUNT = "token-account"
_MANAGER = "kube-controller-manager"


class TokenSecrets:
    """Keeps token Secrets filled."""

    def __init__(
        self,
        client: Client,
        secrets: Informer[Secret],
        accounts: Informer[ServiceAccount],
        authority: Callable[[], str],
        clock: Clock,
        *,
        random: Random | None = None,
    ) -> None:
        self._client, self._clock = client, clock
        self._secrets, self._accounts = secrets, accounts
        self._authority = authority
        self._controller: Controller[Key] = Controller(
            "tokensecrets", self._reconcile, workers=1, random=random
        )
        secrets.add_index(_BY_ACCOUNT, _account)
        secrets.subscribe(self._secret_changed)
        accounts.subscribe(self._account_changed)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._secrets.synced.wait()
        await self._accounts.synced.wait()
        await self._controller.run()

    def _secret_changed(self, _event: EventType, _old: Secret | None, new: Secret | None) -> None:
        if new is not None and _is_ours(new):
            self._controller.queue.add((new.metadata.namespace, new.metadata.name))

    def _account_changed(
        self, _event: EventType, old: ServiceAccount | None, new: ServiceAccount | None
    ) -> None:
        changed = new or old
        if changed is None:
            return
        place = f"{changed.metadata.namespace}/{changed.metadata.name}"
        for secret in self._secrets.by_index(_BY_ACCOUNT, place):
            self._controller.queue.add((secret.metadata.namespace, secret.metadata.name))

    async def _reconcile(self, key: Key) -> Outcome:
        namespace, name = key
        try:
            secret = await self._client.get(Secret, name, namespace)
            account = await self._account_of(secret)
            if account is None or is_orphan(secret, account):
                await self._client.delete(Secret, name, namespace, uid=secret.metadata.uid)
                return Done()
            await self._fill(secret, account)
        except NotFound:
            return Done()
        except ConflictError as error:
            raise Retryable(f"secret {namespace}/{name} was written meanwhile") from error
        except ReconcilerError as error:
            raise Retryable(f"secret {namespace}/{name}: {error}") from error
        return RequeueAfter(_DAY)

    async def _account_of(self, secret: Secret) -> ServiceAccount | None:
        name = secret.metadata.annotations.get(ACCOUNT_NAME, "")
        try:
            return await self._client.get(ServiceAccount, name, secret.metadata.namespace)
        except NotFound:
            return None

    async def _fill(self, secret: Secret, account: ServiceAccount) -> None:
        authority = self._authority()
        if not authority:
            raise Retryable("there is no CA yet")
        if not needs_token(secret, authority, self._clock.now()):
            return
        meta = secret.metadata
        spec = TokenSpec(seconds=SECONDS_MAX, bound=BoundObject("Secret", meta.name, meta.uid))
        token = await self._client.request_token(account.metadata.name, meta.namespace, spec)
        await self._client.update(filled(secret, account, token.text, authority), manager=_MANAGER)


def _is_ours(secret: Secret) -> bool:
    return secret.type == TOKEN_TYPE


def _account(secret: Secret) -> list[str]:
    meta = secret.metadata
    name = meta.annotations.get(ACCOUNT_NAME, "")
    return [f"{meta.namespace}/{name}"] if _is_ours(secret) else []
