"""Tokens in projected volumes: whose they are, how long they stay, who may read them."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reconciler.model.account import ServiceAccount
from reconciler.model.token import validity
from tests.unit.kubelet.node import Node, ready
from tests.unit.kubelet.volumes.test_content import mode, run

Play = Callable[..., Any]
HOUR = 3600


async def account(node: Node) -> None:
    manifest = {"metadata": {"name": "robot", "namespace": "default"}}
    await node.client.create(ServiceAccount.model_validate_json(json.dumps(manifest)))


def source(**more: Any) -> dict[str, Any]:
    token = {"path": "token", "expirationSeconds": HOUR, **more}
    return {"projected": {"sources": [{"serviceAccountToken": token}], "defaultMode": 0o644}}


async def a_token(node: Node, wanted: dict[str, Any], **spec: Any) -> Path:
    await account(node)
    root = await run(node, wanted, serviceAccountName="robot", **spec)
    assert root.is_relative_to(node.root / "run")  # which is tmpfs
    return root / "token"


def test_a_token_is_bound_to_its_pod(node: Node, play: Play) -> None:
    async def scene() -> None:
        file = await a_token(node, source())
        said = validity(file.read_text())
        assert said is not None
        assert said.expires - said.issued == HOUR
        assert mode(file) == 0o644
        found = node.client._tokens.believe(file.read_text())  # type: ignore[union-attr]
        assert found is not None
        assert dict(found[0].extra)["authentication.kubernetes.io/pod-name"] == ("web",)

    play(scene())


def test_a_token_is_for_the_audience_that_is_asked_for(node: Node, play: Play) -> None:
    async def scene() -> None:
        file = await a_token(node, source(audience="vault"))
        tokens = node.client._tokens
        assert tokens is not None
        assert tokens.believe(file.read_text(), ("vault",)) is not None

    play(scene())


def test_it_stays_until_four_fifths_of_its_time_and_is_then_another(node: Node, play: Play) -> None:
    async def scene() -> None:
        file = await a_token(node, source())
        first = file.read_text()
        await asyncio.sleep(0.7 * HOUR)
        assert file.read_text() == first
        await asyncio.sleep(0.25 * HOUR)
        assert file.read_text() != first
        said = validity(file.read_text())
        assert said is not None
        assert said.expires > node.clock.now().timestamp() + 0.5 * HOUR

    play(scene())


def test_a_restart_of_the_kubelet_leaves_it_alone(node: Node, play: Play) -> None:
    async def scene() -> None:
        file = await a_token(node, source())
        first = file.read_text()
        await node.stop()
        await node.start()
        await asyncio.sleep(60)
        assert file.read_text() == first

    play(scene())


def test_it_is_for_the_group_of_the_pod_alone(node: Node, play: Play) -> None:
    async def scene() -> None:
        group = os.getgid()
        file = await a_token(node, source(), securityContext={"fsGroup": group})
        assert mode(file) == 0o640

    play(scene())


def test_it_is_for_the_one_user_of_all_containers(node: Node, play: Play) -> None:
    async def scene() -> None:
        user = os.getuid()
        file = await a_token(node, source(), securityContext={"runAsUser": user})
        assert mode(file) == 0o600
        assert file.stat().st_uid == user

    play(scene())


def test_an_account_that_is_not_there_holds_the_pod_up(node: Node, play: Play) -> None:
    async def scene() -> None:
        mounts = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
        await node.create(
            volumes=[{"name": "v", **source()}], container=mounts, serviceAccountName="robot"
        )
        await asyncio.sleep(5)
        messages = [message for *_, message in node.events.told]
        assert any("failed to fetch token" in each and '"robot"' in each for each in messages)
        await account(node)
        await node.until(ready)

    play(scene())
