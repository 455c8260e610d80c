"""Containers that the engine or this host refuses to start: how it is told, and how it heals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from reconciler.model.pod import Pod
from reconciler.model.podstatus import START_FAILING
from tests.unit.kubelet.node import Node, ready

PROFILE = {"seccompProfile": {"type": "Localhost", "localhostProfile": "mine.json"}}


def lasting(pod: Pod) -> str:
    return next((c.message for c in pod.status.conditions if c.type == START_FAILING), "")


def waits(pod: Pod) -> str:
    statuses = pod.status.container_statuses
    waiting = statuses[0].state.waiting if statuses else None
    return waiting.reason if waiting else ""


async def with_profiles(node: Node, folder: Path) -> None:
    await node.stop()
    node.options = replace(node.options, seccomp_profiles=folder)
    await node.start()


def test_a_refusal_is_told_at_once_and_as_lasting_only_when_it_lasts(
    node: Node, play: Any, tmp_path: Path
) -> None:
    async def scene() -> None:
        await with_profiles(node, tmp_path)
        start = node.clock.monotonic()
        await node.create(container={"securityContext": PROFILE})
        pod = await node.until(lambda pod: waits(pod) == "CreateContainerError")
        assert not lasting(pod)
        assert node.clock.monotonic() - start < 1
        pod = await node.until(lambda pod: lasting(pod) != "")
        assert 10 < node.clock.monotonic() - start < 20
        assert lasting(pod).startswith(
            "container app could not be started 5 times in a row: CreateContainerError: "
            f'cannot load seccomp profile "{tmp_path}/mine.json"'
        )
        (tmp_path / "mine.json").write_text("{}")
        assert not lasting(await node.until(ready))

    play(scene())


def test_a_refusal_that_lasts_writes_no_status_again_and_again(
    node: Node, play: Any, tmp_path: Path
) -> None:
    async def scene() -> None:
        await with_profiles(node, tmp_path)
        await node.create(container={"securityContext": PROFILE})
        seen = await node.until(lambda pod: lasting(pod) != "")
        tried = node.events.reasons().count("Failed")
        await node.until(lambda _: node.events.reasons().count("Failed") >= tried + 3, limit=300)
        now = await node.pod()
        assert now is not None
        assert now.metadata.resource_version == seen.metadata.resource_version

    play(scene())
