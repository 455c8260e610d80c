"""Gives every namespace its account `default` and the CA of this API. Run by the composition root.

These are Kubernetes' serviceaccount and root-ca-cert-publisher controllers.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import assert_never

from reconciler.client.informer import Informer
from reconciler.client.protocol import AlreadyExists, ApiError, Client, EventType, NotFound
from reconciler.controllers.accounts.plan import (
    DEFAULT_ACCOUNT,
    ROOT_CA,
    Action,
    CreateAccount,
    CreateAuthority,
    UpdateAuthority,
    plan,
)
from reconciler.controllers.refusals import namespace_ends
from reconciler.core.errors import ReconcilerError, Retryable
from reconciler.core.queue import Controller, Done, Outcome, RequeueAfter
from reconciler.model.account import ServiceAccount
from reconciler.model.config import ConfigMap
from reconciler.model.meta import KubeObject
from reconciler.model.namespace import Namespace

_DAY = 86400.0
"""A CA that was renewed is in every namespace a day later at the latest."""

_SOON = 0.2
"""Seconds until a CA is looked for again that is being made."""

_MANAGER = "kube-controller-manager"

Authority = Callable[[], str]
"""Return the CA's certificate in PEM, empty while it is being made; raises `ReconcilerError`."""


class AccountsController:
    """Keeps namespaces whole."""

    def __init__(
        self,
        client: Client,
        namespaces: Informer[Namespace],
        accounts: Informer[ServiceAccount],
        config_maps: Informer[ConfigMap],
        authority: Authority,
        *,
        random: Random | None = None,
    ) -> None:
        self._client = client
        self._informers = (namespaces, accounts, config_maps)
        self._namespaces, self._accounts, self._config_maps = self._informers
        self._authority = authority
        self._controller: Controller[str] = Controller(
            "accounts", self._reconcile, workers=2, random=random
        )
        namespaces.subscribe(self._namespace_changed)
        accounts.subscribe(self._content_changed)
        config_maps.subscribe(self._content_changed)

    async def run(self) -> None:
        """Work until cancelled."""
        for informer in self._informers:
            await informer.synced.wait()
        await self._controller.run()

    def _namespace_changed(
        self, _event: EventType, old: Namespace | None, new: Namespace | None
    ) -> None:
        changed = new or old
        if changed is not None and (new is None or old is None):  # one that is gone is forgotten
            self._controller.queue.add(changed.metadata.name)

    def _content_changed(
        self, _event: EventType, old: KubeObject | None, new: KubeObject | None
    ) -> None:
        changed = new or old
        if old is not None and changed is not None and _is_ours(changed):
            self._controller.queue.add(changed.metadata.namespace)

    async def _reconcile(self, name: str) -> Outcome:
        namespace = self._namespaces.get(name)
        if namespace is None:
            return Done()
        account = self._accounts.get(DEFAULT_ACCOUNT, name)
        config_map = self._config_maps.get(ROOT_CA, name)
        try:
            ca = self._authority()
            for action in plan(namespace, account, config_map, ca):
                await self._perform(action)
        except ApiError as error:
            if namespace_ends(error) or isinstance(error, NotFound):
                return Done()
            raise Retryable(f"namespace {name}: {error}") from error
        except ReconcilerError as error:
            raise Retryable(f"the CA cannot be published: {error}") from error
        return RequeueAfter(_DAY if ca else _SOON)

    async def _perform(self, action: Action) -> None:
        try:
            match action:
                case CreateAccount(account):
                    await self._client.create(account, manager=_MANAGER)
                case CreateAuthority(config_map):
                    await self._client.create(config_map, manager=_MANAGER)
                case UpdateAuthority(config_map):
                    await self._client.update(config_map, manager=_MANAGER)
                case _:
                    assert_never(action)
        except AlreadyExists:
            return  # the informer is behind


def _is_ours(obj: KubeObject) -> bool:
    wanted = DEFAULT_ACCOUNT if isinstance(obj, ServiceAccount) else ROOT_CA
    return obj.metadata.name == wanted
