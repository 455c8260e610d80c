"""What every namespace has: the account `default`, the CA; and the Secrets that hold tokens."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from reconciler.apiserver.registry.errors import StatusError
from reconciler.apiserver.security.accounts import AccountTokens
from reconciler.apiserver.security.signing import SigningKeys
from reconciler.client.local import LocalClient
from reconciler.controllers.accounts.loop import AccountsController
from reconciler.controllers.accounts.plan import ROOT_CA, needs_token
from reconciler.controllers.accounts.secrets import TokenSecrets
from reconciler.core.ids import Ids
from reconciler.model.account import ServiceAccount
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.namespace import Namespace
from tests.unit.controllers.world import World


class Authority:
    ca = "the CA"

    def __call__(self) -> str:
        return self.ca


async def accounts(world: World, authority: Authority) -> None:
    informers: Any = map(world.informer, (Namespace, ServiceAccount, ConfigMap))
    world.start(AccountsController(world.client, *informers, authority, random=Random(1)).run)


def has(world: World, namespace: str, ca: str = "the CA") -> bool:
    try:
        world.registry.get(ServiceAccount, "default", namespace)
        return world.registry.get(ConfigMap, ROOT_CA, namespace).data == {"ca.crt": ca}
    except StatusError:
        return False


def test_every_namespace_has_an_account_and_the_ca(virtual: Any, clock: Any) -> None:
    async def scene() -> None:
        async with World(clock) as world:
            await accounts(world, Authority())
            await world.until(lambda: has(world, "default") and has(world, "kube-system"))
            await world.client.create(Namespace.model_validate({"metadata": {"name": "new"}}))
            await world.until(lambda: has(world, "new"))

    virtual.run_until_complete(scene())


def test_what_is_taken_away_or_changed_comes_back(virtual: Any, clock: Any) -> None:
    async def scene() -> None:
        async with World(clock) as world:
            await accounts(world, Authority())
            await world.until(lambda: has(world, "default"))
            await world.client.delete(ServiceAccount, "default", "default")
            await world.until(lambda: has(world, "default"))
            await world.client.delete(ConfigMap, ROOT_CA, "default")
            await world.until(lambda: has(world, "default"))
            there = await world.client.get(ConfigMap, ROOT_CA, "default")
            await world.client.update(there.replace(data={"ca.crt": "forged"}))
            await world.until(lambda: has(world, "default"))

    virtual.run_until_complete(scene())


def test_a_ca_that_is_made_late_or_renewed_reaches_everybody(virtual: Any, clock: Any) -> None:
    async def scene() -> None:
        async with World(clock) as world:
            authority = Authority()
            authority.ca = ""
            await accounts(world, authority)
            await world.until(lambda: len(world.registry.list(ServiceAccount)) >= 2)
            assert not world.registry.list(ConfigMap)
            authority.ca = "first"
            await world.until(lambda: has(world, "default", "first"))
            authority.ca = "second"
            await world.until(lambda: has(world, "default", "second"), 100_000)

    virtual.run_until_complete(scene())


def test_a_namespace_that_goes_away_gets_nothing_new(virtual: Any, clock: Any) -> None:
    async def scene() -> None:
        async with World(clock) as world:
            await world.client.create(Namespace.model_validate({"metadata": {"name": "old"}}))
            await world.client.delete(Namespace, "old")
            await accounts(world, Authority())
            await world.until(lambda: has(world, "default"))
            await world.settle()
            assert not world.registry.list(ServiceAccount, "old")

    virtual.run_until_complete(scene())


async def secrets(world: World, folder: Path) -> AccountTokens:
    keys = SigningKeys(folder / "keys")
    keys.ensure(world.clock.now())
    tokens = AccountTokens(world.registry, keys, world.clock, Ids(Random(1)), "https://api")
    client = LocalClient(world.registry, tokens)
    part = TokenSecrets(
        client,
        world.informer(Secret),
        world.informer(ServiceAccount),
        Authority(),
        world.clock,
        random=Random(1),
    )
    world.start(part.run)
    meta = {"name": "robot", "namespace": "default"}
    await client.create(ServiceAccount.model_validate({"metadata": meta}))
    notes = {"kubernetes.io/service-account.name": "robot"}
    manifest = {
        "metadata": {"name": "s", "namespace": "default", "annotations": notes},
        "type": "kubernetes.io/service-account-token",
    }
    await client.create(Secret.model_validate_json(json.dumps(manifest)))
    return tokens


def held(world: World) -> str:
    try:
        data = world.registry.get(Secret, "s", "default").data.get("token", "")
    except StatusError:
        return "gone"
    return base64.b64decode(data).decode()


def test_a_token_secret_is_filled_and_believed(virtual: Any, clock: Any, tmp_path: Path) -> None:
    async def scene() -> None:
        async with World(clock) as world:
            tokens = await secrets(world, tmp_path)
            await world.until(lambda: held(world) != "")
            secret = world.registry.get(Secret, "s", "default")
            assert base64.b64decode(secret.data["ca.crt"]) == b"the CA"
            assert base64.b64decode(secret.data["namespace"]) == b"default"
            account = world.registry.get(ServiceAccount, "robot", "default")
            uid = secret.metadata.annotations["kubernetes.io/service-account.uid"]
            assert uid == account.metadata.uid
            found = tokens.believe(held(world))
            assert found is not None
            assert found[0].name == "system:serviceaccount:default:robot"

    virtual.run_until_complete(scene())


def test_its_token_is_replaced_before_it_ends(virtual: Any, clock: Any, tmp_path: Path) -> None:
    async def scene() -> None:
        async with World(clock) as world:
            await secrets(world, tmp_path)
            await world.until(lambda: held(world) != "")
            secret, now = world.registry.get(Secret, "s", "default"), clock.now()
            assert not needs_token(secret, "the CA", now + timedelta(days=290))
            assert needs_token(secret, "the CA", now + timedelta(days=293))
            assert needs_token(secret, "another CA", now)

    virtual.run_until_complete(scene())


@pytest.mark.parametrize("remade", [False, True])
def test_it_goes_with_its_account(virtual: Any, clock: Any, tmp_path: Path, remade: bool) -> None:
    async def scene() -> None:
        async with World(clock) as world:
            await secrets(world, tmp_path)
            await world.until(lambda: held(world) != "")
            account = world.registry.get(ServiceAccount, "robot", "default")
            await world.client.delete(ServiceAccount, "robot", "default")
            if remade:
                fresh = {"name": "robot", "namespace": account.metadata.namespace}
                await world.client.create(ServiceAccount.model_validate({"metadata": fresh}))
            await world.until(lambda: held(world) == "gone")

    virtual.run_until_complete(scene())
