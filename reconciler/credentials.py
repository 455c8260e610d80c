"""What ServiceAccounts need: signing keys, the CA, and the loops that hand both out.

Composed here for `app.py`, its caller. Without it a control plane has no accounts for its pods, as
in simulations that have no API server.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.apiserver.registry.registry import Registry
from reconciler.apiserver.security.accounts import AccountTokens
from reconciler.apiserver.security.authority import Authority
from reconciler.apiserver.security.signing import SigningKeys
from reconciler.client.informer import Informer
from reconciler.client.protocol import Client
from reconciler.controllers.accounts.loop import AccountsController
from reconciler.controllers.accounts.secrets import TokenSecrets
from reconciler.core.clock import Clock
from reconciler.core.ids import Ids
from reconciler.core.tasks import Part
from reconciler.model.account import ServiceAccount
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.namespace import Namespace
from reconciler.settings import Settings


@dataclass(frozen=True, slots=True)
class Credentials:
    """`issuer` is what tokens are issued by, and the audience of this API."""

    keys: SigningKeys
    authority: Authority
    issuer: str

    def tokens(self, registry: Registry, clock: Clock, ids: Ids) -> AccountTokens:
        """Return what issues and believes tokens."""
        return AccountTokens(registry, self.keys, clock, ids, self.issuer)

    def parts(
        self,
        client: Client,
        namespaces: Informer[Namespace],
        accounts: Informer[ServiceAccount],
        config_maps: Informer[ConfigMap],
        secrets: Informer[Secret],
        clock: Clock,
    ) -> dict[str, Part]:
        """Return the loops that make accounts, and fill what holds tokens."""
        authority = self.authority.ca
        return {
            "accounts": AccountsController(
                client, namespaces, accounts, config_maps, authority
            ).run,
            "tokensecrets": TokenSecrets(client, secrets, accounts, authority, clock).run,
        }


def open_credentials(settings: Settings, clock: Clock) -> Credentials:
    """Read the signing keys, or make the first; raises `SigningKeyError`."""
    keys = SigningKeys(settings.pki_dir / "service-account.keys")
    keys.ensure(clock.now())
    issuer = f"https://kubernetes.default.svc.{settings.cluster_domain}"
    return Credentials(keys, Authority(settings.pki_dir), issuer)
